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
