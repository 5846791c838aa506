"""From the bytes of an XML file to UTF-8, whatever the file says or forgets to say about its encoding."""

from __future__ import annotations

import codecs
import re
from typing import Final

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.readers.bpmn.place_at import place_at
from pytest_orchestra.readers.problem_list import ProblemList

__all__ = ["to_utf8"]

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FIRST_CHARACTERS: Final = (
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED: Final = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._:-]{0,40})["']""")
_UNFIT: Final = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "mbcs", "oem"}
)
# PEP 383 stands for a byte that is no UTF-8 by a character of its own.
_STRAYS: Final = {0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)}


def to_utf8(data: bytes, problems: ProblemList) -> bytes:
    """Give the text as UTF-8 without a byte order mark (XML 1.0, appendix F).

    Bytes that the encoding does not allow are read as Windows-1252, with a warning: modellers on Windows write them.
    Raises ``UnreadableFileError`` where the encoding is unknown.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding, problems)
    for start, encoding in _FIRST_CHARACTERS:
        if data.startswith(start):
            return _decoded(data, encoding, problems)
    return _decoded(data, _declared_encoding(data, problems), problems)


def _declared_encoding(data: bytes, problems: ProblemList) -> str:
    declaration = _DECLARED.match(data)
    if not declaration:
        return "utf-8"
    name = declaration[1].decode("ascii")
    place = place_at(problems.file, data, declaration.start(1))
    hint = 'save the file as UTF-8 and declare encoding="UTF-8"'
    try:
        encoding = codecs.lookup(name).name.replace("_", "-")
        b"<\0\0\0".decode(encoding)  # codecs that are no encodings of text refuse
    except (LookupError, ValueError):
        encoding = "undefined"
    if encoding in _UNFIT:
        raise UnreadableFileError(f"the encoding '{name}' is not known", place=place, hint=hint)
    if encoding == "ascii":
        return "utf-8"
    if encoding.startswith(("utf-16", "utf-32")):
        problems.add_warning(place, f"the file declares '{name}', but it is not written so; it is read as UTF-8", hint)
        return "utf-8"
    return encoding


def _decoded(data: bytes, encoding: str, problems: ProblemList) -> bytes:
    if encoding == "utf-8" and data.isascii():
        return data
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        _report(data, encoding, error.start, problems)
        return _repaired(data, encoding)
    return data if encoding == "utf-8" else text.encode("utf-8", "replace")


def _repaired(data: bytes, encoding: str) -> bytes:
    if encoding != "utf-8":
        return data.decode(encoding, "replace").encode("utf-8", "replace")
    return data.decode("utf-8", "surrogateescape").translate(_STRAYS).encode()


def _report(data: bytes, encoding: str, offset: int, problems: ProblemList) -> None:
    message = f"the byte 0x{data[offset]:02X} is not {encoding.upper()}"
    if encoding == "utf-8":
        message += "; it and others like it are read as Windows-1252"
    hint = "save the file as UTF-8, or declare the encoding that it is written in"
    problems.add_warning(place_at(problems.file, data, offset), message, hint)
