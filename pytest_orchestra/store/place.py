"""Where the files of an embedded server lie, and whom the server runs as."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.store.supervisor import USERS_LOCK, open_lock_file, try_lock

__all__ = ["ServerPlace", "ServerUser", "choose_place", "ensure_own_folder"]

_SHARED: Final = Path("/var/tmp")  # noqa: S108 - what lies there is checked for its owner, kind and mode
_LONGEST_PATH: Final = 800  # PostgreSQL's own limit is 1,024 with the names of its files
_UNSAFE_MODE: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The user whom the server runs as when ours is root, as whom PostgreSQL refuses to run."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A folder of our own for one server; ``base`` is shared by all servers of this user, None if there is none."""

    folder: Path
    base: Path | None = None
    user: ServerUser | None = None


def choose_place(folder: Path, *, shared: Path = _SHARED) -> ServerPlace:
    """Choose where the server for ``folder`` lives, and make that folder.

    An ordinary user's server lives in ``folder`` itself, unless that is unusable (read-only, without locks or modes,
    too long a path). For root, whose server must run as ``nobody`` below folders that everybody may pass, and for
    unusable folders, it is ``<shared>/pytest-orchestra-<uid>/<hash of folder>``. Raises ``StoreUnavailableError``.
    """
    if os.geteuid() == 0:
        user = _find_server_user()
        base = ensure_own_folder(shared / f"pytest-orchestra-{os.geteuid()}", 0o711)
        return ServerPlace(ensure_own_folder(base / _short_hash(folder), 0o711), base, user)
    if _is_usable(folder):
        return ServerPlace(folder)
    base = ensure_own_folder(shared / f"pytest-orchestra-{os.geteuid()}", 0o700)
    return ServerPlace(ensure_own_folder(base / _short_hash(folder), 0o700), base)


def ensure_own_folder(folder: Path, mode: int) -> Path:
    """Make a folder, or accept one that is truly ours: no link, our own, and nobody else may write in it."""
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreUnavailableError(
            f"store: folder '{folder}' cannot be made: {error.strerror}",
            hint="choose another cache folder, or --orchestra-store=memory",
        ) from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise StoreUnavailableError(f"store: '{folder}' is no folder", hint=f"remove '{folder}'")
    if found.st_uid != os.geteuid():
        raise StoreUnavailableError(
            f"store: folder '{folder}' belongs to user '{found.st_uid}', not to '{os.geteuid()}'",
            hint=f"remove '{folder}'",
        )
    if found.st_mode & _UNSAFE_MODE:
        raise StoreUnavailableError(
            f"store: folder '{folder}' can be written by others (mode '{stat.S_IMODE(found.st_mode):o}')",
            hint=f"remove '{folder}'",
        )
    if stat.S_IMODE(found.st_mode) != mode:
        folder.chmod(mode)
    return folder


def _find_server_user() -> ServerUser:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise StoreUnavailableError(
            "store: there is no user 'nobody' to run the embedded server as, and root may not run it",
            hint="run as an ordinary user, or choose --orchestra-store=memory or --orchestra-store=postgresql://...",
        ) from None
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _short_hash(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]


def _is_usable(folder: Path) -> bool:
    """Whether a server can live there: tried, not guessed, as file systems differ in what they keep."""
    if len(os.fsencode(folder)) > _LONGEST_PATH:
        return False
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        found = folder.stat()
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:  # noqa: PLR2004 - a mode
            return False
        lock = open_lock_file(str(folder / USERS_LOCK))
    except OSError:
        return False
    try:
        try_lock(lock, shared=True)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
