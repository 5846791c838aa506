"""Scenarios that users name: their decisions are taken, the rest is short, and what is impossible is told."""

from __future__ import annotations

import pytest
from process_text import events, process_of
from suites import ALL, explicit, fitting, messages, missing, paths, plan

from pytest_orchestra.model.dataset import DataSetScope, TestDataSet
from pytest_orchestra.model.definition import Bindings, Dependency, RunMode, ScenarioDefinition, ScenarioStatus
from pytest_orchestra.model.process import EventKind, Process
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Place, Severity


def two_decisions() -> Process:
    return process_of(
        "start > xor1; xor1 -large> approve > xor2; xor1 -small> xor2;"
        "xor2 -express> fast > end; xor2 -standard> slow > end",
        xor1={"name": "Large order?"},
        xor2={"name": "Delivery?"},
    )


def loop() -> Process:
    return process_of("start > pay > xor; xor -again> pay; xor -done> end", xor={"name": "Retry?"})


def problem_of(suite: ScenarioSuite, key: str = "mine") -> str:
    [scenario] = [scenario for scenario in suite.scenarios if scenario.key == key]
    [problem] = [problem for problem in scenario.problems if problem.severity is not Severity.INFO]
    return str(problem)


@pytest.mark.parametrize(
    ("element", "branch"),
    [
        ("xor1", "xor1>approve"),
        ("Large order?", "large"),
        ("  Large   order? ", "LARGE"),
        ("xor1", "approve"),
    ],
)
def test_decision_is_found_by_id_or_name_of_gateway_and_branch(element: str, branch: str) -> None:
    """A branch is its flow's id or name, or its target's; white space does not matter, and case only if it must."""
    suite = plan(two_decisions(), explicit(**{element: branch}))
    assert paths(suite)["mine"] == "start xor1 approve xor2 fast end"


def test_default_branch_can_be_called_default() -> None:
    """The gateway's default flow needs no name of its own."""
    process = process_of("start > xor; xor > a > b > end; xor > c > end", xor={"default_flow": "xor>a"})
    assert paths(plan(process, explicit(xor="default")))["mine"] == "start xor a b end"


def test_free_decisions_lead_the_shortest_way_to_the_end() -> None:
    """What the scenario does not name adds nothing to it; the default branch goes before others of the same length."""
    process = process_of(
        "start > xor1; xor1 -a> a > xor2; xor1 -b> xor2; xor2 -c> c > end; xor2 -d> d > end; xor2 -e> e > f > end",
        xor2={"default_flow": "xor2>d"},
    )
    assert paths(plan(process, explicit()))["mine"] == "start xor1 xor2 d end"


def test_scenario_goes_out_of_its_way_for_a_decision_that_it_names() -> None:
    """A gateway that the shortest way passes by is visited, because the scenario decides there."""
    process = process_of("start > xor1; xor1 > end; xor1 > a > b > xor2; xor2 -x> end; xor2 -y> c > end")
    assert paths(plan(process, explicit(xor2="y")))["mine"] == "start xor1 a b xor2 c end"


def test_list_decides_visit_by_visit_beyond_the_limit_of_loops() -> None:
    """Three repetitions are listed, so they are played, whatever maxLoopIterations says."""
    suite = plan(loop(), explicit(xor=["again", "again", "again", "done"]))
    assert paths(suite)["mine"] == "start pay xor pay xor pay xor pay xor end"
    assert suite.scenarios[0].decisions[0].branches == ("xor>pay", "xor>pay", "xor>pay", "xor>end")


def test_last_entry_repeats_as_long_as_loops_may() -> None:
    """A branch that leads back for ever is taken as often as maxLoopIterations permits."""
    bindings = Bindings(max_loop_iterations=2, scenarios=[ScenarioDefinition(key="mine", decisions={"xor": "again"})])
    assert paths(plan(loop(), bindings))["mine"] == "start pay xor pay xor pay xor end"


def test_boundary_event_is_decided_at_its_activity() -> None:
    """The event is named by id or name, the normal end is called normal."""
    process = process_of("start > pay > ship > end; border > end", border={"attached_to": "pay", "name": "Too late"})
    assert paths(plan(process, explicit(pay="Too late")))["mine"] == "start pay border end"
    assert paths(plan(process, explicit(pay="border")))["mine"] == "start pay border end"
    assert paths(plan(process, explicit(pay="normal")))["mine"] == "start pay ship end"


def test_unnamed_boundary_event_is_called_by_what_it_waits_for() -> None:
    """``timer`` names an unnamed timer event."""
    process = process_of(
        "start > pay > end; border > end", border={"attached_to": "pay", "events": events(EventKind.TIMER)}
    )
    assert paths(plan(process, explicit(pay="timer")))["mine"] == "start pay border end"


def test_generated_scenarios_cover_what_remains() -> None:
    """What the user's scenarios cover needs no other."""
    suite = plan(two_decisions(), explicit(xor1="large", xor2="express"))
    assert paths(suite) == {"mine": "start xor1 approve xor2 fast end", "small": "start xor1 xor2 slow end"}
    assert missing(suite) == {}


def test_scenario_of_the_user_is_kept_though_others_cover_its_goals() -> None:
    """Two that serve the same goals both stay: the user wants them."""
    bindings = Bindings(
        scenarios=[ScenarioDefinition(key="one"), ScenarioDefinition(key="two", decisions={"xor2": "express"})]
    )
    assert list(paths(plan(two_decisions(), bindings)))[:2] == ["one", "two"]


def test_inactive_scenario_covers_nothing() -> None:
    """What does not run is no coverage; another scenario is generated for it."""
    bindings = Bindings(
        scenarios=[ScenarioDefinition(key="mine", decisions={"xor1": "large", "xor2": "express"}, active=False)]
    )
    suite = plan(two_decisions(), bindings)
    assert len(suite.scenarios) == 3
    assert missing(suite) == {}


def test_definition_is_carried_into_the_scenario() -> None:
    """Name, tags, dependencies, status, line and mode are those that the user wrote."""
    bindings = Bindings(
        tags=["nightly", "smoke"],
        mode=RunMode.RUN_ALL_STEPS,
        scenarios=[
            ScenarioDefinition(
                key="mine",
                name="My own",
                tags=["smoke", "mine"],
                depends_on=[Dependency(scenario="other")],
                status=ScenarioStatus.DRAFT,
                place=Place("order.orchestra.yaml", 12),
            )
        ],
    )
    scenario = plan(two_decisions(), bindings).scenarios[0]
    assert (scenario.key, scenario.name, scenario.tags) == ("mine", "My own", ("nightly", "smoke", "mine"))
    assert (scenario.status, scenario.active, scenario.line) == (ScenarioStatus.DRAFT, True, 12)
    assert (scenario.mode, scenario.depends_on) == (RunMode.RUN_ALL_STEPS, (Dependency(scenario="other"),))


def test_unknown_gateway_is_an_error_with_the_nearest_name() -> None:
    """The scenario is there without a path, so that nobody misses it."""
    bindings = Bindings(
        scenarios=[
            ScenarioDefinition(key="mine", decisions={"Delivry?": "express"}, place=Place("order.orchestra.yaml", 7, 5))
        ]
    )
    suite = plan(two_decisions(), bindings)
    assert suite.scenarios[0].nodes == ()
    assert problem_of(suite) == (
        "order.orchestra.yaml:7:5: scenario 'mine' decides at 'Delivry?', where the process decides nothing\n"
        "hint: did you mean 'Delivery?'?"
    )
    assert missing(suite) == {}


def test_unknown_branch_is_an_error_with_the_nearest_name() -> None:
    """A typo in a branch is told."""
    assert problem_of(plan(two_decisions(), explicit(xor2="expres"))) == (
        "order: scenario 'mine' takes 'expres' at 'xor2', where no branch has that name\nhint: did you mean 'express'?"
    )


def test_unknown_branch_far_from_any_name_is_told_what_there_is() -> None:
    """Where nothing is near and little exists, all of it is named."""
    assert problem_of(plan(loop(), explicit(xor="zzzz"))) == (
        "order: scenario 'mine' takes 'zzzz' at 'xor', where no branch has that name\n"
        "hint: known here: 'again', 'done', 'xor>pay', 'xor>end'"
    )


def test_decision_that_another_excludes_is_an_error() -> None:
    """The gateway lies on a branch that the scenario does not take."""
    process = process_of("start > xor1; xor1 -a> end; xor1 -b> xor2; xor2 -c> end; xor2 -d> x > end")
    assert problem_of(plan(process, explicit(xor1="a", xor2="d"))) == (
        "order: no run takes the decisions of scenario 'mine': it does not come to 'xor2' as demanded\n"
        "hint: change or leave out its decision at 'xor2'"
    )


def test_decision_that_gets_stuck_is_an_error_that_names_the_join() -> None:
    """A scenario that would wait for ever cannot be played."""
    process = process_of("start > xor; xor -ok> end; xor -bad> a > and; b > and; and > end")
    assert problem_of(plan(process, explicit(xor="bad"))) == (
        "order: no run takes the decisions of scenario 'mine': it gets stuck at 'and'\nhint: change its decisions"
    )


def test_more_visits_than_there_can_be_are_an_error() -> None:
    """A gateway outside any loop is visited once."""
    assert problem_of(plan(two_decisions(), explicit(xor1=["large", "small"]))) == (
        "order: no run takes the decisions of scenario 'mine': it does not come to 'Large order?' as demanded\n"
        "hint: change or leave out its decision at 'Large order?'"
    )


def test_key_twice_is_an_error() -> None:
    """The second scenario of a key is left out."""
    bindings = Bindings(scenarios=[ScenarioDefinition(key="mine"), ScenarioDefinition(key="mine")])
    suite = plan(process_of("start > end"), bindings)
    assert list(paths(suite)) == ["mine"]
    assert messages(suite) == ["two scenarios have the key 'mine'"]


def test_named_data_sets_are_used_and_free_decisions_follow_them() -> None:
    """Names and tags choose data; decisions that the scenario leaves open are those of the data."""
    process = process_of("start > xor; xor -large [amount > 1000]> a > b > end; xor -small> end")
    data = [
        TestDataSet("big", {"amount": 5_000}, tags=("vip",)),
        TestDataSet("huge", {"amount": 9_000}, tags=("vip",)),
        TestDataSet("tiny", {"amount": 1}),
    ]
    bindings = Bindings(
        scenarios=[
            ScenarioDefinition(key="tagged", data_sets=["tag:vip"]),
            ScenarioDefinition(key="named", data_sets=["tiny", "tiny"]),
            ScenarioDefinition(key="free", decisions={"xor": "large"}),
        ]
    )
    suite = plan(process, bindings, data)
    assert paths(suite)["tagged"] == "start xor a b end"
    assert fitting(suite) == {"tagged": ("big", "huge"), "named": ("tiny",), "free": ("big", "huge")}


def test_named_data_set_that_does_not_fit_is_a_warning() -> None:
    """The user's word stands, and hears what speaks against it."""
    process = process_of("start > xor; xor -large [amount > 1000]> a > end; xor -small> end")
    bindings = Bindings(scenarios=[ScenarioDefinition(key="mine", decisions={"xor": "large"}, data_sets=["tiny"])])
    suite = plan(process, bindings, [TestDataSet("tiny", {"amount": 1})])
    assert fitting(suite)["mine"] == ("tiny",)
    assert problem_of(suite) == (
        "order: data set 'tiny' does not fit scenario 'mine': it does not satisfy 'amount > 1000'\n"
        "hint: change the data set or the scenario's decisions"
    )


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("tny", "scenario 'mine' wants data set 'tny', which does not exist for it\nhint: did you mean 'tiny'?"),
        ("tag:vp", "scenario 'mine' wants data sets with the tag 'vp', which none has\nhint: did you mean 'tag:vip'?"),
        (
            "others",
            "scenario 'mine' wants data set 'others', which does not exist for it\nhint: known here: 'tiny'",
        ),
    ],
)
def test_unknown_data_set_is_an_error_with_the_nearest_name(named: str, expected: str) -> None:
    """A data set of another scenario does not exist for this one."""
    data = [
        TestDataSet("tiny", tags=("vip",)),
        TestDataSet("others", scope=DataSetScope.SCENARIO, scenario="main"),
    ]
    bindings = Bindings(scenarios=[ScenarioDefinition(key="mine", data_sets=[named])])
    suite = plan(process_of("start > end"), bindings, data)
    assert problem_of(suite) == f"order: {expected}"
    assert fitting(suite)["mine"] == ()


def test_scenario_without_fitting_data_is_a_warning() -> None:
    """Data exists, and none of it leads where the scenario goes."""
    process = process_of("start > xor; xor -large [amount > 1000]> a > end; xor -small> end")
    nothing_made = explicit(xor="large").model_copy(update={"witnesses": False})
    suite = plan(process, nothing_made, [TestDataSet("tiny", {"amount": 1})])
    assert problem_of(suite) == (
        "order: no data set fits scenario 'mine': none satisfies 'amount > 1000'\nhint: add a data set for it"
    )


def test_own_data_set_serves_the_scenario() -> None:
    """A data set of scope SCENARIO belongs to the scenario that it names."""
    own = TestDataSet("own", {"amount": 1}, scope=DataSetScope.SCENARIO, scenario="mine")
    process = process_of("start > xor; xor -large [amount > 1000]> a > end; xor -small> end")
    suite = plan(process, explicit(), [own])
    assert fitting(suite) == {"mine": ("own",), "large": ("large",)}


def test_loops_may_be_repeated_as_often_as_an_element_s_own_limit() -> None:
    """'loops' raises the limit around one element, and zero forbids to repeat it."""
    three = Bindings(loops={"Retry?": 3}, scenarios=[ScenarioDefinition(key="mine", decisions={"xor": "again"})])
    assert paths(plan(loop(), three))["mine"] == "start pay xor pay xor pay xor pay xor end"
    none = plan(loop(), Bindings(loops={"xor": 0}))
    assert paths(none) == {"main": "start pay xor end"}
    assert missing(none) == {"xor>pay": "is reached only by repeating a loop more often than its limit allows"}


def test_inner_loop_can_have_a_limit_of_its_own() -> None:
    """The limit of an inner loop leaves the outer one alone."""
    process = process_of("start > a > b > xor1; xor1 -b> b; xor1 -on> xor2; xor2 -a> a; xor2 -out> end")
    bindings = Bindings(
        max_loop_iterations=0,
        loops={"b": 2},
        scenarios=[ScenarioDefinition(key="mine", decisions={"xor1": "b"})],
    )
    suite = plan(process, bindings, criteria=ALL)
    assert paths(suite)["mine"] == "start a b xor1 b xor1 b xor1 xor2 end"
    assert missing(suite)["xor2>a"] == "is reached only by repeating a loop more often than its limit allows"


@pytest.mark.parametrize(
    ("loops", "expected"),
    [
        ({"pya": 1}, "the process has no element 'pya' to repeat"),
        ({"start": 1}, "start event 'start' lies on no loop"),
        ({"pay": -1}, "'pay' cannot be repeated -1 times"),
    ],
)
def test_limit_of_what_is_no_loop_is_told(loops: dict[str, int], expected: str) -> None:
    """A limit that can have no effect is a mistake."""
    assert messages(plan(loop(), Bindings(loops=loops))) == [expected]
