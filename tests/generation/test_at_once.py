"""Conflicting actions of concurrent branches that meet: which ones, in what scenarios, and that they really do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from process_text import process_of
from random_processes import block_processes
from suites import plan
from test_races import call, fork

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.engine import Engine, RunRequest, SuiteSetting
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.generation.plans.plan import plan_text
from pytest_orchestra.model.definition import ActionMode, Bindings, Criterion, EndpointRef, StepDefinition, StepKind
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.process import NodeKind, Process
from pytest_orchestra.model.run import RunStatus, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.model.scenario import ScenarioSuite, TestScenario
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.testing import ScriptedProtocol


def step(alias: str, endpoint: str = "shop.any", kind: StepKind = StepKind.ACTION, **more: Any) -> StepDefinition:
    service, name = endpoint.split(".", 1)
    ref = EndpointRef(service_name=service, endpoint_name=name)
    return StepDefinition(alias=alias, kind=kind, endpoint_ref=ref, **more)


def suite_of(process: Process, steps: Mapping[str, list[StepDefinition]], **more: Any) -> ScenarioSuite:
    return plan(process, Bindings(bindings=dict(steps), **{"races": "at-once", **more}), criteria=None)


def companions(suite: ScenarioSuite) -> list[TestScenario]:
    return [scenario for scenario in suite.scenarios if "-at-once" in scenario.key]


def outline(scenario: TestScenario) -> list[str]:
    """Give the aliases of the steps; of those that nobody waits for with ``~``."""
    mark = {ActionMode.FIRE_AND_FORGET: "~"}
    return [mark.get(each.definition.mode, "") + each.alias for each in scenario.steps]


def met(scenario: TestScenario) -> set[str]:
    return {goal.element for goal in scenario.serves if goal.criterion is Criterion.RACE and "||" in goal.element}


def test_conflicting_actions_meet_in_a_scenario_of_their_own() -> None:
    """The first is not waited for, the second comes right behind, and a barrier waits before anything else happens."""
    take = {"a": [step("a", "shop.takeItem")], "b": [step("b", "shop.takeItem")], "c": [step("c", "shop.other")]}
    suite = suite_of(fork("a c", "b"), take)
    assert [scenario.key for scenario in suite.scenarios] == ["main", "main-reordered", "main-at-once"]
    base, _, together = suite.scenarios
    assert outline(base) == ["a", "c", "b", "barrier"]
    assert outline(together) == ["~a", "b", "at_once", "c", "barrier"]
    assert together.steps[2].definition.tracked_steps == ["a"]
    assert [each.order_index for each in together.steps] == list(range(5))
    assert met(together) == {"a||b"}
    assert (suite.coverage[-1].covered, suite.coverage[-1].total, suite.minimum.is_proven) == (3, 3, True)
    assert "only here  race A and B at once" in plan_text(suite, fork("a c", "b"))


def test_without_the_word_nothing_changes() -> None:
    """The scenarios that there were are the same to the byte, with their keys and versions."""
    take = {name: call("shop.takeItem") for name in "ab"}
    plain, together = suite_of(fork("a", "b"), take, races=True), suite_of(fork("a", "b"), take)
    assert plain.scenarios == together.scenarios[:2]
    assert len(suite_of(fork("a", "b"), take, races=False).scenarios) == 1


def test_steps_around_a_conflicting_action_come_before_all_or_behind_the_barrier() -> None:
    """What a node does besides does not part the actions; what waits for an effect knows its own cause."""
    look = {"kind": StepKind.ASSERTION, "until": "true"}
    process = fork("a d", "b")
    steps = {
        "a": [step("login", "auth.login"), step("take", "shop.takeItem"), step("taken", **look)],
        "b": [step("ask", "shop.GET /stock"), step("give", "shop.takeItem"), step("given", **look)],
        "d": [step("settled", **look)],
    }
    [together] = companions(suite_of(process, steps))
    assert outline(together) == ["login", "ask", "~take", "give", "at_once", "taken", "given", "settled", "barrier"]
    causes = {each.alias: each.definition.caused_by for each in together.steps}
    assert (causes["taken"], causes["given"], causes["settled"]) == ("take", "give", "take")


def test_all_that_conflict_on_one_resource_meet_in_one_scenario() -> None:
    """Four branches need one scenario, not six; what two readers do is no conflict, but they meet the writer."""
    take = {name: [step(name, "shop.takeItem")] for name in "abcd"}
    [together] = companions(suite_of(fork(*"abcd"), take))
    assert outline(together)[:5] == ["~a", "~b", "~c", "d", "at_once"]
    assert len(met(together)) == 6
    shared = {"shared_resources": {"stock": ["a", "b"]}}
    unlike = {"a": [step("a", "shop.one")], "b": [step("b", "crm.two")]}
    assert met(companions(suite_of(fork("a", "b"), unlike, **shared))[0]) == {"a||b"}


def test_what_only_looks_and_what_follows_each_other_does_not_meet() -> None:
    """Assertions have the other order, steps of one branch have no other; neither can be sent at once."""
    looking = {"a": call("shop.stock"), "b": call("shop.stock", StepKind.ASSERTION)}
    assert companions(suite_of(fork("a", "b"), looking)) == []
    inline = {"a": call("shop.takeItem"), "b": call("shop.takeItem")}
    assert companions(suite_of(fork("a b", "c"), inline)) == []


def ordered_pairs(process: Process) -> set[tuple[str, str]]:
    """Give the pairs of elements of which tokens lead from the first to the second and never back.

    What a sub-process holds lies between the flows into it and those out of it.
    """
    holding = {node.id: node.scope for node in process.nodes}
    begins = {node.id: [start.id for start in process.nodes if start.scope == node.id] for node in process.nodes}
    for inner in begins.values():
        inner[:] = [each for each in inner if not process.incoming[each]]

    def next_to(element: str) -> list[str]:
        found, scope = [flow.target for flow in process.outgoing[element]], holding[element]
        if not found and scope is not None:
            found = next_to_whole(scope)
        return [*found, *begins[element]]

    def next_to_whole(element: str) -> list[str]:
        scope = holding[element]
        found = [flow.target for flow in process.outgoing[element]]
        return found if found or scope is None else next_to_whole(scope)

    reached: dict[str, set[str]] = {}
    for node in process.nodes:
        seen: set[str] = set()
        waiting = [node.id]
        while waiting:
            for target in next_to(waiting.pop()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        reached[node.id] = seen
    return {(one, other) for one, seen in reached.items() for other in seen if one not in reached[other]}


def never_ahead(process: Process, elements: Sequence[str]) -> bool:
    """Whether no task was, at any time, done more often than the task whose flow is the only one to it."""
    kinds = {node.id: node.kind for node in process.nodes}
    sources = {
        task: process.incoming[task][0].source
        for task in elements
        if len(process.incoming[task]) == 1 and kinds[process.incoming[task][0].source] is NodeKind.TASK
    }
    done: Counter[str] = Counter()
    for element in elements:
        done[element] += 1
        if element in sources and done[element] > done[sources[element]]:
            return False
    return True


def test_order_within_a_sub_process_that_is_looped_over_holds_in_each_round() -> None:
    """In the first round two meet, before the third that follows one of them; the second round comes behind."""
    within = {name: {"scope": "sub"} for name in ("start1", "and1", "a", "b", "c", "and2", "end1")}
    process = process_of(
        "start > xor1 > sub > xor2 > end; xor2 > xor1; start1 > and1 > a > and2 > end1; and1 > b > c > and2", **within
    )
    steps = {"a": [step("a", "shop.take")], "b": [step("b", "shop.take")], "c": [step("c", "shop.other")]}
    [together] = companions(suite_of(process, steps))
    assert outline(together) == ["~a", "b", "at_once", "c", "barrier", "a_2", "b_2", "c_2", "barrier_2"]
    assert {("b", "c"), ("c", "end"), ("start", "b")} - ordered_pairs(process) == {("b", "c")}
    assert never_ahead(process, ["a", "b", "c", "a", "b", "c"])
    assert not never_ahead(process, ["a", "b", "c", "a", "c", "b"])


@settings(max_examples=60)
@given(block_processes(max_blocks=10), st.data())
def test_actions_that_are_said_to_meet_do_and_no_order_is_broken(process: Process, data: st.DataObject) -> None:
    """Whatever conflicts: what meets is in one volley, each step is there as in the base, behind all that it needs."""
    tasks = [node.id for node in process.nodes if node.kind is NodeKind.TASK]
    shared = data.draw(st.lists(st.sampled_from(tasks), max_size=5, unique=True)) if tasks else []
    steps = {task: [step(f"s{n}", "shop.POST /r" if task in shared else f"shop.x{n}")] for n, task in enumerate(tasks)}
    suite = suite_of(process, steps)
    before = ordered_pairs(process)
    claimed: set[str] = set()
    for scenario in companions(suite):
        base = next(each for each in suite.scenarios if scenario.key.startswith(f"{each.key}-at-once"))
        assert sorted(each.alias for each in base.steps) == sorted(
            each.alias for each in scenario.steps if each.alias != "at_once"
        )
        elements = [each.element_id for each in scenario.steps if each.kind is StepKind.ACTION]
        for index, element in enumerate(elements):
            assert not any((later, element) in before for later in elements[index + 1 :])
        assert never_ahead(process, elements)
        wall = next(number for number, each in enumerate(scenario.steps) if each.alias == "at_once")
        tracked = scenario.steps[wall].definition.tracked_steps
        volley = scenario.steps[wall - len(tracked) - 1 : wall]
        assert [each.alias for each in volley[:-1]] == tracked
        assert {each.definition.mode for each in volley[:-1]} == {ActionMode.FIRE_AND_FORGET}
        together = {each.element_id for each in volley}
        assert all(set(goal.split("||")) <= together for goal in met(scenario))
        claimed |= met(scenario)
    orders = {goal.element for each in suite.scenarios for goal in each.serves if goal.criterion is Criterion.RACE}
    turned = {"||".join(sorted(goal.split("->"))) for goal in orders if "->" in goal}
    assert claimed == {goal for goal in turned if len(set(goal.split("||"))) > 1}


class MeetingProtocol(ScriptedProtocol):
    """A protocol whose replies to two of the steps come only when both have been sent."""

    def __init__(self, waiting: Sequence[str]) -> None:
        super().__init__()
        self._waiting = waiting
        self._all_are_there = asyncio.Barrier(len(waiting))

    async def execute(self, call: StepCall, specs: Any) -> Reply:
        if call.alias in self._waiting:
            async with asyncio.timeout(30):
                await self._all_are_there.wait()
        return await super().execute(call, specs)


async def test_engine_lets_them_meet() -> None:
    """Each is under way while the other is: neither has its reply before both were sent."""
    take = {"a": [step("a", "shop.takeItem")], "b": [step("b", "shop.takeItem")], "c": [step("c", "shop.other")]}
    [scenario] = companions(suite_of(fork("a c", "b"), take))
    protocol, store = MeetingProtocol(["a", "b"]), MemoryStore()
    engine = Engine(store=store, protocols={protocol.channel_type: protocol}, owner="bench", concurrency=1)
    await engine.start(SuiteRun("suite", "suite", "default"))
    run = TestRun("id", "suite", scenario.key, "p", "h", scenario.key, "v", None, "default", "m", "c")
    environment = ResolvedEnvironment(Environment(), {})
    setting = SuiteSetting(Bindings(timeout_ms=60_000), {})
    await engine.submit([RunRequest(run, scenario, setting, environment, {})])
    while not engine.completed:
        await engine.wait_completed(60)
    await engine.close(SuiteRunStatus.PASSED)
    finished = engine.completed[0].finished
    assert finished.status is RunStatus.PASSED, finished.steps
    assert [call.alias for call in protocol.calls][-1] == "c"
