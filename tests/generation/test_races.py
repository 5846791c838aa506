"""Race variants: concurrent steps that share something are run in both orders, by as few scenarios as do it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from random_processes import block_processes
from suites import plan

from pytest_orchestra.generation.plans.plan import problems_of
from pytest_orchestra.model.definition import Bindings, ChannelType, Criterion, EndpointRef, StepDefinition, StepKind
from pytest_orchestra.model.process import FlowNode, NodeKind, Process, SequenceFlow
from pytest_orchestra.model.scenario import ScenarioSuite


def fork(*branches: str) -> Process:
    """Give branches of tasks, such as ``a b``, between two parallel gateways."""
    nodes = [
        FlowNode("start", NodeKind.START_EVENT),
        FlowNode("fork", NodeKind.PARALLEL_GATEWAY),
        FlowNode("join", NodeKind.PARALLEL_GATEWAY),
        FlowNode("end", NodeKind.END_EVENT),
    ]
    ways = [("start", "fork"), ("join", "end")]
    for branch in branches:
        tasks = branch.split()
        nodes += [FlowNode(task, NodeKind.TASK, task.title()) for task in tasks]
        ways += list(zip(["fork", *tasks], [*tasks, "join"], strict=True))
    flows = tuple(SequenceFlow(f"{one}>{other}", one, other) for one, other in ways)
    return Process("p", "P", nodes=tuple(nodes), flows=flows)


def call(endpoint: str, kind: StepKind = StepKind.ACTION) -> list[StepDefinition]:
    service, name = endpoint.split(".", 1)
    return [StepDefinition(kind=kind, endpoint_ref=EndpointRef(service_name=service, endpoint_name=name))]


def bound(process: Process, bindings: Bindings) -> ScenarioSuite:
    """Give the suite for the criteria of the bindings."""
    return plan(process, bindings, criteria=None)


def races(suite: ScenarioSuite) -> set[str]:
    return {
        goal.element for scenario in suite.scenarios for goal in scenario.serves if goal.criterion is Criterion.RACE
    }


def test_declared_resource_is_touched_in_both_orders() -> None:
    """One more scenario, with the branches the other way round."""
    suite = bound(fork("a", "b", "c"), Bindings(shared_resources={"stock": ["A", "c"]}))
    assert [scenario.key for scenario in suite.scenarios] == ["main", "main-reordered"]
    assert suite.scenarios[0].nodes == ("start", "fork", "a", "b", "c", "join", "end")
    assert suite.scenarios[1].nodes == ("start", "fork", "c", "b", "a", "join", "end")
    assert races(suite) == {"a->c", "c->a"}
    assert (suite.coverage[-1].criterion, suite.coverage[-1].covered, suite.coverage[-1].total) == ("race", 2, 2)


def test_all_conflicts_of_a_run_are_turned_round_by_one_variant() -> None:
    """Four branches that all conflict need two orders, not twenty-four."""
    suite = bound(fork("a", "b", "c", "d e"), Bindings(shared_resources={"stock": list("abcde")}))
    assert len(suite.scenarios) == 2
    assert len(races(suite)) == 2 * 9  # the two steps of the last branch follow each other


def test_steps_of_one_endpoint_conflict_unless_both_only_read() -> None:
    """An action changes what its endpoint stands for; assertions and GET do not."""
    writing = {"a": call("shop.addItem"), "b": call("shop.addItem")}
    assert races(bound(fork("a", "b"), Bindings(bindings=writing))) == {"a->b", "b->a"}
    mixed = {"a": call("shop.stock"), "b": call("shop.stock", StepKind.ASSERTION)}
    assert races(bound(fork("a", "b"), Bindings(bindings=mixed))) == {"a->b", "b->a"}
    reading = {"a": call("shop.GET /stock"), "b": call("shop.GET /stock")}
    assert races(bound(fork("a", "b"), Bindings(bindings=reading))) == set()
    apart = {"a": call("shop.addItem"), "b": call("shop.removeItem")}
    assert races(bound(fork("a", "b"), Bindings(bindings=apart))) == set()


def test_database_assertions_do_not_conflict() -> None:
    """They read."""
    look = StepDefinition(channel_type=ChannelType.DB, kind=StepKind.ASSERTION, data_source="db", sql="select 1 from t")
    assert races(bound(fork("a", "b"), Bindings(bindings={"a": [look], "b": [look]}))) == set()


def test_variants_can_be_turned_off() -> None:
    """``races: false`` leaves one order."""
    suite = bound(fork("a", "b"), Bindings(shared_resources={"stock": ["a", "b"]}, races=False))
    assert len(suite.scenarios) == 1
    assert [one.criterion for one in suite.coverage] == [Criterion.EDGE]


def test_criteria_of_the_command_line_are_not_widened() -> None:
    """Who asks for edges gets edges; who asks for races gets them, also where there are none."""
    bindings = Bindings(shared_resources={"stock": ["a", "b"]})
    assert len(plan(fork("a", "b"), bindings, criteria=[Criterion.EDGE]).scenarios) == 1
    assert len(plan(fork("a", "b"), bindings, criteria=[Criterion.EDGE, Criterion.RACE]).scenarios) == 2
    none = plan(fork("a", "b"), criteria=[Criterion.RACE])
    assert [(one.criterion, one.total) for one in none.coverage] == [(Criterion.RACE, 0)]


def test_unknown_element_is_named() -> None:
    """A shared resource whose element does not exist is an error with the nearest name."""
    suite = bound(fork("pack", "bill"), Bindings(shared_resources={"stock": ["Pak"]}))
    [problem] = [problem for problem in problems_of(suite) if "share" in problem.message]
    assert problem.message == "the process has no element 'Pak' that could share 'stock'"
    assert problem.hint == "did you mean 'Pack'?"


@settings(max_examples=60)
@given(block_processes(max_blocks=10), st.data())
def test_order_that_is_claimed_is_there(process: Process, data: st.DataObject) -> None:
    """Whatever conflicts: each order that a scenario serves is the order of its nodes, and both orders are shown."""
    tasks = [node.id for node in process.nodes if node.kind is NodeKind.TASK]
    shared = data.draw(st.lists(st.sampled_from(tasks), max_size=4, unique=True)) if tasks else []
    suite = bound(process, Bindings(shared_resources={"r": shared}))
    served = races(suite)
    assert served == {"->".join(reversed(goal.split("->"))) for goal in served}
    for scenario in suite.scenarios:
        for goal in scenario.serves:
            if goal.criterion is Criterion.RACE:
                first, second = goal.element.split("->")
                last = len(scenario.nodes) - 1 - scenario.nodes[::-1].index(second)
                assert scenario.nodes.index(first) < last
