"""The reading of one BPMN file, from its path to the document with all problems found on the way."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.model.collector import collector_paused
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.bpmn.assembly import Assembly
from pytest_orchestra.readers.bpmn.binding import bind_metamodel
from pytest_orchestra.readers.bpmn.diagram_reader import DiagramReader
from pytest_orchestra.readers.bpmn.element_stream import ElementStream
from pytest_orchestra.readers.bpmn.fault import Fault, find_fault
from pytest_orchestra.readers.bpmn.place_at import place_at
from pytest_orchestra.readers.bpmn.record_reader import RecordReader
from pytest_orchestra.readers.bpmn.records import Lines, Record
from pytest_orchestra.readers.bpmn.root_element import find_namespace
from pytest_orchestra.readers.bpmn.xml_text import to_xml_text
from pytest_orchestra.readers.problem_list import ProblemList

__all__ = ["read_process_file"]

_MEGABYTE: Final = 1_000_000
_LARGEST: Final = 32 * _MEGABYTE
_EXPORT: Final = "export the process from the modeller as BPMN 2.0 XML"


def read_process_file(path: Path) -> ProcessDocument:
    """Read a BPMN 2.0 file of any vendor.

    Never raises for what the file holds or for a file that cannot be read: that is told in ``problems``, each with its
    place and a hint. A problem of severity ``error`` means that the file cannot be used; with a warning, the part
    that it names is left out or taken as the message says.
    """
    problems = ProblemList(str(path))
    values: dict[str, Any] = {}
    try:
        data = _read_bytes(path)
        values["text_hash"] = hashlib.sha256(data).hexdigest()
        with collector_paused():
            values |= _read_text(data, problems)
    except UnreadableFileError as error:
        problems.add_error(error.place or Place(problems.file), error.fact, error.hint)
    return ProcessDocument(str(path), **values, problems=problems.in_order())


def _read_bytes(path: Path) -> bytes:
    place = Place(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFileError("this is no regular file", place=place, hint="give the path of a BPMN file")
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fact = f"the file cannot be read: {reason.lower()}"
        raise UnreadableFileError(fact, place=place, hint="check the path and its permissions") from error
    if len(data) > _LARGEST:
        fact = f"the file is larger than {_LARGEST // _MEGABYTE} MB"
        raise UnreadableFileError(fact, place=place, hint="split the process over several files")
    return data


def _read_text(data: bytes, problems: ProblemList) -> dict[str, Any]:
    """Give the fields of the document. Raises ``UnreadableFileError`` for what is no BPMN."""
    text = to_xml_text(data, problems)
    try:
        return _read_elements(text, find_namespace(text, problems), problems)
    except expat.ExpatError as error:
        fault = find_fault(text) or Fault(0, f"the XML cannot be read: {error}", _EXPORT)
        place = place_at(problems.file, text, fault.offset)
        raise UnreadableFileError(fault.message, place=place, hint=fault.hint) from error


def _read_elements(text: bytes, namespace: str, problems: ProblemList) -> dict[str, Any]:
    stream = ElementStream(problems.file)
    drawing = DiagramReader(stream, problems)
    reader = RecordReader(stream, bind_metamodel(namespace), problems, drawing.frames)
    stream.read(text, reader)
    return {**_assemble(reader, problems), "diagram": drawing.make_diagram(reader.ids.local_of)}


def _assemble(reader: RecordReader, problems: ProblemList) -> dict[str, Any]:
    values = reader.root.values
    processes: list[Record] = values.pop("processes", [])
    collaborations: list[Record] = values.pop("collaborations", [])
    root_events: list[Record] = values.pop("event_definitions", [])
    assembly = Assembly(reader.ids, problems)
    assembly.place_flows(processes, reader.stray_flows)
    choreographies = [assembly.split_choreography(record) for record in processes if record.row.name == "choreography"]
    values["processes"] = [assembly.make_process(record) for record in processes]
    values["collaborations"] = [*(assembly.make_collaboration(record) for record in collaborations), *choreographies]
    values["interfaces"] = [assembly.make_interface(record) for record in values.get("interfaces", ())]
    values["elements"] = [*values.get("elements", ()), *(assembly.make_root_event(record) for record in root_events)]
    _report_emptiness(values["processes"], reader.root.place, problems)
    return {name: _frozen(value) for name, value in values.items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, Lines):
        return "\n".join(value)
    return tuple(value) if isinstance(value, list) else value


def _report_emptiness(processes: list[Process], root: Place, problems: ProblemList) -> None:
    if not processes:
        hint = "draw a process in the modeller, and save it with the file"
        problems.add_error(root, "the file holds no process", hint)
        return
    empty = [process for process in processes if not process.nodes]
    hint = "draw its steps in the modeller, or delete it"
    if len(empty) == len(processes):
        first = empty.pop(0)
        problems.add_error(first.place or root, f"process '{first.label}' is empty", hint, first.id)
    for process in empty:
        problems.add_warning(process.place or root, f"process '{process.label}' is empty", hint, process.id)
