"""Which data sets fit which scenario, and what happens where none does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from process_text import process_of
from random_processes import decided_processes
from suites import fitting, messages, paths, plan

from pytest_orchestra.generation.limits import MAX_DATA_CLASSES
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import DataSetScope, TestDataSet
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.model.scenario import ScenarioSuite
from pytest_orchestra.problem import Place, Severity

SMALL = TestDataSet("small", {"amount": 10, "delivery": "standard"})
LARGE = TestDataSet("large", {"amount": 5_000, "delivery": "standard"})
EXPRESS = TestDataSet("express", {"amount": 20, "delivery": "express"})


def two_decisions() -> Process:
    return process_of(
        "start > xor1; xor1 -large [${amount > 1000}]> approve > xor2; xor1 -small [${amount <= 1000}]> xor2;"
        "xor2 -express> fast > end; xor2 -standard> slow > end",
        xor1={"name": "Large?"},
        xor2={"name": "Delivery?"},
    )


def delivery(**branches: str) -> Bindings:
    decisions = {"Delivery?": branches or {"express": "data.delivery == 'express'"}}
    return Bindings(decisions=decisions, witnesses=False)


NOTHING_MADE = Bindings(witnesses=False)


def problems(suite: ScenarioSuite) -> list[str]:
    found = [problem for scenario in suite.scenarios for problem in scenario.problems]
    return [problem.message for problem in found if problem.severity is not Severity.INFO]


def test_without_data_sets_nothing_restricts() -> None:
    """A bare model is planned by its shape alone."""
    suite = plan(two_decisions(), NOTHING_MADE)
    assert fitting(suite) == {"large": (), "small": ()}
    assert problems(suite) == []


def test_data_sets_are_given_to_the_scenarios_that_they_fit() -> None:
    """Where conditions are known, a scenario has exactly the data that leads along its path."""
    suite = plan(two_decisions(), delivery(), [SMALL, LARGE, EXPRESS])
    assert fitting(suite) == {
        "large": ("large",),
        "small": ("express",),
    }
    assert paths(suite) == {
        "large": "start xor1 approve xor2 slow end",
        "small": "start xor1 xor2 fast end",
    }


def test_unconditioned_branch_beside_conditions_means_otherwise() -> None:
    """With one branch left without a condition, data for which another holds does not fit it."""
    suite = plan(two_decisions(), delivery(), [SMALL, EXPRESS], criteria=None)
    assert fitting(suite)["small-standard"] == ("small",)
    assert fitting(suite)["small-express"] == ("express",)


def test_goal_that_no_data_reaches_is_covered_with_a_warning() -> None:
    """The scenario is there without data, and the warning names the condition."""
    suite = plan(two_decisions(), delivery(), [SMALL, EXPRESS])
    assert fitting(suite)["large"] == ()
    assert suite.coverage[0].missing == ()
    assert problems(suite) == ["no data set fits scenario 'large': none satisfies '${amount > 1000}'"]
    [problem] = [p for scenario in suite.scenarios for p in scenario.problems if p.severity is not Severity.INFO]
    assert (problem.severity, problem.hint, problem.element) == (Severity.WARNING, "add a data set for it", "large")


def test_conditions_that_no_single_data_set_satisfies_are_named_together() -> None:
    """Each condition can be met, but not both at once."""
    process = process_of(
        "start > xor1; xor1 -big [amount > 1000]> xor2; xor1 -little> end;"
        "xor2 -vip [vip]> a > end; xor2 -other> b > end",
        xor1={"default_flow": "xor1>end"},
        xor2={"default_flow": "xor2>b"},
    )
    data = [TestDataSet("rich", {"amount": 5_000, "vip": False}), TestDataSet("vip", {"amount": 1, "vip": True})]
    suite = plan(process, NOTHING_MADE, data)
    assert fitting(suite) == {"big-other": ("rich",), "little": ("vip",), "big-vip": ()}
    assert problems(suite) == ["no data set fits scenario 'big-vip': none satisfies all of 'amount > 1000', 'vip'"]


def test_first_condition_that_holds_excludes_later_ones() -> None:
    """An exclusive gateway takes the first branch whose condition holds (BPMN 2.0.2, 13.4.2)."""
    process = process_of("start > xor; xor -large [amount > 1000]> a > end; xor -vip [vip]> b > end")
    data = [TestDataSet("both", {"amount": 5_000, "vip": True}), TestDataSet("vip", {"amount": 1, "vip": True})]
    assert fitting(plan(process, None, data)) == {"large": ("both",), "vip": ("vip",)}


def test_default_flow_is_taken_only_when_no_condition_holds() -> None:
    """Data for which another branch holds does not fit the default branch; unknown data does."""
    process = process_of(
        "start > xor; xor -large [amount > 1000]> a > end; xor -rest> b > end", xor={"default_flow": "xor>b"}
    )
    suite = plan(process, None, [LARGE, SMALL, TestDataSet("unknown", {})])
    assert fitting(suite) == {"large": ("large", "unknown"), "rest": ("small", "unknown")}


def test_inclusive_gateway_takes_exactly_the_branches_that_hold() -> None:
    """Data makes a set of branches that neither alone nor all together would be."""
    process = process_of(
        "start > or1; or1 -mail [mail]> a > or2; or1 -phone [phone]> b > or2; or1 -fax [fax]> c > or2; or2 > end"
    )
    data = [
        TestDataSet("two", {"mail": True, "phone": True, "fax": False}),
        TestDataSet("one", {"mail": False, "phone": False, "fax": True}),
    ]
    suite = plan(process, None, data)
    assert paths(suite) == {"mail-and-phone": "start or1 a b or2 end", "fax": "start or1 c or2 end"}
    assert fitting(suite) == {"mail-and-phone": ("two",), "fax": ("one",)}
    assert problems(suite) == []


def test_boundary_event_can_be_decided_by_data() -> None:
    """A condition in the sidecar tells which data makes the event happen, and the normal end excludes it."""
    process = process_of("start > pay > end; border > end", border={"attached_to": "pay", "name": "Declined"})
    bindings = Bindings(decisions={"pay": {"Declined": "data.card == 'declined'"}})
    data = [TestDataSet("good", {"card": "ok"}), TestDataSet("bad", {"card": "declined"})]
    suite = plan(process, bindings, data)
    assert fitting(suite) == {"declined": ("bad",), "main": ("good",)}


def test_thrown_boundary_event_can_be_decided_by_data() -> None:
    """The condition of an event that is thrown inside a sub-process holds for the runs in which it is thrown."""
    from test_token_game import error_process  # noqa: PLC0415  the same process as there

    bindings = Bindings(decisions={"sub": {"Refused": "data.card == 'declined'"}})
    data = [TestDataSet("good", {"card": "ok"}), TestDataSet("bad", {"card": "declined"})]
    assert fitting(plan(error_process(), bindings, data)) == {"refused": ("bad",), "main": ("good",)}


def test_name_that_a_data_set_lacks_is_unknown() -> None:
    """The process decides on it, so that the data set fits either branch."""
    process = process_of("start > xor; xor -yes [approved]> a > end; xor -no [!approved]> b > end")
    assert fitting(plan(process, None, [SMALL])) == {"yes": ("small",), "no": ("small",)}


def test_data_set_of_a_scenario_is_for_that_scenario_alone() -> None:
    """It neither restricts nor serves any other."""
    own = TestDataSet("own", {"amount": 9_000}, scope=DataSetScope.SCENARIO, scenario="large")
    suite = plan(two_decisions(), None, [SMALL, own])
    assert fitting(suite)["large"] == ("own",)
    assert all("own" not in names for key, names in fitting(suite).items() if key != "large")
    assert messages(suite, Severity.WARNING) == []


def test_data_set_of_an_unknown_scenario_is_told() -> None:
    """A scope that names nothing is most likely a typo."""
    own = TestDataSet("own", {}, scope=DataSetScope.SCENARIO, scenario="larg", place=Place("data/a.yaml", 3))
    suite = plan(two_decisions(), None, [own])
    [problem] = [problem for problem in suite.problems if problem.severity is Severity.WARNING]
    assert str(problem) == (
        "data/a.yaml:3: data set 'own' belongs to scenario 'larg', which does not exist\nhint: did you mean 'large'?"
    )


def test_data_set_of_another_suite_is_not_used() -> None:
    """A data set with an owner is for that process or file only, unless it is global."""
    document = ProcessDocument("models/order.bpmn")
    sets = [
        TestDataSet("by-id", suite="order"),
        TestDataSet("by-file", suite="order.bpmn"),
        TestDataSet("other", suite="invoice"),
        TestDataSet("everyone", suite="invoice", scope=DataSetScope.GLOBAL),
    ]
    suite = build_suite(process_of("start > end"), None, sets, document=document)
    assert fitting(suite) == {"main": ("by-id", "by-file", "everyone")}


def test_unknown_decision_and_branch_in_the_sidecar_are_errors_with_the_nearest_name() -> None:
    """A typo in 'decisions' is told where it is, with what was probably meant."""
    bindings = Bindings(
        decisions={"Delivry?": {"express": "true"}, "Delivery?": {"expres": "true"}},
        place=Place("order.orchestra.yaml"),
    )
    assert [str(problem) for problem in plan(two_decisions(), bindings).problems if problem.severity == "error"] == [
        "order.orchestra.yaml: the process decides nothing at 'Delivry?'\nhint: did you mean 'Delivery?'?",
        "order.orchestra.yaml: no branch at 'Delivery?' is called 'expres'\nhint: did you mean 'express'?",
    ]


def test_condition_in_the_sidecar_that_is_opaque_is_told_for_information() -> None:
    """The user hears that a condition does not help to choose data."""
    suite = plan(two_decisions(), delivery(express="data.tags | length > 1"))
    assert (
        "the condition 'data.tags | length > 1' of 'express' at 'Delivery?' cannot be evaluated before the run"
    ) in messages(suite, Severity.INFO)


def test_condition_in_the_sidecar_that_reads_what_no_data_has_is_a_warning() -> None:
    """A typo in a name of the data would make every data set fit every branch."""
    bindings = delivery(express="data.delivry == 'express' and data.amount > 0")
    [problem] = [p for p in plan(two_decisions(), bindings, [SMALL]).problems if p.severity is Severity.WARNING]
    assert str(problem) == (
        "order: the condition 'data.delivry == 'express' and data.amount > 0' of 'express' at 'Delivery?' "
        "reads 'delivry', which no data set has\nhint: did you mean 'delivery'?"
    )
    assert messages(plan(two_decisions(), bindings), Severity.WARNING) == []


def test_written_condition_takes_the_place_of_the_model_s_own() -> None:
    """The sidecar has the last word on what leads where."""
    decisions = {"Large?": {"large": "data.amount > 5", "small": "data.amount <= 5"}}
    bindings = Bindings(decisions=decisions, witnesses=False)
    suite = plan(two_decisions(), bindings, [SMALL])
    assert {key: data for key, data in fitting(suite).items() if data} == {
        "large-express": ("small",),
        "large-standard": ("small",),
    }


def test_kinds_of_data_beyond_the_limit_are_told() -> None:
    """Each data set that allows other branches than all before is a kind; their number is bounded."""
    count = MAX_DATA_CLASSES + 3
    branches = ";".join(f"xor -b{number} [n == {number}]> t{number} > end" for number in range(count))
    data = [TestDataSet(f"d{number}", {"n": number}) for number in range(count)]
    suite = plan(process_of(f"start > xor; {branches}"), NOTHING_MADE, data)
    assert messages(suite, Severity.WARNING) == [
        "exclusive gateway 'xor' has no default flow: no branch is taken for n = 203",
        "only the first 200 kinds of data sets were tried; 3 more were not",
    ]
    assert suite.coverage[0].missing == ()
    assert fitting(suite)["b0"] == ("d0",)


@pytest.mark.parametrize("amount", [999, 1_001])
def test_every_decision_is_consistent_with_the_data_set(amount: int) -> None:
    """With all conditions known, one data set fits one scenario of each decision."""
    suite = plan(two_decisions(), NOTHING_MADE, [TestDataSet("only", {"amount": amount})])
    fit = [scenario for scenario in suite.scenarios if scenario.data_sets]
    assert {scenario.conditions[0] for scenario in fit} == {
        "${amount > 1000}" if amount > 1_000 else "${amount <= 1000}"
    }


def taken_by(process: Process, data: dict[str, int]) -> tuple[str, ...]:
    """Give the flows that a process of exclusive gateways takes for the data."""
    node, flows = process.nodes[0].id, []
    while process.outgoing[node]:
        outgoing = process.outgoing[node]
        holding = (flow for flow in outgoing if flow.condition and eval(flow.condition.text, {}, data))
        flow = next(holding, outgoing[-1])
        flows.append(flow.id)
        node = flow.target
    return tuple(flows)


@given(
    decided_processes(),
    st.lists(st.fixed_dictionaries({name: st.integers(0, 3) for name in "abc"}), min_size=1, max_size=6),
)
def test_data_fits_the_path_that_it_leads_along_and_no_other(process: Process, values: list[dict[str, int]]) -> None:
    """With all conditions known: what data reaches has a scenario with data, and data is where it leads."""
    data = [TestDataSet(f"d{number}", dict(value)) for number, value in enumerate(values)]
    suite = plan(process, NOTHING_MADE, data)
    led = {data_set.name: taken_by(process, value) for data_set, value in zip(data, values, strict=True)}
    for scenario in suite.scenarios:
        assert set(scenario.data_sets) == {name for name, flows in led.items() if flows == scenario.flows}
    reached = {flow for flows in led.values() for flow in flows}
    assert reached == {flow for scenario in suite.scenarios if scenario.data_sets for flow in scenario.flows}
    warned = {key for key, names in fitting(suite).items() if not names}
    assert len(problems(suite)) == len(warned)
