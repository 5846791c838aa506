"""From the bytes of a file to a text that is worth parsing."""

from __future__ import annotations

import re
from typing import Final

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.bpmn.encoding import to_utf8
from pytest_orchestra.readers.bpmn.place_at import place_at
from pytest_orchestra.readers.problem_list import ProblemList

__all__ = ["to_xml_text"]

_MOST_TAGS: Final = 1_000_000
_MOST_ATTRIBUTES: Final = 1_000_000
_EXPORT: Final = "export the process from the modeller as BPMN 2.0 XML"
_LATE_DECLARATION: Final = re.compile(rb"\s+(<\?xml\s.*?\?>)", re.DOTALL)


def to_xml_text(data: bytes, problems: ProblemList) -> bytes:
    """Give a file's text in UTF-8. Raises ``UnreadableFileError`` where there is no use in parsing it."""
    text = to_utf8(data, problems)
    start = len(text) - len(text.lstrip())
    if start == len(text):
        raise UnreadableFileError("the file is empty", place=Place(problems.file), hint=_EXPORT)
    if not text.startswith(b"<", start):
        place = place_at(problems.file, text, start)
        raise UnreadableFileError("the file is not XML", place=place, hint=_EXPORT)
    for mark, things, most in ((b"<", "tags", _MOST_TAGS), (b"=", "attributes", _MOST_ATTRIBUTES)):
        if text.count(mark) > most:
            fact = f"the file has more than {most:,} {things}"
            hint = "split the process over several files"
            raise UnreadableFileError(fact, place=Place(problems.file), hint=hint)
    return _without_late_declaration(text, problems)


def _without_late_declaration(text: bytes, problems: ProblemList) -> bytes:
    """Blank out an XML declaration that white space precedes; the places of all else stay what they are."""
    declaration = _LATE_DECLARATION.match(text)
    if not declaration:
        return text
    start, end = declaration.span(1)
    place = place_at(problems.file, text, start)
    problems.add_warning(place, "the XML declaration is not at the start of the file", "delete what stands before it")
    return text[:start] + re.sub(rb"[^\n]", b" ", declaration[1]) + text[end:]
