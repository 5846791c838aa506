"""The data of an embedded server: made once, whole or not at all, and put aside when a new version cannot read it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store.binaries import Binaries, program_environment
from pytest_orchestra.store.place import ServerPlace, ServerUser
from pytest_orchestra.store.supervisor import CLUSTER, DATA, HOST

__all__ = ["SUPERUSER", "ensure_cluster", "last_lines", "read_password", "server_command"]

SUPERUSER: Final = "postgres"

_PASSWORD: Final = "password"  # noqa: S105 - the name of the file
_UNFINISHED: Final = "new-"
_LOCALES: Final = ("C.UTF-8", "C")
_INITDB_WITHIN_S: Final = 120
_ASYNC_IO_SINCE: Final = 18

_SETTINGS: Final = (
    ("listen_addresses", HOST),
    ("unix_socket_directories", ""),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("huge_pages", "off"),
    ("jit", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_logical_replication_workers", "0"),
    ("min_wal_size", "32MB"),
    ("max_wal_size", "256MB"),
    ("synchronous_commit", "on"),
    ("fsync", "off"),  # see embedded.py
    ("log_checkpoints", "off"),
    ("log_min_error_statement", "panic"),  # a statement may hold what no log should
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
)

_logger = logging.getLogger(__name__)


def server_command(binaries: Binaries, place: ServerPlace) -> tuple[str, ...]:
    """Give the command that runs the server, without its port: tuned for tests, loopback only."""
    settings = [*_SETTINGS, *([("io_method", "sync")] if binaries.version >= _ASYNC_IO_SINCE else [])]
    options = [part for name, value in settings for part in ("-c", f"{name}={value}")]
    return (binaries.program("postgres"), "-D", str(place.folder / CLUSTER / DATA), *options)


def ensure_cluster(place: ServerPlace, binaries: Binaries, start_lock: int) -> None:
    """Make the cluster if there is none that these binaries can run.

    The caller holds the start lock; initdb inherits it, so that nobody else begins while an orphaned one still writes.
    A cluster of another version is renamed, with a warning in the log, never deleted. Raises ``StoreUnavailableError``.
    """
    for leftover in place.folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    cluster = place.folder / CLUSTER
    if cluster.exists():
        version = _version_of(cluster)
        if version == str(binaries.version):
            return
        _put_aside(cluster, version, binaries.version)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place.folder))
    try:
        _write_password(unfinished / _PASSWORD)
        _give_to(place.user, unfinished, unfinished / _PASSWORD)
        _initialise(unfinished, binaries, place.user, start_lock)
        unfinished.rename(cluster)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def read_password(place: ServerPlace) -> Secret:
    """Give the superuser's password."""
    return Secret((place.folder / CLUSTER / _PASSWORD).read_text("ascii"))


def last_lines(text: str, count: int = 5) -> str:
    """Give the last lines of a log that say something, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:])


def _version_of(cluster: Path) -> str | None:
    try:
        return (cluster / DATA / "PG_VERSION").read_text("ascii").strip()
    except OSError:
        return None


def _put_aside(cluster: Path, version: str | None, wanted: int) -> None:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = cluster.with_name(f"{cluster.name}-{version or 'unknown'}-{moment}")
    cluster.rename(aside)
    _logger.warning(
        "store: embedded data of PostgreSQL '%s' cannot be used by PostgreSQL '%s'; it was put aside in '%s'",
        version or "unknown",
        wanted,
        aside,
    )


def _write_password(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(24))


def _give_to(user: ServerUser | None, *paths: Path) -> None:
    if user is not None:
        for path in paths:
            os.chown(path, user.uid, user.gid)


def _initialise(folder: Path, binaries: Binaries, user: ServerUser | None, start_lock: int) -> None:
    output = ""
    for locale in _LOCALES:
        done = subprocess.run(  # noqa: S603 - a program of the wheel
            [
                binaries.program("initdb"),
                f"--pgdata={folder / DATA}",
                f"--username={SUPERUSER}",
                "--auth=scram-sha-256",
                f"--pwfile={folder / _PASSWORD}",
                "--encoding=UTF8",
                f"--locale={locale}",
                "--no-sync",
                "--no-instructions",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_INITDB_WITHIN_S,
            cwd=folder,
            env=program_environment(),
            pass_fds=(start_lock,),
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
        if not done.returncode:
            return
        output = output or done.stdout
    raise StoreUnavailableError(
        f"store: initdb failed in '{folder.parent}': {last_lines(output)}",
        hint="make room on the disk, or choose --orchestra-store=memory",
    )
