"""Which calls have had no reply yet, at every point of a diagram."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

__all__ = ["Call", "OpenCalls"]


@dataclass(slots=True)
class Call:
    """A call by ``sender``, shown as the task ``node``; its ``replies`` are what came back, one for each way."""

    node: str
    sender: str
    receiver: str
    activated: bool = False
    replies: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Split:
    """Alternatives that begin with the same open calls: where their changes begin, and what each came to."""

    mark: int
    opened: set[int] = field(default_factory=set)
    closed: set[int] | None = None


class OpenCalls:
    """Follows the calls through a diagram.

    Alternatives begin with what was open before the first of them; behind them a call is closed if all of them closed
    it. Calls are numbered in their order; all lists of numbers are sorted.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._open: list[int] = []
        self._activated: list[int] = []
        self._between: dict[tuple[str, str], list[int]] = {}
        self._log: list[tuple[int, bool]] = []
        self._splits: list[_Split] = []

    def add(self, call: Call) -> None:
        """Open a call."""
        self._calls.append(call)
        self._change(len(self._calls) - 1, opens=True)

    def activate(self, name: str) -> None:
        """Say that the latest call has made its receiver active, if that is its name."""
        number = len(self._calls) - 1
        if number < 0 or self._calls[number].receiver != name or self._calls[number].activated:
            return
        self._calls[number].activated = True
        if self._open and self._open[-1] == number:
            self._activated.append(number)

    def close(self, sender: str, receiver: str) -> Call | None:
        """Close the latest open call that a message from ``sender`` to ``receiver`` answers."""
        numbers = self._between.get((receiver, sender))
        return self._close(numbers[-1]) if numbers else None

    def close_latest(self) -> Call | None:
        """Close the latest open call that activated its receiver, else the latest of all."""
        numbers = self._activated or self._open
        return self._close(numbers[-1]) if numbers else None

    def _close(self, number: int) -> Call:
        self._change(number, opens=False)
        return self._calls[number]

    def split(self) -> None:
        """Begin the first of several alternatives."""
        self._splits.append(_Split(len(self._log)))

    def next_way(self) -> None:
        """Begin the next alternative: all is as before the first."""
        split = self._splits[-1]
        opened: set[int] = set()
        closed: set[int] = set()
        for number, opens in self._log[split.mark :]:
            here, there = (opened, closed) if opens else (closed, opened)
            if number in there:
                there.discard(number)
            else:
                here.add(number)
        while len(self._log) > split.mark:
            number, opens = self._log.pop()
            self._set(number, opens=not opens)
        split.opened |= opened
        split.closed = closed if split.closed is None else split.closed & closed

    def join(self) -> None:
        """Come together again behind the last alternative."""
        self.next_way()
        split = self._splits.pop()
        for number in sorted(split.closed or ()):
            self._change(number, opens=False)
        for number in sorted(split.opened):
            self._change(number, opens=True)

    def forget(self) -> None:
        """Go on as if there had been no alternative: it did not lead here."""
        self.next_way()
        self._splits.pop()

    def _change(self, number: int, *, opens: bool) -> None:
        self._log.append((number, opens))
        self._set(number, opens=opens)

    def _set(self, number: int, *, opens: bool) -> None:
        call = self._calls[number]
        lists = [self._open, self._between.setdefault((call.sender, call.receiver), [])]
        if call.activated:
            lists.append(self._activated)
        for numbers in lists:
            if opens:
                insort(numbers, number)
            else:
                del numbers[bisect_left(numbers, number)]
