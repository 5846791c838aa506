"""What a reader is told that finds nothing in the context of the suite."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_orchestra.testing import reply

READER = {"alias": "read", "inputTemplate": {"body": "{{suite.order}}"}}
WRITER = {"alias": "write", "exportAs": {"order": "response.body.id"}}


async def _fault(bench: Any, scenarios: dict[str, list[Any]], **more: Any) -> Any:
    outcomes = await bench.run(scenarios, **more)
    return outcomes["reader"].finished.fault


async def test_missing_export_names_the_run_that_failed_to_write_it(bench: Any) -> None:
    """Whose step should have exported it, and how its run ended, stands in the error."""
    bench.answer(write=[reply({"id": 1}, status=500)])
    fault = await _fault(bench, {"writer": [WRITER], "reader": [{"alias": "first"}, READER]}, concurrency=1)
    assert fault.message == (
        "'suite.order' is not there: step 'write' of 'writer' should have exported it, which ended as FAILED"
    )
    assert fault.hint == "see why it did not pass"


async def test_missing_export_of_a_run_under_way_hints_at_depends_on(bench: Any) -> None:
    """A reader that does not wait for its writer is told how to."""
    fault = await _fault(bench, {"reader": [READER], "writer": [WRITER]}, concurrency=1)
    assert fault.message.endswith("step 'write' of 'writer' should have exported it, which has not ended yet")
    assert fault.hint == "let this scenario depend on it with 'dependsOn'"


@pytest.mark.parametrize(
    ("needs", "read"),
    [
        ({}, "3"),
        ({"reader": ["one"]}, "1"),
        ({"reader": ["between"], "between": ["one"]}, "1"),
        ({"reader": ["between", "two"], "between": ["one"]}, "2"),
        ({"reader": ["two", "between"], "between": ["one"]}, "2"),
        ({"reader": ["two", "one"]}, "1"),
    ],
)
async def test_reader_sees_what_the_runs_export_on_which_it_depends(
    bench: Any, needs: dict[str, list[str]], read: str
) -> None:
    """Whoever else writes that name meanwhile; without any, it has the value that was written last."""
    bench.answer(**{f"w{n}": [reply({"id": n})] for n in (1, 2, 3)})
    writers = {
        key: [{"alias": f"w{n}", "exportAs": {"order": "response.body.id"}}]
        for n, key in enumerate(("one", "two", "three"), 1)
    }
    scenarios = {**writers, "between": [{"alias": "idle"}], "reader": [READER]}
    await bench.run(scenarios, needs=needs, concurrency=1)
    [sent] = [call for call in bench.protocol.calls if call.alias == "read"]
    assert str(sent.input["body"]) == read


async def test_resumed_reader_sees_what_its_prerequisite_had_exported(bench: Any) -> None:
    """Runs that ended in an earlier session have exported the same as then, for whoever depends on them."""
    bench.answer(first=[reply({"id": 1})], second=[reply({"id": 2})])
    one = [{"alias": "first", "exportAs": {"order": "response.body.id"}}]
    two = [{"alias": "second", "exportAs": {"order": "response.body.id"}}]
    await bench.run({"one": one, "two": two}, concurrency=1)
    scenarios = {"one": one, "two": two, "reader": [READER]}
    await bench.run(scenarios, needs={"reader": ["one"]}, options={"resumes": True, "owner": "next"})
    assert [(call.alias, call.input.get("body")) for call in bench.protocol.calls] == [
        ("first", None),
        ("second", None),
        ("read", 1),
    ]


async def test_run_reads_its_own_export_whoever_writes_that_name_meanwhile(bench: Any) -> None:
    """Between a step that exports and one that reads, another run may come."""
    waits = [reply({"done": False}), reply({"done": False}), reply({"done": True})]
    bench.answer(mine=[reply({"id": 1})], theirs=[reply({"id": 2})], pause=waits)
    pause = {"alias": "pause", "until": "response.body.done"}
    mine = [{"alias": "mine", "exportAs": {"order": "response.body.id"}}, pause, READER]
    theirs = [{"alias": "theirs", "exportAs": {"order": "response.body.id"}}]
    await bench.run({"mine": mine, "theirs": theirs})
    [sent] = [call for call in bench.protocol.calls if call.alias == "read"]
    assert (bench.suite_context["order"], sent.input["body"]) == (2, 1)


async def test_missing_export_that_nobody_writes_says_so(bench: Any) -> None:
    """Where no run of the session has such a step, that is the reason."""
    fault = await _fault(bench, {"reader": [READER]})
    assert fault.message == "'suite.order' is not there: no step of this session exports it"


@pytest.mark.parametrize(
    "template", ["{{suite.order | default('none')}}", "{{suite.order if data.x is defined else 1}}"]
)
async def test_export_that_a_template_does_without_is_no_error(bench: Any, template: str) -> None:
    """What guards itself is left alone."""
    assert await _fault(bench, {"reader": [{"alias": "read", "inputTemplate": {"body": template}}]}) is None
