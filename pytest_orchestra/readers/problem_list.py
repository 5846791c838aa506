"""The problems that a reading collects, so that one oddity never hides the next."""

from __future__ import annotations

from typing import Final

from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["ProblemList"]

_LIMIT: Final = 500
_LONGEST: Final = 1_000


class ProblemList:
    """Collects the problems of one file; beyond a limit they are only counted, errors excepted."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: list[Problem] = []
        self._left_out = 0
        self._room = _LIMIT

    def add_error(self, place: Place, message: str, hint: str | None, element: str | None = None) -> None:
        """Add what makes the file unusable."""
        self._add(Severity.ERROR, place, message, hint, element)

    def add_warning(self, place: Place, message: str, hint: str | None, element: str | None = None) -> None:
        """Add what a user should know; the rest of the file is used."""
        if not self._room:
            self._left_out += 1
            return
        self._room -= 1
        self._add(Severity.WARNING, place, message, hint, element)

    def _add(self, severity: Severity, place: Place, message: str, hint: str | None, element: str | None) -> None:
        self._problems.append(Problem(severity, place, _shown(message), _shown(hint) if hint else None, element))

    def in_order(self) -> tuple[Problem, ...]:
        """Give the problems in the order of their places."""
        found = sorted(self._problems, key=lambda problem: problem.place)
        if self._left_out:
            message = f"{self._left_out} more problems are not listed"
            hint = "mend those that are, then look again"
            found.append(Problem(Severity.WARNING, Place(self.file), message, hint))
        return tuple(found)


def _shown(text: str) -> str:
    """Make a text fit for a terminal: files hold names of any length, and characters that steer the terminal."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
