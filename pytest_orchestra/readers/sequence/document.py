"""The reading of one file of sequence diagrams, from its path to the document with all problems found on the way."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.model.process import ProcessDocument, SourceType
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.problem_list import ProblemList
from pytest_orchestra.readers.sequence.assembly import assemble_process
from pytest_orchestra.readers.sequence.mermaid import read_mermaid
from pytest_orchestra.readers.sequence.plantuml import read_plantuml
from pytest_orchestra.readers.sequence.statements import Diagram
from pytest_orchestra.readers.sequence.wording import Identifiers, slug
from pytest_orchestra.readers.source_text import decode_text, read_bytes, unreadable

__all__ = ["holds_sequence", "read_sequence_file"]

_MEGABYTE: Final = 1_000_000
_LARGEST: Final = 4 * _MEGABYTE
_PLANTUML: Final = frozenset({".puml", ".plantuml", ".pu"})
_MERMAID: Final = frozenset({".mmd", ".mermaid"})


def read_sequence_file(path: Path) -> ProcessDocument:
    """Read the sequence diagrams of a file: Mermaid (``.mmd``, ``.mermaid``), or PlantUML (``.puml``, ``.plantuml``,
    ``.pu``), which may hold several.

    Never raises for what the file holds or for a file that cannot be read: that is told in ``problems``, each with its
    place. An error means that the file, or the diagram at that place, cannot be used; with a warning, the part that it
    names is left out or taken as the message says.
    """
    problems = ProblemList(str(path))
    values: dict[str, Any] = {}
    try:
        data = _read_bytes(path)
        values["text_hash"] = hashlib.sha256(data).hexdigest()
        diagrams = _read_diagrams(path, decode_text(data, problems.file), problems)
        values |= _assemble(path, diagrams, problems)
    except UnreadableFileError as error:
        problems.add_error(error.place or Place(problems.file), error.fact, error.hint)
    return ProcessDocument(str(path), SourceType.SEQUENCE, **values, problems=problems.in_order())


def holds_sequence(path: Path) -> bool:
    """Tell whether a file holds a sequence diagram, and not only diagrams of other kinds.

    A file that cannot be read is said to, so that somebody learns of it.
    """
    if path.is_dir():
        return False
    try:
        text = decode_text(_read_bytes(path), str(path))
    except UnreadableFileError:
        return True
    return bool(_read_diagrams(path, text, ProblemList(str(path))))


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        size = 0  # why it cannot be read is told by the reading
    if size > _LARGEST:
        fact = f"the file is larger than {_LARGEST // _MEGABYTE} MB"
        raise unreadable(Place(str(path)), fact, "split the diagram over several files")
    return read_bytes(path)


def _read_diagrams(path: Path, text: str, problems: ProblemList) -> list[Diagram]:
    suffix = path.suffix.lower()
    if suffix in _PLANTUML or (suffix not in _MERMAID and "@startuml" in text):
        return read_plantuml(text, problems)
    diagram = read_mermaid(text, problems)
    return [] if diagram is None else [diagram]


def _assemble(path: Path, diagrams: list[Diagram], problems: ProblemList) -> dict[str, Any]:
    ids = Identifiers()
    every = [
        assemble_process(diagram, ids.claim(slug(diagram.name) or slug(path.stem) or "process"), problems)
        for diagram in diagrams
    ]
    made = [pair for pair, diagram in zip(every, diagrams, strict=True) if not diagram.is_broken]
    empty = [process for process, _ in made if not process.nodes]
    hint = "write what happens as messages, such as 'A->>B: text'"
    for process in empty:
        add = problems.add_error if len(empty) == len(made) else problems.add_warning
        place = process.place or Place(problems.file)
        add(place, f"diagram '{process.label}' holds no message", hint, process.id)
    return {
        "processes": tuple(process for process, _ in made),
        "collaborations": tuple(collaboration for _, collaboration in made),
    }
