"""Which workers of this machine live: each holds a lock on a file of its own, which the system frees when it dies."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Final

__all__ = ["WorkerPresence"]

_FOLDER: Final = "workers"
_KEPT_S: Final = 24 * 3600


class WorkerPresence:
    """The sign of life of this process, and a look at that of others of the same project on the same machine.

    ``owner`` names this worker in the store: its machine, its process and a token of its own.
    """

    def __init__(self, cache_folder: Path) -> None:
        self._folder = cache_folder / _FOLDER
        self._token = uuid.uuid4().hex[:12]
        self._descriptor: int | None = None
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{self._token}"

    def announce(self) -> None:
        """Take the lock, until :meth:`leave` or the end of the process."""
        if os.name != "posix":  # where nothing is known of others, leases tell it later
            return
        with contextlib.suppress(OSError):  # of a project that can only be read, likewise
            self._folder.mkdir(parents=True, exist_ok=True)
            self._forget_old()
            self._descriptor = _open(self._folder / self._token)
            _try_lock(self._descriptor)

    def leave(self, *, owes: bool = False) -> None:
        """Give the lock back, and with it every trace of the worker, unless it ``owes`` leases or reports.

        Who leaves in order has reported what it ended, and nobody may take it for dead; who could not, may be.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            if not owes:
                with contextlib.suppress(OSError):
                    (self._folder / self._token).unlink()
            os.close(descriptor)

    def is_gone(self, owner: str) -> bool:
        """Say whether a worker is known to have ended; False where it may be on another machine."""
        token = owner.rpartition(":")[2]
        path = self._folder / token
        if os.name != "posix" or not token.isalnum() or token == self._token or not path.is_file():
            return False
        try:
            descriptor = _open(path)
        except OSError:
            return False
        try:
            return _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def _forget_old(self) -> None:
        """Remove the files of workers that are long gone; a file whose lock is held is in use, however old."""
        oldest = time.time() - _KEPT_S
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest and self.is_gone(f":{path.name}"):
                    path.unlink()


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    import fcntl  # noqa: PLC0415  there is none on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
