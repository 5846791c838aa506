"""Process models of every language, told apart by the names of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pytest_orchestra.model.process import ProcessDocument
from pytest_orchestra.readers.bpmn import read_process_file

__all__ = ["PROCESS_SUFFIXES", "is_process_file", "read_process"]

_SEQUENCE_SUFFIXES: Final = (".mmd", ".mermaid", ".puml", ".plantuml", ".pu")
PROCESS_SUFFIXES: Final = (".bpmn", ".bpmn2", ".bpmn20.xml", *_SEQUENCE_SUFFIXES)


def read_process(path: Path) -> ProcessDocument:
    """Read a BPMN file or a file of sequence diagrams. What is wrong with it is told in its problems."""
    if not _is_of(path, _SEQUENCE_SUFFIXES):
        return read_process_file(path)
    from pytest_orchestra.readers.sequence import read_sequence_file  # noqa: PLC0415  most projects have none

    return read_sequence_file(path)


def is_process_file(path: Path) -> bool:
    """Tell whether a file is a process model: by its name, and a diagram, which may be of any kind, by its text."""
    if not _is_of(path, _SEQUENCE_SUFFIXES):
        return _is_of(path, PROCESS_SUFFIXES)
    from pytest_orchestra.readers.sequence import holds_sequence  # noqa: PLC0415  as above

    return holds_sequence(path)


def _is_of(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes)
