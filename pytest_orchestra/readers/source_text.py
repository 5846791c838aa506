"""The text of a file, decoded."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from pytest_orchestra.errors import UnreadableFileError
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["decode_text", "read_bytes", "read_text", "unreadable"]

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def unreadable(place: Place, fact: str, hint: str | None = None) -> UnreadableFileError:
    """Make the error of a file that cannot be read or parsed, with its one problem."""
    problem = Problem(Severity.ERROR, place, fact, hint)
    return UnreadableFileError(fact, place=place, hint=hint, problems=(problem,))


def read_bytes(path: Path) -> bytes:
    """Give the content of a regular file. Raises ``UnreadableFileError``."""
    place = Place(str(path))
    try:
        if path.exists() and not path.is_file():  # a device or pipe would never end
            raise unreadable(place, "is not a file", "name a file")
        return path.read_bytes()
    except FileNotFoundError:
        raise unreadable(place, "no such file", "check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise unreadable(place, f"cannot be read: {reason}") from None


def decode_text(raw: bytes, file: str) -> str:
    """Decode UTF-8, or what a byte order mark says, without that mark. Raises ``UnreadableFileError``."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode(encoding, "replace")) + 1
        wrong = f"0x{error.object[error.start]:02x}"
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise unreadable(
            Place(file, line, column), f"byte '{wrong}' is not {name}", "save the file in the encoding UTF-8"
        ) from None


def read_text(path: Path) -> str:
    """Give the text of a file. Raises ``UnreadableFileError``."""
    return decode_text(read_bytes(path), str(path))
