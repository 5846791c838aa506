"""Group commit: many callers, one writer, a batch a time."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from pytest_orchestra.errors import StoreError, StoreUnavailableError

__all__ = ["GroupWriter"]

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")

_LARGEST_BATCH: Final = 500


@dataclass(slots=True)
class _Entry(Generic[_Item, _Outcome]):
    item: _Item
    outcome: asyncio.Future[_Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupWriter(Generic[_Item, _Outcome]):
    """Collects what callers submit while a batch is being written, and writes it as the next batch.

    ``write`` gets the items of a batch and gives their outcomes in the same order, a ``StoreError`` for one that is
    refused; it returns after the commit.
    ``subject`` says what an item is about: a batch has at most one item of a subject, in the order of their coming.
    """

    def __init__(
        self,
        write: Callable[[Sequence[_Item]], Awaitable[Sequence[_Outcome | StoreError]]],
        subject: Callable[[_Item], Hashable],
    ) -> None:
        self._write = write
        self._subject = subject
        self._waiting: deque[_Entry[_Item, _Outcome]] = deque()
        self._writer: asyncio.Task[None] | None = None

    def submit(self, item: _Item) -> asyncio.Future[_Outcome]:
        """Have an item written with its batch; its outcome is there when it is committed, whether or not one waits."""
        entry: _Entry[_Item, _Outcome] = _Entry(item)
        self._waiting.append(entry)
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._drain())
        return entry.outcome

    async def flush(self) -> None:
        """Wait until all that was submitted is written."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    async def _drain(self) -> None:
        batch: list[_Entry[_Item, _Outcome]] = []
        try:
            while self._waiting:
                batch = self._next_batch()
                try:
                    await self._settle(batch)
                except StoreUnavailableError as error:  # those that waited meanwhile have been as patient as these
                    _fail([*batch, *self._waiting], error)
                    self._waiting.clear()
        finally:
            self._writer = None
            for entry in (*batch, *self._waiting):  # none, unless the loop is being shut down
                entry.outcome.cancel()
            self._waiting.clear()

    def _next_batch(self) -> list[_Entry[_Item, _Outcome]]:
        batch: dict[Hashable, _Entry[_Item, _Outcome]] = {}
        later: list[_Entry[_Item, _Outcome]] = []
        while self._waiting and len(batch) < _LARGEST_BATCH:
            entry = self._waiting.popleft()
            subject = self._subject(entry.item)
            if subject in batch:
                later.append(entry)
            else:
                batch[subject] = entry
        self._waiting.extendleft(reversed(later))
        return list(batch.values())

    async def _settle(self, batch: Sequence[_Entry[_Item, _Outcome]]) -> None:
        try:
            outcomes = await self._write([entry.item for entry in batch])
        except StoreUnavailableError:
            raise
        except StoreError as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            for entry in batch:  # one of them is at fault, and only its caller is to hear of it
                await self._settle([entry])
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers wait for it
            _fail(batch, error)
        else:
            for entry, outcome in zip(batch, outcomes, strict=True):
                if entry.outcome.done():
                    continue
                if isinstance(outcome, StoreError):
                    entry.outcome.set_exception(outcome)
                else:
                    entry.outcome.set_result(outcome)


def _fail(batch: Sequence[_Entry[_Item, _Outcome]], error: Exception) -> None:
    for entry in batch:
        if not entry.outcome.done():
            entry.outcome.set_exception(_for_one_caller(error))


def _for_one_caller(error: Exception) -> Exception:
    """Give an error of which each caller has a copy, so that none adds its traceback to another's."""
    if not isinstance(error, StoreError):
        return error
    own = copy.copy(error)
    own.__cause__ = error
    return own
