"""The journal: who finds which messages, who is woken, and what is dropped."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from protocol_calls import make_call

from pytest_orchestra.protocols.journal import Journal, read_journal
from pytest_orchestra.protocols.message_matching import Message, MessageQuery

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LONG = 30.0


def message(value=None, correlation_id="corr-1", address="orders", at=NOW):
    return Message(address, None, value, {}, correlation_id, at, {})


def ask(run="run-1", correlation_id="corr-1", topic="orders", value=None, alias="step", **step):
    call = make_call({"kind": "ASSERTION", "topic": topic, **step}, {})
    call = replace(call, run_id=run, correlation_id=correlation_id, address={"topic": topic}, alias=alias)
    return MessageQuery.of(call if value is None else replace(call, message={"value": value}))


def values(messages):
    return [found.value for found in messages]


async def is_told(journal, query):
    """Say whether a look would be worth it, without waiting for it."""
    waiting = asyncio.create_task(journal.news(query, LONG))
    for _ in range(3):
        await asyncio.sleep(0)
    told = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return told


def test_find_gives_messages_in_order_of_arrival_again_and_again():
    """A look changes nothing: what was there stays, what comes is added."""
    journal = Journal()
    for number in range(3):
        journal.add(message(number))
    assert values(journal.find(ask())) == [0, 1, 2]
    journal.add(message(3))
    journal.add(message("other", "corr-2"))
    assert values(journal.find(ask())) == [0, 1, 2, 3]
    assert values(journal.find(ask(value=2))) == [2]
    assert journal.find(ask(topic="elsewhere")) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans()), max_size=60))
def test_find_gives_what_a_plain_search_gives(arrivals):
    """However looks and arrivals take turns, an index finds what a search through everything would find."""
    journal, everything = Journal(), []
    queries = [ask(correlation_id=one, run=one) for one in "xyz"]
    queries += [ask(correlation_id="x", run="x", alias="any", correlationIdExpr="none")]
    queries += [ask(correlation_id=one, run=one, correlationIdExpr="message.value") for one in "abc"]
    for value, correlation_id, looks in arrivals:
        arrived = message(value, correlation_id)
        journal.add(arrived)
        everything.append(arrived)
        if looks:
            for query in queries:
                assert journal.find(query) == [one for one in everything if query.matches(one)]


def test_unexplained_are_the_runs_messages_that_no_assertion_matched():
    """What an assertion of the run has matched is explained, what another run has matched is not."""
    journal = Journal()
    for value in ("a", "b", "c"):
        journal.add(message(value))
    journal.add(message("a", "corr-2"))
    first, second = ask(value="a", alias="first"), ask(value="b", alias="second")
    journal.find(first)
    assert values(journal.unexplained(first)) == ["b", "c"]
    journal.find(second)
    assert values(journal.unexplained(first)) == ["c"]
    journal.find(ask(run="run-2", correlationIdExpr="none"))
    assert values(journal.unexplained(first)) == ["c"]


async def test_news_comes_only_to_those_who_may_care():
    """A message of another run, or at another address, wakes nobody else."""
    journal = Journal()
    query = ask()
    journal.find(query)
    waiting = asyncio.create_task(journal.news(query, LONG))
    await asyncio.sleep(0)
    journal.add(message(1, "corr-2"))
    journal.add(message(1, address="elsewhere"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    journal.add(message(2))
    await asyncio.wait_for(waiting, LONG)
    assert values(journal.find(query)) == [2]


async def test_news_that_came_before_the_wait_is_not_missed():
    """Between a look and the wait after it a message may arrive."""
    journal = Journal()
    query = ask()
    journal.find(query)
    journal.add(message(1))
    assert await is_told(journal, query)
    journal.find(query)
    assert not await is_told(journal, query)
    assert not journal._shelves["orders"].waiting


async def test_news_for_expression_and_for_any_message():
    """Those who look for the id elsewhere are told as well."""
    journal = Journal()
    inside, anything = ask(correlationIdExpr="message.value.id"), ask(alias="any", correlationIdExpr="none")
    waiting = [asyncio.create_task(journal.news(query, LONG)) for query in (inside, anything)]
    await asyncio.sleep(0)
    journal.add(message({"id": "corr-1"}, None))
    await asyncio.wait_for(asyncio.gather(*waiting), LONG)


async def test_news_ends_after_its_time_and_at_a_call():
    """Nobody waits for ever: not beyond the time given, nor for a reader that has failed."""
    journal = Journal()
    await journal.news(ask(), 0.01)
    waiting = asyncio.create_task(journal.news(ask(), LONG))
    await asyncio.sleep(0)
    journal.wake()
    await asyncio.wait_for(waiting, LONG)


def test_messages_older_than_the_window_go_unless_their_run_is_under_way():
    """A run finds its early messages in the end, however long it took; all else makes room."""
    journal = Journal(window_s=60)
    journal.watch("orders", ask(correlationIdExpr="message.value").expression)
    journal.hold("run-1", "corr-1")
    journal.hold("run-2", "in-value")
    for value, correlation_id in (("early", "corr-1"), ("in-value", None), ("noise", "corr-3")):
        journal.add(message(value, correlation_id))
    journal.add(message("late", "corr-3", at=NOW + timedelta(seconds=61)))
    assert values(journal.find(ask())) == ["early"]
    assert values(journal.find(ask("run-2", "in-value", correlationIdExpr="message.value"))) == ["in-value"]
    assert values(journal.find(ask("run-3", "corr-3"))) == ["late"]
    journal.release("run-1")
    assert journal.find(ask()) == []
    journal.release("run-2")
    assert len(journal) == 1


def test_most_messages_are_kept_and_no_more():
    """Memory is bounded: the oldest that nobody holds goes first, also from what was found of it."""
    journal = Journal(most=3)
    query = ask(correlationIdExpr="none")
    for number in range(10):
        journal.add(message(number, f"corr-{number}"))
        journal.find(query)
    assert values(journal.find(query)) == [7, 8, 9]
    assert len(journal) == 3
    assert journal.seen_at("orders") == 10
    assert values(journal.find(ask("run-7", "corr-7"))) == [7]
    assert set(journal._shelves["orders"].by_id) == {("", f"corr-{number}") for number in (7, 8, 9)}
    for number in range(10, 20):
        journal.add(message(number, f"corr-{number}"))
    assert len(journal._shelves["orders"].unfiled) == 3
    assert not journal._shelves["orders"].by_id


def test_any_message_means_any_since_the_run_began():
    """What came before a run is none of its business, unless it is resumed."""
    journal = Journal()
    journal.add(message("before", "x"))
    journal.hold("run-1", "corr-1")
    journal.hold("run-2", "corr-2", since=NOW)
    journal.add(message("past", "x"), is_past=True)
    journal.add(message("now", "x"))
    assert values(journal.find(ask(correlationIdExpr="none"))) == ["now"]
    assert values(journal.find(ask("run-2", "corr-2", correlationIdExpr="none"))) == ["past", "now"]


def test_release_forgets_everything_of_a_run():
    """A session of many runs does not grow; a run that is released twice or never held is no fault."""
    journal = Journal(most=0)
    for number in range(5):
        run, correlation_id = f"run-{number}", f"corr-{number}"
        journal.hold(run, correlation_id)
        journal.add(message(number, correlation_id))
        assert values(journal.find(ask(run, correlation_id))) == [number]
        journal.release(run)
        journal.release(run)
    assert len(journal) == 0
    assert not journal._looks
    assert not journal._runs
    assert not journal._held


def test_runs_with_the_same_correlation_id_hold_it_both():
    """The first to end does not take it from the other."""
    journal = Journal(most=0)
    journal.hold("run-1", "corr-1")
    journal.hold("run-2", "corr-1")
    journal.add(message(1))
    journal.release("run-1")
    assert values(journal.find(ask("run-2"))) == [1]


def test_reply_tells_what_was_found_and_how_the_journal_listens():
    """Rules see messages, the first, their number and what is unexplained; people see what was sought and where."""
    journal = Journal()
    empty = read_journal(journal, ask(value={"a": 1}), {"topic": "orders"})
    assert empty.response == {"messages": [], "message": None, "count": 0, "unexplained": []}
    journal.add(message({"a": 1}))
    journal.add(message({"a": 2}))
    reply = read_journal(journal, ask(value={"a": 1}), {"topic": "orders", "readyAt": "then"})
    found, other = message({"a": 1}).to_json(), message({"a": 2}).to_json()
    assert reply.response == {"messages": [found], "message": found, "count": 1, "unexplained": [other]}
    assert reply.exchange.request == {
        "topic": "orders",
        "readyAt": "then",
        "sought": {"correlationId": "corr-1", "value": {"a": 1}, "valueMatcherMode": "SUBSET"},
        "messagesSeen": 2,
    }
    assert reply.exchange.response == {"count": 1, "messages": [found], "unexplained": [other]}
    assert reply.status_code is None
