"""Many callers, one writer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.errors import StoreError, StoreUnavailableError
from pytest_orchestra.store.group_commit import GroupWriter

Item = tuple[str, int]


class Ledger:
    """A database for the writer: remembers its batches, refuses what it is told to, waits when it is told to."""

    def __init__(self, *, refused: Sequence[Item] = (), error: Exception | None = None) -> None:
        self.batches: list[tuple[Item, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = asyncio.Event()
        self._refused = set(refused)
        self._error = error or StoreError("store: refused")

    async def write(self, items: Sequence[Item]) -> Sequence[str]:
        self.batches.append(tuple(items))
        self.writing.set()
        await self.gate.wait()
        if self._refused.intersection(items):
            raise self._error
        return [f"{name}{number}" for name, number in items]

    def writer(self) -> GroupWriter[Item, str]:
        return GroupWriter(self.write, lambda item: item[0])


async def test_submit_while_a_batch_is_written_forms_the_next():
    """Whatever comes during a commit is committed together afterwards; everyone gets his own outcome."""
    ledger = Ledger()
    writer = ledger.writer()
    ledger.gate.clear()
    first = writer.submit(("a", 0))
    await ledger.writing.wait()
    rest = [writer.submit((name, 1)) for name in "bcd"]
    await asyncio.sleep(0)
    assert not first.done()
    ledger.gate.set()
    assert await asyncio.gather(first, *rest) == ["a0", "b1", "c1", "d1"]
    assert ledger.batches == [(("a", 0),), (("b", 1), ("c", 1), ("d", 1))]


async def test_submit_same_subject_goes_into_the_next_batch():
    """A batch has at most one item of a subject, and a subject's items keep their order."""
    ledger = Ledger()
    writer = ledger.writer()
    await asyncio.gather(*(writer.submit(item) for item in [("a", 0), ("a", 1), ("b", 0), ("a", 2), ("b", 1)]))
    assert ledger.batches == [(("a", 0), ("b", 0)), (("a", 1), ("b", 1)), (("a", 2),)]


async def test_submit_one_refused_fails_only_its_caller():
    """An item that the database refuses fails alone; the others of its batch are written."""
    ledger = Ledger(refused=[("b", 0)])
    writer = ledger.writer()
    outcomes = await asyncio.gather(*(writer.submit((name, 0)) for name in "abc"), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["a0", "store: refused", "c0"]
    assert len(ledger.batches) == 4


async def test_submit_store_away_fails_all_at_once():
    """A store that is gone is not asked again for each item."""
    ledger = Ledger(refused=[("b", 0)], error=StoreUnavailableError("store: away"))
    writer = ledger.writer()
    outcomes = await asyncio.gather(*(writer.submit((name, 0)) for name in "abc"), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["store: away"] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert len(ledger.batches) == 1


async def test_submit_store_away_fails_also_what_came_while_it_was_sought():
    """A store has patience once, and not for every batch anew, nor for every item of a batch that it refused."""
    ledger = Ledger(refused=[("a", 0)], error=StoreUnavailableError("store: away"))
    writer = ledger.writer()
    ledger.gate.clear()
    first = [writer.submit((name, 0)) for name in "ab"]
    await ledger.writing.wait()
    later = [writer.submit(item) for item in [("a", 1), ("b", 1), ("a", 2), ("c", 0)]]
    ledger.gate.set()
    outcomes = await asyncio.gather(*first, *later, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["store: away"] * 6
    assert len(ledger.batches) == 1
    assert await writer.submit(("d", 0)) == "d0"


async def test_submit_store_away_after_a_refusal_is_asked_once():
    """Items of a refused batch are written one by one, until the store is away."""
    asked: list[tuple[Item, ...]] = []

    async def write(items: Sequence[Item]) -> Sequence[str]:
        asked.append(tuple(items))
        raise StoreError("store: refused") if len(items) > 1 else StoreUnavailableError("store: away")

    writer: GroupWriter[Item, str] = GroupWriter(write, lambda item: item[0])
    outcomes = await asyncio.gather(*(writer.submit((name, 0)) for name in "abc"), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["store: away"] * 3
    assert [len(batch) for batch in asked] == [3, 1]


async def test_submit_unexpected_error_reaches_the_caller():
    """An error that nobody foresaw does not leave callers waiting for ever."""
    ledger = Ledger(refused=[("a", 0)], error=ZeroDivisionError("oops"))
    writer = ledger.writer()
    with pytest.raises(ZeroDivisionError):
        await writer.submit(("a", 0))
    assert await writer.submit(("b", 0)) == "b0"


async def test_submit_cancelled_caller_is_still_written():
    """What happened is written, also when nobody waits for it any more."""
    ledger = Ledger()
    writer = ledger.writer()
    ledger.gate.clear()
    tasks = [writer.submit((name, 0)) for name in "ab"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    ledger.gate.set()
    assert await tasks[1] == "b0"
    assert ledger.batches == [(("a", 0), ("b", 0))]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


async def test_flush_waits_for_all_that_was_submitted():
    """After a flush nothing is pending."""
    ledger = Ledger()
    writer = ledger.writer()
    tasks = [writer.submit(("a", number)) for number in range(3)]
    await asyncio.sleep(0)
    await writer.flush()
    assert len(ledger.batches) == 3
    assert await asyncio.gather(*tasks) == ["a0", "a1", "a2"]


async def test_flush_of_nothing_returns():
    """There is nothing to wait for before the first item."""
    await Ledger().writer().flush()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), max_size=30))
def test_batches_have_each_item_once_in_order(items: list[Item]):
    """No item is lost, doubled, or written before an earlier one of its subject."""

    async def submit_all() -> tuple[Ledger, list[str]]:
        ledger = Ledger()
        writer = ledger.writer()
        return ledger, await asyncio.gather(*(writer.submit(item) for item in items))

    with asyncio.Runner() as runner:
        ledger, outcomes = runner.run(submit_all())
    assert outcomes == [f"{name}{number}" for name, number in items]
    for subject in "abc":
        written = [item for batch in ledger.batches for item in batch if item[0] == subject]
        assert written == [item for item in items if item[0] == subject]
    assert all(len({name for name, _ in batch}) == len(batch) for batch in ledger.batches)
