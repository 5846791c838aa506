"""The event file, read back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from pytest_orchestra.engine.events import (
    RunFinished,
    RunQueued,
    RunStarted,
    StepFinished,
    StepPolled,
    StepStarted,
    SuiteFinished,
    SuiteStarted,
)
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.json import from_json
from pytest_orchestra.model.run import SuiteRun
from pytest_orchestra.reporting.ndjson import NdjsonListener, event_line

SUITE = SuiteRun("suite-1", "nightly", "default")


@pytest.fixture
def events(passed):
    """Give one event of each kind."""
    at, run = passed.at, passed.run
    return [
        SuiteStarted(at=at, suite_run=SUITE),
        RunQueued(at=at, run=run),
        RunStarted(at=at, run=run),
        StepStarted(at=at, run_id=run.id, alias="shipped", name="Order shipped"),
        StepPolled(at=at, run_id=run.id, alias="shipped", poll=1, observed="NEW"),
        StepFinished(at=at, run_id=run.id, result=passed.steps[1]),
        passed,
        SuiteFinished(at=at, suite_run=SUITE),
    ]


def test_ndjson_listener_writes_every_event_as_a_line(tmp_path, events):
    """Each event is one line, named, dated, with all its fields."""
    path = tmp_path / "reports" / "events.ndjson"
    listener = NdjsonListener(path)
    for event in events:
        listener.on_event(event)
    listener.close()
    lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    assert [(line["v"], line["event"]) for line in lines] == [(1, type(event).__name__) for event in events]
    assert {line["at"] for line in lines} == {"2026-11-20T22:45:00.500000Z"}
    assert lines[4] == {
        "v": 1,
        "event": "StepPolled",
        "at": "2026-11-20T22:45:00.500000Z",
        "run_id": "run-small-order-vip",
        "alias": "shipped",
        "poll": 1,
        "observed": "NEW",
    }
    finished = {name: value for name, value in lines[6].items() if name not in ("v", "event")}
    assert from_json(RunFinished, finished) == events[6]


def test_ndjson_listener_flushes_each_line(tmp_path, events):
    """A reader, or a crash, finds every event that came before."""
    path = tmp_path / "events.ndjson"
    listener = NdjsonListener(path)
    for count, event in enumerate(events, 1):
        listener.on_event(event)
        assert path.read_bytes().count(b"\n") == count
    listener.close()


def test_ndjson_listener_begins_anew_or_appends(tmp_path, events):
    """A new session replaces the file; a worker of the same session adds to it."""
    path = tmp_path / "events.ndjson"
    for append, count in ((False, 1), (True, 2), (False, 1)):
        listener = NdjsonListener(path, append=append)
        listener.on_event(events[0])
        listener.close()
        assert path.read_bytes().count(b"\n") == count


def test_event_line_is_one_line_of_valid_json_whatever_a_service_sent(passed):
    """Line breaks, lone surrogates and numbers that JSON lacks do not break a reader."""
    observed = {"text": "a\nb\u2028\ud800", "numbers": [math.nan, math.inf, 1.5]}
    line = event_line(StepPolled(at=passed.at, run_id="1", alias="a", poll=1, observed=observed))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line, parse_constant=_reject)["observed"] == {
        "text": "a\nb\u2028\ud800",
        "numbers": [None, None, 1.5],
    }


def _reject(name):
    raise AssertionError(f"{name} is not JSON")


def test_event_line_documents_all_fields(events):
    """The module's description names every field that is written."""
    import pytest_orchestra.reporting.ndjson as module  # noqa: PLC0415  its docstring is under test

    words = set(module.__doc__.replace("``", " ").replace(",", " ").replace("(", " ").replace(")", " ").split())
    names = {name for event in events for name in _names(json.loads(event_line(event)))}
    assert names - words - {"text", "body", "status_code"} == set()


def _names(value, depth=0):
    """Give the names of fields, but not those within values that a user's service chose."""
    if isinstance(value, list):
        return {name for each in value for name in _names(each, depth)}
    if not isinstance(value, dict):
        return set()
    free = {"observed", "value", "response", "request", "details", "exported", "context"}
    return set(value) | {name for key, each in value.items() if key not in free for name in _names(each, depth + 1)}


def test_ndjson_listener_where_it_cannot_write_says_so_at_once(tmp_path):
    """A wrong path is a mistake of the user's, told before anything runs."""
    with pytest.raises(SettingsError) as caught:
        NdjsonListener(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the event file cannot be written: Is a directory\n"
        "hint: name a file in a folder that you may write to"
    )


def test_ndjson_listener_on_a_full_disk_goes_on_and_tells_later(events):
    """A report that cannot be written does not stop a run."""
    from pathlib import Path  # noqa: PLC0415  only here

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    listener = NdjsonListener(full, append=True)
    for event in events:
        listener.on_event(event)
    assert listener.failure == "/dev/full: events are missing, because writing failed: No space left on device"
    listener.close()


def test_ndjson_listener_that_is_closed_takes_no_more(tmp_path, events):
    """Events that come too late are dropped."""
    listener = NdjsonListener(tmp_path / "events.ndjson")
    listener.close()
    listener.on_event(replace(events[0]))
    assert (tmp_path / "events.ndjson").read_bytes() == b""
    assert listener.failure is None
