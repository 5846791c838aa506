"""The place of an offset in a text."""

from __future__ import annotations

from pytest_orchestra.problem import Place

__all__ = ["place_at"]


def place_at(file: str, text: bytes, offset: int) -> Place:
    """Give the line and column of an offset in a UTF-8 text, in characters and counted from 1."""
    line_start = text.rfind(b"\n", 0, offset) + 1
    column = len(text[line_start:offset].decode("utf-8", "replace")) + 1
    return Place(file, text.count(b"\n", 0, offset) + 1, column)
