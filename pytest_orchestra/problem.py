"""Where something stands in a file, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Place", "Problem", "Severity"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file: ``order.bpmn:42:7``. Lines and columns count from 1; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


class Severity(StrEnum):
    """How bad a problem is: an error stops its subject from being used, a warning does not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a reader or the generation found wrong, with one action that mends it.

    ``code`` is the stable name of the rule that was broken (``deadlock``), empty where the message stands for itself.
    """

    severity: Severity
    place: Place
    message: str
    hint: str | None = None
    element: str | None = None
    code: str = ""

    @property
    def label(self) -> str:
        """How a list of problems calls it: ``error``, or with the rule ``warning[deadlock]``."""
        return f"{self.severity.value}[{self.code}]" if self.code else self.severity.value

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        return f"{text}\nhint: {self.hint}" if self.hint else text
