"""Random processes: every scenario is a valid play, claimed coverage is real, and what can be covered is."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_processes import arbitrary_processes, block_processes, wild_processes
from replay import PLAIN_KINDS, RANDOM_KINDS, coverable_flows, reach, replay
from suites import ALL, missing, plan

from pytest_orchestra.generation.plans.plan import plan_text, problems_of
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion, ScenarioDefinition
from pytest_orchestra.model.process import Process
from pytest_orchestra.model.scenario import CoverageGoal, ScenarioSuite

_ELEMENTS = st.sampled_from(["n0", "n1", "n2", "Same", "start", "zz"])
_TEXTS = st.sampled_from(["yes", "n1", "n2", "f0", "normal", "all", "default", "yes, f1", "?"])
THOROUGH = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def check_claims(process: Process, suite: ScenarioSuite) -> None:
    """Hold what a suite says of itself against its scenarios' paths."""
    served: set[CoverageGoal] = set()
    for scenario in suite.scenarios:
        own = {CoverageGoal(Criterion.NODE, node) for node in scenario.nodes}
        own |= {CoverageGoal(Criterion.EDGE, flow) for flow in scenario.flows}
        own |= {
            CoverageGoal(Criterion.DECISION, f"{taken.element}->{branch}")
            for taken in scenario.decisions
            for branch in taken.branches
        }
        assert set(scenario.serves) == own
        assert len(scenario.serves) == len(own)
        served |= own
    for coverage in suite.coverage:
        mine = {goal.element for goal in served if goal.criterion is coverage.criterion}
        lacking = {missed.element for missed in coverage.missing}
        assert coverage.covered == len(mine)
        assert coverage.total == len(mine) + len(lacking)
        assert not mine & lacking
        assert all(missed.reason for missed in coverage.missing)
        if coverage.criterion is Criterion.EDGE:
            assert mine | lacking == {flow.id for flow in process.flows}
        if coverage.criterion is Criterion.NODE:
            assert mine | lacking == {node.id for node in process.nodes}
    assert len({scenario.key for scenario in suite.scenarios}) == len(suite.scenarios)


def check_necessity(suite: ScenarioSuite) -> None:
    """Each scenario serves something that no other does."""
    counts = Counter(goal for scenario in suite.scenarios for goal in scenario.serves)
    for scenario in suite.scenarios:
        assert any(counts[goal] == 1 for goal in scenario.serves)


@THOROUGH
@given(block_processes(), st.integers(0, 2))
def test_block_process_is_covered_by_valid_scenarios(process: Process, repetitions: int) -> None:
    """Nested blocks are covered in full, each flow is repeated at most as often as it may be."""
    suite = plan(process, Bindings(max_loop_iterations=repetitions), criteria=ALL)
    check_claims(process, suite)
    check_necessity(suite)
    for scenario in suite.scenarios:
        replay(process, scenario.nodes, scenario.flows)
        assert max(Counter(scenario.flows).values()) <= 1 + repetitions
    if repetitions:
        assert missing(suite) == {}


@THOROUGH
@given(wild_processes(RANDOM_KINDS, cyclic=True))
def test_scenario_of_any_process_is_a_valid_play(process: Process) -> None:
    """Whatever is drawn: no scenario that the rules of BPMN forbid, and no goal without a scenario or a reason."""
    suite = plan(process, criteria=ALL)
    check_claims(process, suite)
    check_necessity(suite)
    for scenario in suite.scenarios:
        replay(process, scenario.nodes, scenario.flows)
    reachable = reach(process, "n0")
    for element, reason in missing(suite).items():
        flow = process.flow.get(element)
        if flow is not None:
            assert (reason == "cannot be reached from a start") == (flow.source not in reachable)


@THOROUGH
@given(wild_processes(PLAIN_KINDS, cyclic=False, max_nodes=7))
def test_everything_that_some_run_covers_is_covered(process: Process) -> None:
    """Against all runs there are, tried one by one: the suite covers exactly what runs that end can cover."""
    assume(len(process.flows) <= 12)
    suite = plan(process)
    covered = {flow for scenario in suite.scenarios for flow in scenario.flows}
    assert covered == coverable_flows(process)


@given(block_processes(max_blocks=8))
def test_each_criterion_has_its_own_goals(process: Process) -> None:
    """A suite serves goals of the criteria that were asked for, and covers them."""
    for criterion in Criterion:
        suite = plan(process, criteria=[criterion])
        assert missing(suite) == {} or criterion in (Criterion.PAIRWISE, Criterion.LOOP)  # loops have limits
        assert suite.criteria == (criterion,)
        assert {goal.criterion for scenario in suite.scenarios for goal in scenario.serves} <= {criterion}


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    arbitrary_processes(),
    st.dictionaries(
        st.sampled_from(["n0", "n1", "n2", "Same", "start", "zz"]), st.lists(_TEXTS, max_size=3), max_size=3
    ),
    st.lists(st.fixed_dictionaries({}, optional={"a": st.integers(0, 3), "b": st.booleans()}), max_size=3),
    st.integers(0, 2),
)
def test_whatever_a_file_says_is_planned_or_explained(
    process: Process, decisions: dict[str, list[str]], values: list[dict[str, object]], repetitions: int
) -> None:
    """No element, however wrong, raises; goals are covered or have a reason; problems have words."""
    bindings = Bindings(
        max_loop_iterations=repetitions,
        scenarios=[ScenarioDefinition(key="mine", decisions=decisions)],
        decisions={element: dict.fromkeys(branches, "data.a > 1") for element, branches in decisions.items()},
        loops=dict.fromkeys(decisions, repetitions),
        bindings={element: [] for element in decisions},
    )
    data = [TestDataSet(f"d{number}", dict(value)) for number, value in enumerate(values)]
    suite = plan(process, bindings, data, criteria=ALL)
    served = {goal for scenario in suite.scenarios for goal in scenario.serves}
    for coverage in suite.coverage:
        mine = {goal.element for goal in served if goal.criterion is coverage.criterion}
        lacking = {missed.element for missed in coverage.missing}
        assert (coverage.covered, coverage.total) == (len(mine), len(mine) + len(lacking))
        assert not mine & lacking
        assert all(missed.reason for missed in coverage.missing)
    assert all(problem.message for problem in problems_of(suite))
    assert plan_text(suite, process)
