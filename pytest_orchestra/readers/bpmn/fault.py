"""Why a text is no XML: what expat makes of it, in words that help."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from pytest_orchestra.readers.bpmn.element_stream import SEPARATOR

__all__ = ["Fault", "find_fault"]

_TAG: Final = re.compile(rb"""</?([^\s/>"'<=]+)(?:"[^"]*"|'[^']*'|[^"'>]+)*+""")
_NAME: Final = re.compile(rb"""<([^\s/>"'<=]+)""")
_ATTRIBUTE: Final = re.compile(rb"""\s([^\s=/>"']+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_ENTITY: Final = re.compile(rb"&([A-Za-z_][\w.:-]*);")
_PREDEFINED: Final = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})
_EXPORT_AGAIN: Final = "correct the text there, or export the file again from the modeller"
_CUT_OFF: Final = "the file is cut off: export it again from the modeller"
_NEARBY: Final = 24


@dataclass(frozen=True, slots=True)
class Fault:
    """An offset in a text where it stops being XML."""

    offset: int
    message: str
    hint: str


class _Witness:
    """Listens to expat: which elements are open, which prefixes are declared."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.open: list[tuple[str, int]] = []
        self.declared = Counter(["xml"])
        self.parser = expat.ParserCreate("UTF-8", SEPARATOR)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartNamespaceDeclHandler = self._declare
        self.parser.EndNamespaceDeclHandler = self._forget

    def _start(self, _name: str, _attributes: dict[str, str]) -> None:
        tag = _NAME.match(self.text, self.parser.CurrentByteIndex)
        self.open.append((_text(tag[1]) if tag else "", self.parser.CurrentLineNumber))

    def _end(self, _name: str) -> None:
        self.open.pop()

    def _declare(self, prefix: str | None, _uri: str) -> None:
        self.declared[prefix or ""] += 1

    def _forget(self, prefix: str | None) -> None:
        self.declared[prefix or ""] -= 1


def find_fault(text: bytes) -> Fault | None:
    """Tell where and why a UTF-8 text without a DOCTYPE is malformed; None if nothing is wrong with it."""
    witness = _Witness(text)
    try:
        witness.parser.Parse(text, True)
    except expat.ExpatError as error:
        explain = _EXPLANATIONS.get(expat.ErrorString(error.code), _explain_token)
        return Fault(*explain(witness, witness.parser.ErrorByteIndex))
    return None


def _explain_mismatch(witness: _Witness, offset: int) -> tuple[int, str, str]:
    offset = witness.text.rfind(b"</", 0, offset + 2)
    tag = _TAG.match(witness.text, offset)
    name, line = witness.open[-1]
    closed = _text(tag[1]) if tag else ""
    return (
        offset,
        f"'</{closed}>' closes nothing; '<{name}>' of line {line} is open",
        f"close '{name}' before '{closed}'",
    )


def _explain_end(witness: _Witness, _offset: int) -> tuple[int, str, str]:
    end = len(witness.text)
    if not witness.open:
        return end, "the file ends before any element begins", _CUT_OFF
    name, line = witness.open[-1]
    return end, f"the file ends before '<{name}>' of line {line} is closed", _CUT_OFF


def _explain_cut(witness: _Witness, offset: int) -> tuple[int, str, str]:
    start = max(witness.text.rfind(b"<", 0, offset + 1), 0)
    return start, f"the file ends within '{_near(witness, start)}'", _CUT_OFF


def _explain_prefix(witness: _Witness, offset: int) -> tuple[int, str, str]:
    tag = _TAG.match(witness.text, offset)
    if not tag:
        return _explain_token(witness, offset)
    names = [(tag.start(1), tag[1]), *((found.start(1), found[1]) for found in _ATTRIBUTE.finditer(tag[0]))]
    starts = [tag.start(1), *(tag.start() + start for start, _ in names[1:])]
    for start, (_, name) in zip(starts, names, strict=True):
        prefix, colon, _local = _text(name).partition(":")
        if colon and prefix != "xmlns" and not witness.declared[prefix]:
            hint = f"declare xmlns:{prefix} on the root element, or delete what bears the prefix"
            return start, f"the prefix '{prefix}' is not declared", hint
    return _explain_token(witness, offset)


def _explain_attribute(witness: _Witness, offset: int) -> tuple[int, str, str]:
    start = witness.text.rfind(b"<", 0, offset + 1)
    tag = _TAG.match(witness.text, start)
    seen: set[bytes] = set()
    for attribute in _ATTRIBUTE.finditer(tag[0]) if tag else ():
        if attribute[1] in seen:
            name = _text(attribute[1])
            return (
                start + attribute.start(1),
                f"the attribute '{name}' stands twice in one tag",
                "delete one of the two",
            )
        seen.add(attribute[1])
    return offset, "an attribute stands twice in one tag", "delete one of the two"


def _explain_entity(witness: _Witness, offset: int) -> tuple[int, str, str]:
    for entity in _ENTITY.finditer(witness.text, offset):
        if entity[1] not in _PREDEFINED:
            name = _text(entity[0])
            hint = "write the character itself, or its number such as '&#160;'"
            return entity.start(), f"the entity '{name}' is not defined", hint
    return offset, "an entity is not defined", "write the character itself"


def _explain_rest(witness: _Witness, offset: int) -> tuple[int, str, str]:
    return offset, f"text follows the end of the root element: '{_near(witness, offset)}'", "delete what follows it"


def _explain_token(witness: _Witness, offset: int) -> tuple[int, str, str]:
    near = _near(witness, offset)
    return offset, f"malformed XML at '{near}'" if near else "malformed XML", _EXPORT_AGAIN


_EXPLANATIONS: Final = {
    expat.errors.XML_ERROR_TAG_MISMATCH: _explain_mismatch,
    expat.errors.XML_ERROR_NO_ELEMENTS: _explain_end,
    expat.errors.XML_ERROR_UNCLOSED_TOKEN: _explain_cut,
    expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION: _explain_cut,
    expat.errors.XML_ERROR_UNBOUND_PREFIX: _explain_prefix,
    expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE: _explain_attribute,
    expat.errors.XML_ERROR_UNDEFINED_ENTITY: _explain_entity,
    expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT: _explain_rest,
}


def _near(witness: _Witness, offset: int) -> str:
    return " ".join(_text(witness.text[offset : offset + _NEARBY]).split())


def _text(raw: bytes) -> str:
    return "".join(
        character for character in raw.decode("utf-8", "ignore") if character.isprintable() or character.isspace()
    )
