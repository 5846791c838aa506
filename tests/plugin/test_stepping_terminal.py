"""The terminal that questions are asked at, on descriptors that are none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_orchestra.plugin.stepping import Terminal


@pytest.fixture
def pipe() -> Iterator[tuple[Terminal, int, int]]:
    """Give a terminal, where one types, and where one reads what it shows."""
    source, typing = os.pipe()
    reading, sink = os.pipe()
    terminal = Terminal(source, sink)
    yield terminal, typing, reading
    terminal.close()
    os.close(reading)


async def test_lines_come_one_by_one_however_they_are_typed(pipe: tuple[Terminal, int, int]) -> None:
    """Several at once are kept for later, one in pieces is put together, and the end is told as often as one asks."""
    terminal, typing, _ = pipe
    os.write(typing, "p dätä\r\nc\nse".encode())
    assert [await terminal.read_line(), await terminal.read_line()] == ["p dätä", "c"]
    asking = asyncio.create_task(terminal.read_line())
    await asyncio.sleep(0)
    os.write(typing, b"t data.a = 1\n")
    assert await asking == "set data.a = 1"
    os.write(typing, b"unfinished")
    os.close(typing)
    assert [await terminal.read_line(), await terminal.read_line()] == [None, None]


async def test_question_that_is_cancelled_takes_nothing_that_is_typed_later(pipe: tuple[Terminal, int, int]) -> None:
    """What is typed then is for who reads next."""
    terminal, typing, _ = pipe
    asking = asyncio.create_task(terminal.read_line())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    os.write(typing, b"later\n")
    os.close(typing)
    assert os.read(terminal.source, 100) == b"later\n"


async def test_input_that_the_loop_cannot_watch_is_read_in_a_thread(tmp_path: Path) -> None:
    """A file is such an input everywhere; every input is on Windows."""
    file = tmp_path / "typed"
    file.write_text("c\nq\n")
    source = os.open(file, os.O_RDONLY)
    terminal = Terminal(source, os.dup(source))
    assert [await terminal.read_line() for _ in range(3)] == ["c", "q", None]
    terminal.close()


def test_text_is_shown_at_once_behind_an_ended_line(pipe: tuple[Terminal, int, int]) -> None:
    """Whoever writes to the same terminal is asked to end a line first; what cannot be written is replaced."""
    terminal, typing, reading = pipe
    os.close(typing)
    terminal.on_write = lambda: os.write(terminal.sink, b"|") and None
    terminal.write("(step) \ud800")
    assert os.read(reading, 100) == b"|(step) ?"
