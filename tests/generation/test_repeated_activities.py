"""How activities with loop characteristics are played: not at all, once, several times."""

from __future__ import annotations

from dataclasses import replace

import pytest
from process_text import events, process_of
from scopes import CLASSIC, decided, inside
from suites import fitting, messages, missing, paths, plan

from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import (
    Association,
    Condition,
    DataElement,
    EventKind,
    Extension,
    LoopCharacteristics,
    LoopKind,
    NodeKind,
    Process,
)
from pytest_orchestra.problem import Severity

PARALLEL = LoopCharacteristics(LoopKind.PARALLEL_MULTI_INSTANCE)
SEQUENTIAL = LoopCharacteristics(LoopKind.SEQUENTIAL_MULTI_INSTANCE)
STANDARD = LoopCharacteristics(LoopKind.STANDARD)
LOOP = (Criterion.LOOP,)


@pytest.mark.parametrize("kind", [NodeKind.TASK, NodeKind.CALL_ACTIVITY, NodeKind.SUB_PROCESS])
@pytest.mark.parametrize("loop", [PARALLEL, SEQUENTIAL])
def test_multi_instance_activity_has_none_one_or_several_instances(kind: NodeKind, loop: LoopCharacteristics) -> None:
    """Every instance is a visit of the activity; without any it is passed by."""
    suite = plan(process_of("start > a > end", a={"kind": kind, "loop": loop}), criteria=LOOP)
    assert decided(suite) == {
        "start a end": {},
        "start a a end": {"a": ("N",)},
        "start end": {"a": ("0",)},
    }
    assert missing(suite) == {}


def test_once_is_what_happens_where_nobody_asks_for_more() -> None:
    """Other criteria are met with one instance."""
    suite = plan(process_of("start > a > end", a={"loop": PARALLEL}), criteria=CLASSIC)
    assert decided(suite) == {"start a end": {}}
    assert [coverage.total for coverage in suite.coverage] == [3, 2, 0]


def test_instances_of_a_sub_process_run_one_after_the_other() -> None:
    """The sub-process is left once, when all have ended."""
    process = process_of(
        "start > sub > end; begin > and; and > b; and > c > done",
        sub={"loop": PARALLEL},
        **inside("sub", "begin", "and", "b", "c", "done"),
    )
    assert set(decided(plan(process, criteria=LOOP))) == {
        "start end",
        "start sub begin and b c done end",
        "start sub begin and b c done sub begin and b c done end",
    }


def test_each_instance_decides_for_itself() -> None:
    """Both branches may be taken in one scenario."""
    process = process_of(
        "start > sub > end; begin > xor; xor > b; xor > c",
        sub={"loop": SEQUENTIAL},
        **inside("sub", "begin", "xor", "b", "c"),
    )
    bindings = Bindings.model_validate({"scenarios": [{"key": "mine", "decisions": {"sub": "N", "xor": ["b", "c"]}}]})
    assert paths(plan(process, bindings))["mine"] == "start sub begin xor b sub begin xor c end"


def test_interrupting_boundary_event_ends_all_instances() -> None:
    """It may come in the first or in a later one."""
    process = process_of(
        "start > a > end; border > x > end2", a={"loop": PARALLEL}, border={"attached_to": "a", "name": "Late"}
    )
    bindings = Bindings.model_validate(
        {
            "scenarios": [
                {"key": "first", "decisions": {"a": ["N", "Late"]}},
                {"key": "second", "decisions": {"a": ["N", "normal", "Late"]}},
                {"key": "single", "decisions": {"a": ["1", "Late"]}},
            ]
        }
    )
    suite = plan(process, bindings, criteria=CLASSIC)
    assert paths(suite) == {
        "first": "start a border x end2",
        "second": "start a a border x end2",
        "single": "start a border x end2",
        "main": "start a end",
    }


def test_boundary_event_that_does_not_interrupt_leaves_the_instances_alone() -> None:
    """Its branch runs beside, and the activity is left as ever."""
    process = process_of(
        "start > a > end; border > x", a={"loop": SEQUENTIAL}, border={"attached_to": "a", "is_interrupting": False}
    )
    bindings = Bindings.model_validate({"scenarios": [{"key": "mine", "decisions": {"a": ["N", "border", "normal"]}}]})
    assert paths(plan(process, bindings))["mine"] == "start a border x a end"


@pytest.mark.parametrize("loop", [PARALLEL, SEQUENTIAL])
def test_error_in_one_instance_ends_them_all(loop: LoopCharacteristics) -> None:
    """The boundary event of the whole activity catches it."""
    process = process_of(
        "start > sub > end; border > x > end2; begin > xor; xor -ok> done; xor -bad> failed",
        sub={"loop": loop},
        border={"attached_to": "sub", "events": events(EventKind.ERROR)},
        failed={"scope": "sub", "kind": NodeKind.END_EVENT, "events": events(EventKind.ERROR)},
        **inside("sub", "begin", "xor", "done"),
    )
    bindings = Bindings.model_validate(
        {"scenarios": [{"key": "mine", "decisions": {"sub": "N", "xor": ["ok", "bad"]}}]}
    )
    suite = plan(process, bindings, criteria=CLASSIC)
    assert paths(suite)["mine"] == "start sub begin xor done sub begin xor failed border x end2"
    assert missing(suite) == {}


def test_literal_cardinality_leaves_no_choice() -> None:
    """Three are three, and there is nothing to decide or to cover but that."""
    loop = replace(PARALLEL, cardinality=Condition("3"))
    suite = plan(process_of("start > a > end", a={"loop": loop}), Bindings(max_loop_iterations=0), criteria=CLASSIC)
    assert decided(suite) == {"start a a a end": {}}


def test_cardinality_beyond_the_limit_is_cut_with_a_warning() -> None:
    """A hundred instances tell no more than ten, and that is said."""
    loop = replace(SEQUENTIAL, cardinality=Condition("${100}"))
    suite = plan(process_of("start > a > end", a={"loop": loop}))
    assert suite.scenarios[0].nodes.count("a") == 10
    assert messages(suite, Severity.WARNING) == ["task 'a' is played with 10 of its 100 instances"]


def test_cardinality_of_nought_skips_the_activity() -> None:
    """What never happens is missing with a reason."""
    loop = replace(PARALLEL, cardinality=Condition("0"))
    suite = plan(process_of("start > a > end", a={"loop": loop}), criteria=CLASSIC)
    assert decided(suite) == {"start end": {}}
    assert missing(suite) == {"a": "cannot be reached from a start"}


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (STANDARD, {"start a end", "start a a end"}),
        (replace(STANDARD, test_before=True), {"start end", "start a end", "start a a end"}),
        (replace(STANDARD, maximum=1), {"start a end"}),
        (replace(STANDARD, maximum=5), {"start a end", "start a a end"}),
    ],
)
def test_standard_loop_happens_once_at_least_unless_it_tests_before(
    loop: LoopCharacteristics, expected: set[str]
) -> None:
    """Its condition comes after each instance, and its maximum bounds them."""
    assert set(decided(plan(process_of("start > a > end", a={"loop": loop}), criteria=LOOP))) == expected


@pytest.mark.parametrize(
    ("repetitions", "loops", "instances"), [(1, {}, 2), (5, {}, 2), (1, {"a": 3}, 4), (0, {}, 1), (3, {"a": 0}, 1)]
)
def test_several_are_two_unless_the_sidecar_says_otherwise(
    repetitions: int, loops: dict[str, int], instances: int
) -> None:
    """``loops`` counts repetitions of the node; where none are allowed, several is no alternative."""
    process = process_of("start > a > end", a={"loop": PARALLEL})
    suite = plan(process, Bindings(max_loop_iterations=repetitions, loops=loops), criteria=LOOP)
    assert max(scenario.nodes.count("a") for scenario in suite.scenarios) == instances
    assert messages(suite) == []


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"cardinality": Condition("n")}, "n"),
        ({"cardinality": Condition("${n}")}, "n"),
        ({"cardinality": Condition("= order.n")}, "order.n"),
        ({"collection": "items"}, "len(items)"),
        ({"extensions": (Extension("{c}collection", text="${items}", is_attribute=True),)}, "len(items)"),
        ({"extensions": (Extension("{z}loopCharacteristics", (("inputCollection", "= items"),)),)}, "len(items)"),
    ],
)
def test_number_that_data_may_hold_is_asked_of_it(changes: dict, count: str) -> None:
    """Each alternative says what it needs."""
    suite = plan(process_of("start > a > end", a={"loop": replace(PARALLEL, **changes)}), criteria=LOOP)
    assert {scenario.conditions for scenario in suite.scenarios} == {
        (f"{count} == 1",),
        (f"{count} > 1",),
        (f"{count} == 0",),
    }


def test_expression_that_is_more_than_a_name_asks_nothing() -> None:
    """What calls something is decided by the process at run time."""
    loop = replace(PARALLEL, cardinality=Condition("${orders.size() + 1}"))
    suite = plan(process_of("start > a > end", a={"loop": loop}), criteria=LOOP)
    assert {scenario.conditions for scenario in suite.scenarios} == {()}


def test_data_decides_how_many_instances_there_are() -> None:
    """A scenario has the data sets that lead to its number."""
    data = [
        TestDataSet("none", {"items": []}),
        TestDataSet("one", {"items": [1]}),
        TestDataSet("many", {"items": [1, 2, 3]}),
    ]
    process = process_of("start > a > end", a={"loop": replace(PARALLEL, collection="items")})
    suite = plan(process, None, data, criteria=LOOP)
    assert {" ".join(scenario.nodes): scenario.data_sets for scenario in suite.scenarios} == {
        "start a end": ("one",),
        "start a a end": ("many",),
        "start end": ("none",),
    }
    assert set(fitting(plan(process, None, data[2:]))) == {"main"}


def test_collection_is_what_is_read_into_the_data_input_that_the_loop_names() -> None:
    """The loop names an input of the activity; people know the data by the name of its source."""
    process = process_of("start > a > end", a={"loop": replace(PARALLEL, collection="in1")})
    process = replace(
        process,
        data=(DataElement("in1", "dataInput", "lines"), DataElement("d1", "dataObject", "orders")),
        associations=(Association("x", "d1", "in1", "dataInputAssociation"),),
    )
    suite = plan(process, criteria=LOOP)
    assert {condition for scenario in suite.scenarios for condition in scenario.conditions} == {
        "len(orders) == 1",
        "len(orders) > 1",
        "len(orders) == 0",
    }


def test_flows_of_a_loop_around_lead_to_the_whole_activity() -> None:
    """Coming back to a repeated activity, it is decided anew how often it happens."""
    process = process_of("start > a > xor; xor -again> a; xor -done> end", a={"loop": PARALLEL})
    bindings = Bindings.model_validate(
        {"scenarios": [{"key": "mine", "decisions": {"a": ["N", "0"], "xor": ["again", "done"]}}]}
    )
    suite = plan(process, bindings)
    assert paths(suite)["mine"] == "start a a xor xor end"
    assert messages(suite) == []


def test_steps_of_a_repeated_task_are_taken_once_an_instance() -> None:
    """The second time they have aliases of their own."""
    bindings = Bindings.model_validate(
        {
            "bindings": {"a": {"alias": "call", "endpointRef": "s.o"}},
            "scenarios": [{"key": "two", "decisions": {"a": "N"}}],
        }
    )
    suite = plan(process_of("start > a > end", a={"loop": PARALLEL}), bindings)
    assert [[step.alias for step in scenario.steps] for scenario in suite.scenarios] == [["call", "call_2"]]


def test_loop_of_a_node_that_does_not_repeat_is_told() -> None:
    """The number for it means nothing."""
    process: Process = process_of("start > a > b > end", a={"loop": PARALLEL})
    suite = plan(process, Bindings(loops={"a": 2, "b": 2}))
    assert messages(suite, Severity.WARNING) == ["task 'b' lies on no loop"]
