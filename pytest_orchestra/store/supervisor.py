"""Own one embedded PostgreSQL server for as long as anybody uses it, then stop it.

Run by path (``python -I -S supervisor.py ORDER``), detached from the process that starts it, so it imports nothing of
this package and little of the standard library. It holds ``supervisor.lock`` for its whole life. The users hold shared
locks on ``users.lock``, which the kernel gives back however a user ends; when the supervisor gets that lock
exclusively, nobody is left. The server inherits ``postgres.lock``, so that lock is free when its last process is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # as typing's, whose import would cost more than all the others
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CLUSTER",
    "DATA",
    "HOST",
    "LOG",
    "POSTGRES_LOCK",
    "START_LOCK",
    "STATE",
    "SUPERVISOR_LOCK",
    "USERS_LOCK",
    "Supervisor",
    "open_lock_file",
    "try_lock",
    "write_private_file",
]

HOST = "127.0.0.1"
CLUSTER = "cluster"
DATA = "data"
LOG = "server.log"
STATE = "server.json"
START_LOCK = "start.lock"
USERS_LOCK = "users.lock"
SUPERVISOR_LOCK = "supervisor.lock"
POSTGRES_LOCK = "postgres.lock"

_LOOK_EVERY_S = 0.1
_READY_POLL_S = 0.003
_READY_WITHIN_S = 120.0
_GONE_WITHIN_S = 30.0
_LAUNCHES = 3
_RESTARTS = 5
_RESTARTS_WITHIN_S = 10.0
_STATUS_LINE = 7  # of postmaster.pid, as pg_ctl reads it
_PR_SET_PDEATHSIG = 1


class LaunchError(Exception):
    """The server does not start; the text says how it ended."""


def open_lock_file(path: str) -> int:
    """Open a file to lock, private to its owner; the descriptor is not inherited."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take a lock on an open file, without waiting; say whether it is held now."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private_file(path: str, text: str) -> None:
    """Write a file, whole or not at all, readable by its owner only."""
    unfinished = f"{path}.{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(unfinished, path)  # noqa: PTH105 - pathlib would be most of this process's start-up time


class Supervisor:
    """One server: launched, watched, launched again when it dies, stopped when its last user is gone.

    ``command`` starts the server without its port; ``uid`` and ``gid`` are whom it runs as, None for the same user.
    """

    def __init__(
        self,
        place: str,
        command: list[str],
        environment: dict[str, str],
        uid: int | None = None,
        gid: int | None = None,
    ) -> None:
        self._place = place
        self._command = command
        self._environment = environment
        self._uid = uid
        self._gid = gid
        self._data = os.path.join(place, CLUSTER, DATA)  # noqa: PTH118 - as above
        self._postmaster = 0
        self._port = 0
        self._told_to_stop = False
        self._deaths: list[float] = []

    def run(self) -> int:
        """Serve until the last user is gone; give the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._hear)
        users = open_lock_file(self._path(USERS_LOCK))
        try:
            self._launch()
            while not self._told_to_stop and not try_lock(users):
                if self._has_ended():
                    self._launch_again()
                time.sleep(_LOOK_EVERY_S)
        except LaunchError as error:
            write_private_file(self._path(STATE), json.dumps({"failure": str(error)}))
            return 1
        self._forget_state()
        self._stop()
        return 0

    def _hear(self, _number: int, _frame: object) -> None:
        self._told_to_stop = True

    def _path(self, name: str) -> str:
        return os.path.join(self._place, name)  # noqa: PTH118 - as above

    def _forget_state(self) -> None:
        _remove(self._path(STATE))

    def _launch_again(self) -> None:
        """Bring a server back that ended by itself, unless it does so again and again."""
        now = time.monotonic()
        self._deaths = [*(death for death in self._deaths if now - death < _RESTARTS_WITHIN_S), now]
        self._forget_state()
        if len(self._deaths) > _RESTARTS:
            raise LaunchError(f"died '{len(self._deaths)}' times within '{_RESTARTS_WITHIN_S:.0f}' s")
        self._launch()

    def _launch(self) -> None:
        """Start the server and publish where it listens.

        Another process may take the port between its choice and the server's bind, so a few ports are tried. After a
        crash the server comes back on the port that its users know, if that is still free.
        """
        status = 0
        for _ in range(_LAUNCHES):
            self._port = self._port or _free_port()
            self._spawn()
            status = self._await_ready()
            if not status:
                write_private_file(
                    self._path(STATE),
                    json.dumps({"port": self._port, "supervisor": os.getpid(), "postmaster": self._postmaster}),
                )
                return
            self._port = 0
        raise LaunchError(f"ended with status '{status}'")

    def _spawn(self) -> None:
        """Fork and run the server, which holds ``postgres.lock`` from now on and ends when this process is killed."""
        lock = self._await_gone()
        _remove(self._postmaster_file())  # stale: with the lock in hand, no server is alive
        die_with = _load_die_with()
        supervisor = os.getpid()
        self._postmaster = os.fork()
        if not self._postmaster:
            try:
                self._become_server(lock, die_with, supervisor)
            finally:  # also when exec fails: this copy of the supervisor must never go on
                os._exit(127)
        os.close(lock)

    def _become_server(self, lock: int, die_with: Callable[[int], None], supervisor: int) -> None:
        try:
            for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.umask(0o077)
            if self._uid is not None and self._gid is not None:
                os.setgroups([])
                os.setgid(self._gid)
                os.setuid(self._uid)
            die_with(supervisor)
            os.chdir(self._data)
            os.set_inheritable(lock, True)
            os.execve(self._command[0], [*self._command, "-p", str(self._port)], self._environment)  # noqa: S606
        except Exception as error:  # noqa: BLE001 - whatever it is, the log is the only place to tell it
            os.write(2, f"cannot run {self._command[0]}: {error!r}\n".encode())

    def _await_gone(self) -> int:
        """Wait until no process of an earlier server is left; give the lock that proves it."""
        lock = open_lock_file(self._path(POSTGRES_LOCK))
        deadline = time.monotonic() + _GONE_WITHIN_S
        while not try_lock(lock):
            if time.monotonic() > deadline:
                os.close(lock)
                raise LaunchError("waited in vain for the end of an earlier server")
            if sys.platform != "linux":  # where a server outlives a killed supervisor
                self._interrupt_orphan()
            time.sleep(_READY_POLL_S)
        return lock

    def _interrupt_orphan(self) -> None:
        lines = self._read_postmaster_file()
        if lines and lines[0].isdigit() and int(lines[0]) != self._postmaster:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(lines[0]), signal.SIGINT)

    def _await_ready(self) -> int:
        """Wait until the server takes logins; give 0, or the status with which it ended."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < deadline and not self._told_to_stop:
            ended, status = os.waitpid(self._postmaster, os.WNOHANG)
            if ended:
                self._postmaster = 0
                return os.waitstatus_to_exitcode(status) or 1
            lines = self._read_postmaster_file()
            if lines[:1] == [str(self._postmaster)] and lines[_STATUS_LINE : _STATUS_LINE + 1] == ["ready"]:
                return 0
            time.sleep(_READY_POLL_S)
        self._stop()
        if self._told_to_stop:
            raise LaunchError("was told to stop before it was up")
        raise LaunchError(f"took no logins within '{_READY_WITHIN_S:.0f}' s")

    def _postmaster_file(self) -> str:
        return os.path.join(self._data, "postmaster.pid")  # noqa: PTH118 - as above

    def _read_postmaster_file(self) -> list[str]:
        try:
            with open(self._postmaster_file(), encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
                return [line.strip() for line in file]
        except OSError:
            return []

    def _has_ended(self) -> bool:
        ended, _status = os.waitpid(self._postmaster, os.WNOHANG)
        if ended:
            self._postmaster = 0
        return bool(ended)

    def _stop(self) -> None:
        """End the server: politely (sessions are broken off, data is written out), then less so."""
        for number, patience_s in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            if not self._postmaster:
                return
            os.kill(self._postmaster, number)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline and not self._has_ended_now():
                time.sleep(_READY_POLL_S)

    def _has_ended_now(self) -> bool:
        return not self._postmaster or self._has_ended()


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - as above


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _load_die_with() -> Callable[[int], None]:
    """Give what has the kernel end the calling process when its parent ends (Linux; elsewhere it does nothing).

    It is loaded before the change of user, who may not be able to read this Python, and called after it, as the kernel
    forgets the wish then.
    """
    if sys.platform != "linux":
        return lambda _parent: None
    import ctypes  # noqa: PLC0415 - Linux only

    prctl = ctypes.CDLL(None).prctl

    def die_with(parent: int) -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            raise ProcessLookupError("the supervisor has ended")

    return die_with


def main() -> int:
    """Detach and supervise. The order is a JSON object: the arguments of Supervisor and the inherited ``lock``."""
    order = json.loads(sys.argv[1])
    if os.fork():
        os._exit(0)  # so that init, and not the starter, is the parent
    os.set_inheritable(order.pop("lock"), False)
    return Supervisor(**order).run()


if __name__ == "__main__":
    sys.exit(main())
