"""What kind of document a file is, told by its root element."""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.bpmn.element_stream import SEPARATOR
from pytest_orchestra.readers.bpmn.elements import ELEMENTS
from pytest_orchestra.readers.bpmn.place_at import place_at
from pytest_orchestra.readers.problem_list import ProblemList

__all__ = ["find_namespace"]

_MODEL: Final = "http://www.omg.org/spec/BPMN/20100524/MODEL"
_DRAFT: Final = "http://schema.omg.org/spec/BPMN/2.0"
_EXPORT: Final = "export the process from the modeller as BPMN 2.0 XML"
_DOCTYPE: Final = b"<!DOCTYPE"


class _EnoughSeenError(Exception):
    """The parser need not go on."""


class _Glance:
    """Looks at a document's root, and at its children only where the root leaves a doubt."""

    def __init__(self, text: bytes, file: str) -> None:
        self._text = text
        self._file = file
        self._depth = 0
        self.place = Place(file)
        self.namespace = ""
        self.name = ""
        self.children: set[str] = set()
        self._parser = expat.ParserCreate("utf-8", SEPARATOR)

    def look(self) -> None:
        """Look as far as is needed.

        Raises ``UnreadableFileError`` at a DOCTYPE, ``expat.ExpatError`` for what is no XML.
        """
        parser = self._parser
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(self._text, True)
        except _EnoughSeenError:
            return
        finally:
            parser.StartDoctypeDeclHandler = parser.StartElementHandler = parser.EndElementHandler = None

    def _refuse(self, *_declaration: object) -> None:
        offset = self._text.rfind(_DOCTYPE, 0, self._parser.CurrentByteIndex + len(_DOCTYPE))
        raise UnreadableFileError(
            "a DOCTYPE is not allowed, for it can fetch files and expand without bounds",
            place=place_at(self._file, self._text, max(offset, 0)),
            hint="delete the DOCTYPE; BPMN needs none",
        )

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self.namespace, _, self.name = tag.rpartition(SEPARATOR)
            self.place = place_at(self._file, self._text, self._parser.CurrentByteIndex)
            if self.namespace == _MODEL or self.name != "definitions":
                raise _EnoughSeenError
        elif self._depth == 2:  # noqa: PLR2004  # a child of the root
            self.children.add(tag)

    def _end(self, _tag: str) -> None:
        self._depth -= 1

    def holds(self, namespace: str) -> bool:
        """Whether the root has a child that is a BPMN element of that namespace ("" is none)."""
        prefix = namespace + SEPARATOR if namespace else ""
        return any(prefix + name in self.children for name in ELEMENTS)


def find_namespace(text: bytes, problems: ProblemList) -> str:
    """Tell the namespace that the BPMN elements of a document bear; "" is none.

    Raises ``UnreadableFileError`` for what is not BPMN, ``expat.ExpatError`` for what is no XML, as far as it looks.
    """
    glance = _Glance(text, problems.file)
    glance.look()
    place = glance.place
    if glance.name != "definitions":
        fact = f"the root element is '{glance.name}', not BPMN 'definitions'"
        raise UnreadableFileError(fact, place=place, hint=_EXPORT)
    if glance.namespace == _MODEL:
        return _MODEL
    said = f"the namespace '{glance.namespace}'" if glance.namespace else "no namespace"
    for namespace in (_MODEL, glance.namespace):
        if namespace in {_MODEL, _DRAFT, ""} and glance.holds(namespace):
            message = f"the root element has {said}; it is read as BPMN 2.0"
            problems.add_warning(place, message, f"declare '{_MODEL}'")
            return namespace
    raise UnreadableFileError(
        f"the root element 'definitions' has {said} and is not BPMN 2.0", place=place, hint=_EXPORT
    )
