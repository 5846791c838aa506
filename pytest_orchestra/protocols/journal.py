"""What arrived at the topics, exchanges and queues of one broker, for everyone who waits there.

One reader fills a journal and all scenarios look into it, so that a hundred of them cost little more than one. Messages
are found by address and correlation id, and whoever waits is woken only by what may be meant for them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from pytest_orchestra.data.expressions import Expression
from pytest_orchestra.data.redaction import shorten
from pytest_orchestra.engine.ports import Reply
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.protocols.message_matching import Message, MessageQuery, read_correlation

__all__ = ["Journal", "read_journal"]

_S = TypeVar("_S")

_SHOWN_LIMIT: Final = 4_000
_MOST_LOOKS: Final = 10_000


class _Entry:
    """A message with its number and its correlation ids; it is made of its source when someone wants to see it."""

    __slots__ = ("_make", "_source", "address", "arrived_at", "correlation_id", "ids", "is_past", "number")

    def __init__(
        self,
        number: int,
        address: str,
        correlation_id: str | None,
        arrived_at: datetime,
        is_past: bool,
        source: Any,
        make: Callable[[Any], Message] | None,
    ) -> None:
        self.number = number
        self.address = address
        self.correlation_id = correlation_id
        self.arrived_at = arrived_at
        self.is_past = is_past
        self.ids: dict[str, str] | None = None
        self._source = source
        self._make = make

    @property
    def message(self) -> Message:
        if self._make is not None:
            self._source = self._make(self._source)
            self._make = None
        message: Message = self._source
        return message

    @property
    def all_ids(self) -> Iterator[tuple[str, str]]:
        """Its correlation ids by lens: the one of its header, and what expressions found."""
        if self.correlation_id is not None:
            yield "", self.correlation_id
        if self.ids is not None:
            yield from self.ids.items()


@dataclass(slots=True, eq=False)
class _Shelf:
    """What arrived at one address. ``by_id`` holds the same entries by lens and correlation id.

    Most messages are nobody's: those whose id is not ``sought`` wait in ``unfiled`` until someone new looks.
    """

    entries: dict[int, _Entry] = field(default_factory=dict)
    lenses: dict[str, Expression] = field(default_factory=dict)
    by_id: dict[tuple[str, str], dict[int, _Entry]] = field(default_factory=dict)
    sought: Counter[str] = field(default_factory=Counter)
    unfiled: deque[_Entry] = field(default_factory=deque)
    waiting: dict[tuple[str, str] | None, set[asyncio.Future[None]]] = field(default_factory=dict)
    seen: int = 0

    def file(self, entry: _Entry) -> None:
        """Let a message be found by its correlation ids."""
        for lens, expression in self.lenses.items():
            found = read_correlation(expression, entry.message)
            if found is not None:
                entry.ids = {**(entry.ids or {}), lens: found}
        for key in entry.all_ids:
            self.by_id.setdefault(key, {})[entry.number] = entry

    def file_all(self) -> None:
        """Let all messages be found, in the order in which they came."""
        while self.unfiled:
            self.file(self.unfiled.popleft())

    def add_lens(self, expression: Expression) -> None:
        """Let messages be found by what an expression says is their correlation id."""
        self.file_all()
        self.lenses[expression.text] = expression
        for entry in self.entries.values():
            self.file(entry)

    def tell(self, entry: _Entry) -> None:
        """Wake those who wait for a message of these correlation ids."""
        if self.waiting:
            for key in entry.all_ids:
                _wake(self.waiting.pop(key, ()))

    def drop(self, entry: _Entry) -> None:
        """Forget a message."""
        self.entries.pop(entry.number, None)
        if self.unfiled and self.unfiled[0] is entry:
            self.unfiled.popleft()
            return
        for key in entry.all_ids:
            bucket = self.by_id.get(key)
            if bucket is not None:
                bucket.pop(entry.number, None)
                if not bucket:
                    del self.by_id[key]


@dataclass(slots=True, eq=False)
class _Look:
    """How far a query has looked, what it found, and the ids that it seeks at its shelf."""

    shelf: _Shelf
    ids: tuple[str, ...]
    upto: int = 0
    found: dict[int, _Entry] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Run:
    """What is kept for a run: its correlation ids, from where it looks, and what its assertions matched."""

    ids: set[str] = field(default_factory=set)
    after: int = 0
    sees_past: bool = False
    explained: set[int] = field(default_factory=set)
    looks: set[tuple[str, ...]] = field(default_factory=set)


class Journal:
    """The messages of one broker, on one event loop.

    Those of runs under way (:meth:`hold`) stay until the run is released. All others stay for ``window_s`` seconds,
    the latest ``most`` of them at most.
    """

    def __init__(self, *, window_s: float = 600.0, most: int = 100_000) -> None:
        self._window = timedelta(seconds=window_s)
        self._most = most
        self._last = 0
        self._shelves: dict[str, _Shelf] = {}
        self._loose: deque[_Entry] = deque()
        self._kept: dict[str, list[_Entry]] = {}
        self._runs: dict[str, _Run] = {}
        self._held: Counter[str] = Counter()
        self._looks: dict[tuple[str, ...], _Look] = {}

    def __len__(self) -> int:
        """How many messages it has."""
        return sum(len(shelf.entries) for shelf in self._shelves.values())

    def seen_at(self, address: str) -> int:
        """Give how many messages arrived at an address, those that were dropped included."""
        shelf = self._shelves.get(address)
        return 0 if shelf is None else shelf.seen

    def messages(self, address: str) -> list[Message]:
        """Give all that is there of an address, in order of arrival."""
        shelf = self._shelves.get(address)
        return [] if shelf is None else [entry.message for entry in shelf.entries.values()]

    def add(self, message: Message, *, is_past: bool = False) -> None:
        """Take a message and wake who waits for such. ``is_past``: it is from before anyone listened here.

        What is past is found by its correlation id, and without one only by runs that were held with ``since``.
        """
        self.add_all(message.address, (message,), _id_of_message, arrived_at=message.arrived_at, is_past=is_past)

    def add_all(
        self,
        address: str,
        sources: Sequence[_S],
        identify: Callable[[_S], str | None],
        make: Callable[[_S], Message] | None = None,
        *,
        arrived_at: datetime,
        is_past: bool = False,
    ) -> None:
        """Take what arrived at an address, in that order.

        ``identify`` gives the correlation id of one; ``make`` makes a message of it, if anyone wants to see it, and is
        None where they are messages already.
        """
        shelf = self._shelves.get(address)
        if shelf is None:
            shelf = self._shelves[address] = _Shelf()
        number, is_read = self._last, bool(shelf.lenses)
        entries, sought, unfiled, loose = shelf.entries, shelf.sought, shelf.unfiled, self._loose
        for source in sources:
            number += 1
            found = identify(source)
            entry = _Entry(number, address, found, arrived_at, is_past, source, make)
            entries[number] = entry
            loose.append(entry)
            if is_read or found in sought:
                shelf.file(entry)
                shelf.tell(entry)
            else:
                unfiled.append(entry)
        self._last = number
        shelf.seen += len(sources)
        if shelf.waiting:
            _wake(shelf.waiting.pop(None, ()))
        self._trim(arrived_at)

    def find(self, query: MessageQuery) -> list[Message]:
        """Give the messages that a query matches, in order of arrival. The run has explained them with it."""
        shelf = self._shelf_of(query)
        look = self._look_of(query)
        run = self._runs.get(query.run_id)
        for entry in self._fresh(query, shelf, look, run):
            if query.matches(entry.message):
                look.found[entry.number] = entry
        look.upto = self._last
        gone = [number for number in look.found if number not in shelf.entries]
        for number in gone:
            del look.found[number]
        self._run_of(query.run_id).explained.update(look.found)
        return [entry.message for entry in look.found.values()]

    def unexplained(self, query: MessageQuery) -> list[Message]:
        """Give the messages of the query's run at its address that no assertion of the run matched so far."""
        shelf = self._shelf_of(query)
        explained = self._run_of(query.run_id).explained
        bucket = shelf.by_id.get((query.lens, query.own_id), {})
        return [entry.message for number, entry in bucket.items() if number not in explained]

    async def news(self, query: MessageQuery, longest_s: float) -> None:
        """Return when a message that could match has come since the last find, after ``longest_s`` at the latest."""
        shelf = self._shelf_of(query)
        look = self._look_of(query)
        if any(True for _ in self._fresh(query, shelf, look, self._runs.get(query.run_id))):
            return
        spot = None if query.correlation_id is None else (query.lens, query.correlation_id)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        shelf.waiting.setdefault(spot, set()).add(told)
        try:
            async with asyncio.timeout(longest_s):
                await told
        except TimeoutError:
            pass
        finally:
            waiting = shelf.waiting.get(spot)
            if waiting is not None:
                waiting.discard(told)
                if not waiting:
                    del shelf.waiting[spot]

    def wake(self) -> None:
        """Wake everyone who waits, because the reader of the broker has failed or is closed."""
        for shelf in self._shelves.values():
            while shelf.waiting:
                _wake(shelf.waiting.popitem()[1])

    def watch(self, address: str, expression: Expression | None) -> None:
        """Be ready to find messages at an address by what an expression says is their correlation id."""
        shelf = self._shelves.setdefault(address, _Shelf())
        if expression is not None and expression.text not in shelf.lenses:
            shelf.add_lens(expression)

    def hold(self, run_id: str, correlation_id: str, *, since: datetime | None = None) -> None:
        """Keep what comes for a run until it is released.

        Messages of any correlation id are let in from now on, or also those of the past if the run has a ``since``.
        """
        run = self._run_of(run_id)
        if correlation_id not in run.ids:
            run.after, run.sees_past = self._last, since is not None
            run.ids.add(correlation_id)
            self._held[correlation_id] += 1

    def release(self, run_id: str) -> None:
        """Let go what was kept for a run; one that is not held is no fault."""
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        for identity in run.looks:
            self._forget(identity)
        for correlation_id in run.ids:
            self._held[correlation_id] -= 1
            if self._held[correlation_id] <= 0:
                del self._held[correlation_id]
                for entry in self._kept.pop(correlation_id, ()):
                    self._let_go(entry)

    def _run_of(self, run_id: str) -> _Run:
        return self._runs.setdefault(run_id, _Run())

    def _shelf_of(self, query: MessageQuery) -> _Shelf:
        self.watch(query.address, query.expression)
        return self._shelves[query.address]

    def _look_of(self, query: MessageQuery) -> _Look:
        look = self._looks.get(query.identity)
        if look is None:
            if len(self._looks) >= _MOST_LOOKS:  # the oldest; it will look at everything again
                self._forget(next(iter(self._looks)))
            shelf = self._shelves[query.address]
            shelf.file_all()
            ids = (query.own_id, query.correlation_id or query.own_id)
            shelf.sought.update(ids)
            look = self._looks[query.identity] = _Look(shelf, ids)
            self._run_of(query.run_id).looks.add(query.identity)
        return look

    def _forget(self, identity: tuple[str, ...]) -> None:
        look = self._looks.pop(identity, None)
        if look is None:
            return
        for sought in look.ids:
            look.shelf.sought[sought] -= 1
            if look.shelf.sought[sought] <= 0:
                del look.shelf.sought[sought]

    def _fresh(self, query: MessageQuery, shelf: _Shelf, look: _Look, run: _Run | None) -> Iterable[_Entry]:
        """Give what has come since the last find and may be meant, in order of arrival."""
        if query.correlation_id is not None:
            bucket = shelf.by_id.get((query.lens, query.correlation_id), {})
            return _later(bucket, look.upto)
        found = _later(shelf.entries, max(look.upto, 0 if run is None else run.after))
        return found if run is None or run.sees_past else [entry for entry in found if not entry.is_past]

    def _trim(self, now: datetime) -> None:
        """Drop what is too old or too much, and put aside what belongs to runs under way."""
        oldest = now - self._window
        while self._loose and (len(self._loose) > self._most or self._loose[0].arrived_at < oldest):
            entry = self._loose.popleft()
            self._let_go(entry)

    def _let_go(self, entry: _Entry) -> None:
        shelf = self._shelves[entry.address]
        holder = next((found for _, found in entry.all_ids if found in self._held), None)
        if holder is None:
            shelf.drop(entry)
            return
        if shelf.unfiled and shelf.unfiled[0] is entry:
            shelf.file(shelf.unfiled.popleft())
        self._kept.setdefault(holder, []).append(entry)


def _id_of_message(message: Message) -> str | None:
    return message.correlation_id


def _later(entries: dict[int, _Entry], number: int) -> list[_Entry]:
    """Give the entries after a number; they are in its order, so that looking from the end is enough."""
    found: list[_Entry] = []
    for entry in reversed(entries.values()):
        if entry.number <= number:
            break
        found.append(entry)
    found.reverse()
    return found


def _wake(waiting: Iterable[asyncio.Future[None]]) -> None:
    for told in waiting:
        if not told.done():
            told.set_result(None)


def read_journal(journal: Journal, query: MessageQuery, listening: JsonObject) -> Reply:
    """Look into a journal; give what an assertion sees, and for people what was sought and how the journal listens.

    ``listening`` tells of the broker and the reader: where it listens, from which positions, since when.
    """
    found = journal.find(query)
    unexplained = journal.unexplained(query)
    messages = [message.to_json() for message in found]
    response: dict[str, JsonValue] = {
        "messages": messages,
        "message": messages[0] if messages else None,
        "count": len(messages),
        "unexplained": [message.to_json() for message in unexplained],
    }
    shown: dict[str, JsonValue] = {
        "count": len(found),
        "messages": shorten([message.shown() for message in found], _SHOWN_LIMIT),
        "unexplained": shorten([message.shown() for message in unexplained], _SHOWN_LIMIT),
    }
    request = {
        **listening,
        "sought": shorten(query.to_json(), _SHOWN_LIMIT),
        "messagesSeen": journal.seen_at(query.address),
    }
    return Reply(response, Exchange(request, shown))
