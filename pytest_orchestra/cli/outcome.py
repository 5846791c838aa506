"""What a command came to: facts in two shapes, and an exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import TextIO

from pytest_orchestra.model.json import JsonValue

__all__ = ["ExitCode", "Outcome"]


class ExitCode(IntEnum):
    """The exit codes that all commands share."""

    FINE = 0
    FINDINGS = 1
    WRONG_INPUT = 2
    ENVIRONMENT = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """``text`` for people, ``facts`` for programs, ``error`` for standard error.

    ``notes`` are what people are told there besides, for ``text`` is a document that may be piped on; facts have them.
    """

    exit_code: ExitCode = ExitCode.FINE
    text: str = ""
    facts: JsonValue = None
    error: str = ""
    notes: str = ""

    def write(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        """Write it. Errors are facts too where JSON is asked for."""
        if as_json and self.error and self.facts is None:
            out.write(json.dumps({"error": self.error}, ensure_ascii=False, indent=2) + "\n")
        elif as_json:
            out.write(json.dumps(self.facts, ensure_ascii=False, indent=2) + "\n")
        elif self.text:
            out.write(self.text.rstrip("\n") + "\n")
        if self.notes and not as_json:
            err.write(self.notes.rstrip("\n") + "\n")
        if self.error:
            err.write(f"error: {self.error}\n")
        out.flush()
