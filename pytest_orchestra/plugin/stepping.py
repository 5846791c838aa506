"""Stepping through scenarios at the terminal that pytest was started from."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import pytest

from pytest_orchestra.errors import SettingsError
from pytest_orchestra.plugin.state import worker_input
from pytest_orchestra.plugin.telling import fresh_line
from pytest_orchestra.session.stepping import Conversation

__all__ = ["Terminal", "attend", "conversation_of"]

_TERMINAL: Final = pytest.StashKey["Terminal"]()
_INPUT: Final = 0
_OUTPUT: Final = 1
_CHUNK: Final = 4096
_WIDEST: Final = 120


@dataclass
class Terminal:
    """A terminal by descriptors of its own, which pytest's capturing does not touch."""

    source: int
    sink: int
    on_write: Callable[[], None] = lambda: None
    _typed: bytearray = field(default_factory=bytearray)
    _has_ended: bool = False

    @property
    def encoding(self) -> str:
        """How text is written."""
        return getattr(sys.__stdout__, "encoding", None) or "utf-8"

    def write(self, text: str) -> None:
        """Show text at once, at the beginning of a line where pytest left one unfinished."""
        self.on_write()
        rest = text.encode(self.encoding, "replace")
        while rest:
            rest = rest[os.write(self.sink, rest) :]

    async def read_line(self) -> str | None:
        """Wait for a line while the event loop goes on; None at the end of the input."""
        while b"\n" not in self._typed and not self._has_ended:
            typed = await self._read()
            self._typed += typed
            self._has_ended = not typed
        if b"\n" not in self._typed:
            return None
        line, _, rest = bytes(self._typed).partition(b"\n")
        self._typed = bytearray(rest)
        return line.decode(self.encoding, "replace").rstrip("\r")

    async def _read(self) -> bytes:
        """Wait for what is typed; empty at the end."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self.source, arrived.set)
        except (NotImplementedError, OSError):  # Windows, and whatever cannot be watched
            return await self._read_by_thread()
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(self.source)
        return self._read_now()

    async def _read_by_thread(self) -> bytes:
        loop = asyncio.get_running_loop()
        typed: asyncio.Future[bytes] = loop.create_future()

        def deliver(found: bytes) -> None:
            if not typed.done():
                typed.set_result(found)

        def read() -> None:
            found = self._read_now()
            with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
                loop.call_soon_threadsafe(deliver, found)

        threading.Thread(target=read, name="orchestra terminal", daemon=True).start()
        return await typed

    def _read_now(self) -> bytes:
        try:
            return os.read(self.source, _CHUNK)
        except OSError:  # how Linux says that the other side of a terminal is closed
            return b""

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.source)
        os.close(self.sink)


def attend(config: pytest.Config) -> None:
    """Take hold of the terminal for the session. Raises ``pytest.UsageError`` where there is none to ask at."""
    if worker_input(config) or config.getoption("numprocesses", default=None) or config.getoption("tx", default=None):
        raise _refusal("scenarios run in workers of xdist, which have no terminal", hint="leave -n out")
    with _terminal_at_hand(config):
        if not (os.isatty(_INPUT) and os.isatty(_OUTPUT)):
            raise _refusal(
                "there is no terminal to ask at",
                hint="start pytest at a terminal, its input and its output not redirected",
            )
        terminal = Terminal(os.dup(_INPUT), os.dup(_OUTPUT), lambda: fresh_line(config))
    config.stash[_TERMINAL] = terminal
    config.add_cleanup(terminal.close)


def conversation_of(config: pytest.Config) -> Conversation | None:
    """Give the stepper at the terminal of a session; None where nobody steps."""
    terminal = config.stash.get(_TERMINAL, None)
    if terminal is None:
        return None
    return Conversation(
        terminal,
        interrupt=lambda: signal.raise_signal(signal.SIGINT),
        width=lambda: min(shutil.get_terminal_size().columns, _WIDEST),
        encoding=terminal.encoding,
        # other plugins hold items to time limits and heed this hook
        on_run=lambda: config.hook.pytest_enter_pdb(config=config, pdb=None),
    )


def _refusal(fact: str, *, hint: str) -> pytest.UsageError:
    return pytest.UsageError(str(SettingsError(f"--orchestra-step: {fact}", hint=hint)))


@contextmanager
def _terminal_at_hand(config: pytest.Config) -> Iterator[None]:
    """Put the descriptors of the process back where they were before pytest captured, as it does for a debugger."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        yield
        return
    capture.suspend_global_capture(in_=True)
    try:
        yield
    finally:  # which is how options are read: input captured, output not
        capture.resume_global_capture()
        capture.suspend_global_capture(in_=False)
