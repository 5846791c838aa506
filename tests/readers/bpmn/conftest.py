"""BPMN texts for the tests of the reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.readers.bpmn import read_process_file

NAMESPACES = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:di="http://www.omg.org/spec/BPMN/20100524/DI" '
    'xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:dd="http://www.omg.org/spec/DD/20100524/DI" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:v="urn:vendor"'
)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], ProcessDocument]:
    """Read a text as the file 'order.bpmn' in the working directory, so that places are short."""
    monkeypatch.chdir(tmp_path)

    def read_text(text: str | bytes) -> ProcessDocument:
        path = Path("order.bpmn")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_process_file(path)

    return read_text


@pytest.fixture
def read_root(read: Callable[[str | bytes], ProcessDocument]) -> Callable[[str], ProcessDocument]:
    """Read what stands in a ``definitions`` element; it begins in line 2."""
    return lambda body: read(f"<definitions {NAMESPACES}>\n{body}\n</definitions>")


@pytest.fixture
def read_process(read_root: Callable[[str], ProcessDocument]) -> Callable[[str], Process]:
    """Read what stands in a process 'p'; it begins in line 3."""

    def read_body(body: str) -> Process:
        document = read_root(f'<process id="p">\n{body}\n</process>')
        assert [str(problem) for problem in document.problems] == []
        return document.processes[0]

    return read_body


@pytest.fixture
def read_problems(read_root: Callable[[str], ProcessDocument]) -> Callable[[str], list[str]]:
    """Read what stands in a process 'p' (from line 3), and give the problems as a user sees them."""
    return lambda body: [str(problem) for problem in read_root(f'<process id="p">\n{body}\n</process>').problems]
