"""Files that a request's body is made of: which they are, and their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_orchestra.errors import StepError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.protocols.media_type import essence_of, is_json

__all__ = ["FORM", "FileRef", "find_files", "is_multipart", "read_files"]

FORM = "application/x-www-form-urlencoded"
_LARGEST = 256 * 1024 * 1024
_KEYS = frozenset({"file", "base64", "filename", "mediaType"})


class FileRef:
    """A file as an input names it: ``{file: PATH}`` or ``{base64: TEXT}``, with ``filename`` and ``mediaType``."""

    __slots__ = ("base64", "filename", "media_type", "path")

    def __init__(self, given: Mapping[str, JsonValue]) -> None:
        def text(key: str) -> str | None:
            value = given.get(key)
            return value if isinstance(value, str) else None

        self.path, self.base64 = text("file"), text("base64")
        self.filename, self.media_type = text("filename"), text("mediaType")

    @classmethod
    def of(cls, value: JsonValue) -> FileRef | None:
        """Read a value; None where it is something else."""
        if not isinstance(value, Mapping) or not set(value) <= _KEYS:
            return None
        if not all(isinstance(text, str) for text in value.values() if text is not None):
            return None
        ref = cls(value)
        return ref if (ref.path is None) != (ref.base64 is None) else None


def is_multipart(media_type: str) -> bool:
    """Tell whether a body of this type is made of parts."""
    return essence_of(media_type).startswith("multipart/")


def find_files(body: JsonValue, media_type: str) -> Iterator[str]:
    """Give the paths of the files that a body of this media type is made of."""
    if not isinstance(body, Mapping) or is_json(media_type) or essence_of(media_type) == FORM:
        return
    fields: list[JsonValue] = [body]
    if is_multipart(media_type):
        fields = [item for value in body.values() for item in (value if isinstance(value, list) else [value])]
    for field in fields:
        ref = FileRef.of(field)
        if ref is not None and ref.path is not None:
            yield ref.path


def read_files(paths: set[str], folder: Path) -> dict[str, bytes]:
    """Read files, whose paths are relative to ``folder``. Raises ``StepError`` for one that cannot be read."""
    contents: dict[str, bytes] = {}
    for path in sorted(paths):
        whole = folder / Path(path).expanduser()
        try:
            with whole.open("rb") as file:
                contents[path] = file.read(_LARGEST + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StepError(
                f"file '{path}' of the body cannot be read: {reason.lower()}",
                hint=f"its path is relative to '{folder}'",
            ) from None
        if len(contents[path]) > _LARGEST:
            raise StepError(f"file '{path}' of the body is larger than {_LARGEST >> 20} MiB", hint="send a smaller one")
    return contents
