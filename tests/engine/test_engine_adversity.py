"""What goes wrong around runs: listeners, protocols and stores that fail; every run ends all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pytest_orchestra.errors import StoreUnavailableError
from pytest_orchestra.model.run import RunStatus, StepStatus
from pytest_orchestra.store.memory import MemoryStore


class LosingStore(MemoryStore):
    """A store that is lost at the first call of one kind, and counts how often it is asked after that."""

    def __init__(self, lost_at: str) -> None:
        super().__init__("default")
        self.lost_at = lost_at
        self.asked = 0

    async def _lose(self, name: str) -> None:
        if self.asked or name == self.lost_at:
            self.asked += 1
            raise StoreUnavailableError("store: connection to 'db:5432' was lost", hint="see why")

    async def add_runs(self, *args: Any) -> None:
        await self._lose("add_runs")
        await super().add_runs(*args)

    async def claim(self, *args: Any) -> Any:
        await self._lose("claim")
        return await super().claim(*args)

    async def record_step(self, *args: Any) -> None:
        await self._lose("record_step")
        await super().record_step(*args)

    async def finish_run(self, *args: Any) -> None:
        await self._lose("finish_run")
        await super().finish_run(*args)

    async def skip_run(self, *args: Any) -> None:
        await self._lose("skip_run")
        await super().skip_run(*args)

    async def end_suite_run(self, *args: Any) -> Any:
        return None if self.asked else await super().end_suite_run(*args)


@pytest.mark.parametrize("lost_at", ["add_runs", "claim", "record_step", "finish_run"])
async def test_engine_lost_store_ends_every_run_as_an_error_and_is_asked_once(bench: Any, lost_at: str) -> None:
    """What is not stored has not passed; and only the first run waits for the store's patience to end."""
    bench.store = store = LosingStore(lost_at)
    with pytest.raises(StoreUnavailableError):
        await bench.run({f"s{n}": [{"alias": "a"}, {"alias": "b"}] for n in range(20)}, concurrency=1)
    assert {outcome.finished.status for outcome in bench.outcomes.values()} == {RunStatus.ERROR}
    assert len(bench.outcomes) == 20
    assert "store: connection to 'db:5432' was lost" in str(bench.outcomes["s19"].finished.fault)
    assert store.asked == 1


async def test_engine_skip_that_cannot_be_stored_is_an_error(bench: Any) -> None:
    """A run that is skipped because of another, and whose skip is lost, is not lost itself."""
    bench.store = LosingStore("skip_run")
    bench.answer(bad=[AssertionError("bad")])
    with pytest.raises(StoreUnavailableError):
        await bench.run({"bad": [{"alias": "bad"}], "next": [{"alias": "a"}]}, needs={"next": ["bad"]})
    assert bench.outcomes["next"].finished.status is RunStatus.ERROR


async def test_engine_timeout_that_cannot_be_stored_is_an_error(bench: Any) -> None:
    """A run out of time whose result is lost ends as an error of the store."""
    bench.store = LosingStore("record_step")
    bench.answer(delay_s=0.2)
    with pytest.raises(StoreUnavailableError):
        await bench.run({"slow": [{"alias": "a"}, {"alias": "b"}]}, timeout_s=0.02)
    assert bench.outcomes["slow"].finished.status is RunStatus.ERROR


async def test_engine_listener_that_raises_hears_no_more_and_changes_nothing(bench: Any) -> None:
    """A listener only listens: its failure is kept to be told, and the others hear everything."""

    class Fragile:
        heard = 0

        def on_event(self, event: object) -> None:
            self.heard += event is not None
            raise OSError("no space left")

    fragile = Fragile()
    bench.more_listeners = [fragile]
    outcomes = await bench.run({"a": [{"alias": "a"}], "b": [{"alias": "b"}]})
    assert {outcome.finished.status for outcome in outcomes.values()} == {RunStatus.PASSED}
    assert fragile.heard == 1
    assert bench.engine.listener_failures == [
        "listener 'Fragile' raised OSError at SuiteStarted and hears no more: no space left"
    ]
    assert [type(event).__name__ for event in bench.listener.events][-1] == "SuiteFinished"


@pytest.mark.parametrize("stop", [SystemExit(3), asyncio.CancelledError()])
@pytest.mark.parametrize("mode", ["SYNC", "FIRE_AND_FORGET"])
async def test_engine_protocol_that_gives_up_is_an_error_of_its_step(
    bench: Any, stop: BaseException, mode: str
) -> None:
    """What asyncio would end the loop or the task for ends only the run, with the step that it came from."""

    def give_up(call: object) -> Any:
        raise stop

    bench.answer(bad=[give_up])
    outcomes = await bench.run({"bad": [{"alias": "bad", "mode": mode}], "good": [{"alias": "good"}]})
    assert outcomes["good"].finished.status is RunStatus.PASSED
    assert outcomes["bad"].finished.status is RunStatus.ERROR
    step = outcomes["bad"].finished.steps[0]
    assert (step.status, step.fault.message) == (StepStatus.FAILED, f"protocol 'HTTP_REST' raised {stop!r}")


async def test_engine_other_base_exception_of_a_protocol_is_kept_with_the_outcome(bench: Any) -> None:
    """Outcomes of test frameworks are no Exceptions; they end their own run and are there to be raised again."""

    class Outcome(BaseException):
        pass

    def fail(call: object) -> Any:
        raise Outcome("not so")

    bench.answer(bad=[fail])
    outcomes = await bench.run({"bad": [{"alias": "bad"}]})
    assert outcomes["bad"].finished.status is RunStatus.ERROR
    assert isinstance(outcomes["bad"].exception, Outcome)


async def test_engine_timeout_error_of_a_plugin_is_not_the_time_limit_of_the_run(bench: Any) -> None:
    """Only the run's own limit makes a run late; a TimeoutError from elsewhere is what it is."""

    class Impatient(type(bench.protocol)):  # type: ignore[misc]  # the scripted protocol
        def validate(self, *args: object) -> Any:
            raise TimeoutError(f"validator of {len(args)}")

    bench.protocol = Impatient()
    outcomes = await bench.run({"a": [{"alias": "a"}]}, timeout_s=5)
    assert outcomes["a"].finished.status is RunStatus.ERROR
    assert isinstance(outcomes["a"].exception, TimeoutError)
