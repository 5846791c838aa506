"""The profile of an effect, the deadline that it proposes, and the budget that it may not exceed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.engine.settling import ENOUGH, SettleBudget, SettlingProfile, percentile
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.run import RunStatus, StepStatus, ViolationType
from pytest_orchestra.testing import reply


def profile(
    count: int = ENOUGH, *, p95: float = 10.0, p99: float = 12.0, timeout: float | None = 100, wait: float | None = None
) -> Any:
    return SettlingProfile("p", "paid", "default", count, 5.0, p95, p99, 20.0, timeout, p99 if wait is None else wait)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_percentile_is_the_least_measurement_that_the_share_does_not_exceed(
    measured: list[float], share: float
) -> None:
    """It is one of the measurements, at least the share lies at or below it, and less than the share below it."""
    ordered = sorted(measured)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(each <= found for each in ordered) >= share * len(ordered) - 1e-9
    assert sum(each < found for each in ordered) < share * len(ordered) + 1e-9


def test_profile_of_measurements_has_their_figures() -> None:
    """Count, percentiles and the slowest, whatever the order."""
    made = SettlingProfile.of("p", "paid", "default", [float(n) for n in range(100, 0, -1)], 200, [40.0] * 100)
    assert (made.count, made.p50_ms, made.p95_ms, made.p99_ms, made.max_ms) == (100, 50, 95, 99, 100)
    assert made.headroom == pytest.approx(0.8)


def test_headroom_is_that_of_the_wait_and_not_of_what_was_before_it() -> None:
    """An effect that settles three seconds after its action, beside other waits, may have all its deadline left."""
    made = profile(p95=3000, p99=3100, timeout=2500, wait=50)
    assert made.headroom == pytest.approx(0.98)
    assert made.proposed_ms == 1000


@pytest.mark.parametrize(("p99", "proposed"), [(12, 1000), (500, 1000), (501, 1100), (1234, 2500), (61_000, 130_000)])
def test_proposed_deadline_is_twice_p99_in_two_figures(p99: float, proposed: float) -> None:
    """Nobody wants to read 2468 ms in a sidecar, nor a deadline that the next pause of a garbage collector breaks."""
    assert profile(p99=p99).proposed_ms == proposed


def test_nothing_is_proposed_from_too_few_measurements() -> None:
    """Below twenty, the 95th percentile is nothing but the slowest."""
    assert profile(ENOUGH - 1).proposed_ms is None
    assert profile(timeout=None).headroom is None


async def _settle(bench: Any, polls: int, count: int = ENOUGH, **more: Any) -> Any:
    bench.answer(paid=[*[reply({"paid": False})] * polls, reply({"paid": True})])
    budget = SettleBudget(2, [profile(count)])
    step = {"alias": "paid", "until": "response.body.paid", "exportAs": {"order": "7"}, **more}
    bindings = Bindings(poll_interval_ms=10, timeout_ms=5000)
    return (await bench.steps({"alias": "place"}, step, bindings=bindings, options={"budget": budget}))["paid"]


async def test_effect_that_settled_slower_than_its_budget_fails_with_the_figures(bench: Any) -> None:
    """The effect came too late, which is a violation by the system under test: the message says by how much."""
    result = await _settle(bench, polls=8)
    assert (result.status, bench.outcome.finished.status) == (StepStatus.FAILED, RunStatus.FAILED)
    [violation] = result.violations
    assert (violation.type, violation.code) == (ViolationType.TIMEOUT, "settle-budget")
    settled = result.settling_time_ms
    assert violation.message == (
        f"the effect settled after {settled:.0f} ms, which is {settled / 10:.1f} times p95 of its history:"
        " 10 ms in 20 measurements; 30 ms is the limit"
    )
    assert violation.details["expected"] == "at most 30 ms"
    assert bench.suite_context == {}, "a step that failed exports nothing"


@pytest.mark.parametrize(("polls", "count"), [(0, ENOUGH), (8, ENOUGH - 1)])
async def test_effect_within_its_budget_or_without_enough_history_passes(bench: Any, polls: int, count: int) -> None:
    """A few measurements prove nothing."""
    assert (await _settle(bench, polls, count)).status is StepStatus.PASSED


async def test_effect_beyond_its_budget_is_not_waited_for_again(bench: Any) -> None:
    """Another look finds what is there already, and would make nothing faster."""
    result = await _settle(bench, polls=8, retry={"attempts": 3, "delayMs": 0, "on": ["TIMEOUT"]})
    assert (result.status, result.attempts) == (StepStatus.FAILED, ())


async def test_budget_says_what_it_cannot_judge(bench: Any) -> None:
    """Whoever asks for a budget is told of how many effects it holds."""
    await _settle(bench, polls=0, count=3)
    assert bench.engine.notes == [
        "settle budget 2: 0 of 1 effects with a history have 20 measurements or more; the others are not judged"
    ]


async def test_assertion_says_how_long_it_waited_at_most(bench: Any) -> None:
    """The deadline in force is part of what is measured."""
    assert (await _settle(bench, polls=0)).timeout_ms == 5000
