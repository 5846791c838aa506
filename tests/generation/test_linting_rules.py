"""Each rule by an example, what else it says, and how problems are told: once, by place, not too many."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from lint_examples import EXAMPLES, broken, told
from process_text import events, process_of

from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import (
    Collaboration,
    Condition,
    EventKind,
    Extension,
    MessageFlow,
    NodeKind,
    Participant,
    Process,
    ProcessDocument,
)
from pytest_orchestra.problem import Place, Severity

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "problems.md"


@pytest.mark.parametrize("rule", Rule)
def test_example_of_a_rule_breaks_it_once(rule: Rule) -> None:
    """The problem has its severity, element, message, hint and code, and nobody tells it twice."""
    example = EXAMPLES[rule]
    [problem] = broken(rule)
    assert (problem.severity, problem.element) == (example.severity, example.element)
    assert (problem.message, problem.hint) == (example.message, example.hint)


@pytest.mark.parametrize("rule", Rule)
def test_reference_has_every_rule_with_its_example(rule: Rule) -> None:
    """The page of problems has a section for each code, with the message that the example gives."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition(f"\n## `{rule}`\n")[2].partition("\n## ")[0]
    words = " ".join(section.split())
    assert EXAMPLES[rule].message in words, f"{rule}: {EXAMPLES[rule].message}"
    assert f"`{EXAMPLES[rule].severity}`" in words
    assert "**What to do**" in words


def test_reference_has_no_rule_that_does_not_exist() -> None:
    """Every section of the page stands for a code."""
    headings = re.findall(r"^## `([\w-]+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(rule.value for rule in Rule)


def test_sound_process_has_no_problem() -> None:
    """Named branches, a default, conditions that cover everything: nothing to say."""
    drawing = """
        start > xor; xor -small [amount < 100]> pack > xor2; xor -large [amount >= 100]> ask > xor2
        xor2 > and; and > bill > and2; and > ship > and2; and2 > or; or -gift> wrap > or2; or -else> or2; or2 > end
    """
    assert told(drawing) == []


def test_problems_are_sorted_by_place_and_limited_in_number() -> None:
    """Of a rule that is broken all over the first twenty are told, and how many more there are."""
    drawing = "start > x > end;" + ";".join(f"lost{number} > end" for number in range(30, 0, -1))
    process = process_of(drawing, **{f"lost{number}": {"place": Place("a.bpmn", number)} for number in range(1, 31)})
    problems = [problem for problem in build_suite(process, None, []).problems if problem.code]
    assert [problem.element for problem in problems[:-1]] == [f"lost{number}" for number in range(1, 21)]
    assert problems[-1].message == "and 10 more problems like these: 'dead-element'"
    assert problems[-1].hint == "mend these first"
    assert problems[-1].severity is Severity.WARNING


def test_code_is_part_of_how_a_problem_is_listed() -> None:
    """The label has the code in brackets, as compilers do; without one it is the severity."""
    [problem] = broken(Rule.DEADLOCK)
    assert problem.label == "error[deadlock]"


# --- what is never reached, and where nothing ends


def test_elements_that_are_not_reached_are_told_once_for_all_behind_them() -> None:
    """The first of a row stands for the rest; an activity with a boundary event does not break the row."""
    border = {"kind": NodeKind.BOUNDARY_EVENT, "attached_to": "b", "events": events(EventKind.TIMER)}
    assert told("start > a > end; b > c > d > end; border > e > end", border=border) == [
        "warning[dead-element] b: task 'b' cannot be reached from a start, nor can the 4 elements behind it"
    ]


def test_cycle_that_is_not_reached_is_told_once() -> None:
    """Where every element has a flow to it, the first of them is named."""
    assert told("start > a > end; b > c > b") == [
        "warning[dead-element] b: task 'b' cannot be reached from a start, nor can the element behind it"
    ]


def test_boundary_event_on_nothing_is_a_dead_element() -> None:
    """An event that is attached to no activity never happens."""
    assert told("start > a > end", border={"attached_to": "gone", "events": events(EventKind.TIMER)}) == [
        "warning[dead-element] border: boundary event 'border' is attached to no activity"
    ]


def test_sub_process_that_is_not_entered_stands_for_its_inside() -> None:
    """What lies in it is not told again."""
    assert told(
        "start > a > end; sub > end; begin > b > stop",
        begin={"kind": NodeKind.START_EVENT, "scope": "sub"},
        b={"scope": "sub"},
        stop={"kind": NodeKind.END_EVENT, "scope": "sub"},
    ) == [
        "warning[dead-element] sub: sub-process 'sub' cannot be reached from a start, nor can the 3 elements behind it"
    ]


def test_case_whose_elements_are_started_by_hand_has_no_dead_ones() -> None:
    """In a process that its vendor marks as ad hoc, nothing need lead to an element."""
    process = process_of("start > a > end; b > end")
    mark = Extension("{http://www.jboss.org/drools}adHoc", text="true", is_attribute=True)
    process = Process("order", "Order", nodes=process.nodes, flows=process.flows, extensions=(mark,))
    assert [problem.code for problem in build_suite(process, None, []).problems if problem.code] == []


def test_every_endless_part_is_told_at_its_own_beginning() -> None:
    """Two cycles without a way out are two problems, what leads to them is none."""
    assert told("start > xor; xor -yes> end; xor -no> a > b > a; xor -maybe> c > d > d2 > d") == [
        "warning[unreachable-end] a: no end can be reached from task 'a'",
        "warning[unreachable-end] d: no end can be reached from task 'd'",
    ]


def test_message_is_dead_only_if_all_its_senders_are() -> None:
    """A pool of which nothing is known may send it; so may any sender that is reached."""
    process = process_of("start > catch > end", catch={"events": events(EventKind.MESSAGE)})
    drawn = process_of("start9 > c > end9; b > end9")
    other = Process("shop", "Shop", nodes=drawn.nodes, flows=drawn.flows)

    def dead(*sources: str) -> int:
        flows = tuple(MessageFlow(f"m{source}", source, "catch") for source in sources)
        document = ProcessDocument(
            "order.bpmn",
            processes=(process, other),
            collaborations=(Collaboration("c", participants=(Participant("black"),), message_flows=flows),),
        )
        problems = build_suite(process, None, [], document=document).problems
        return sum(problem.code == Rule.DEAD_MESSAGE for problem in problems)

    assert [dead("b"), dead("c"), dead("b", "c"), dead("black"), dead("b", "black")] == [1, 0, 0, 0, 0]


# --- conditions


def test_gap_is_shown_with_a_value_or_not_at_all() -> None:
    """Numbers that no branch takes are a warning, other texts information; what is not understood is only said."""
    gap = "has no default flow"
    assert told("start > xor; xor -a [n > 5]> x > end; xor -b [n < 5]> y > end") == [
        f"warning[missing-default] xor: exclusive gateway 'xor' {gap}: no branch is taken for n = 5"
    ]
    assert told("start > xor; xor -a [s == 'A']> x > end; xor -b [s == 'B']> y > end") == [
        f"info[missing-default] xor: exclusive gateway 'xor' {gap}: no branch is taken for s = \"B-other\""
    ]
    assert told("start > xor; xor -a [f.g(1)]> x > end; xor -b [h.g(2)]> y > end") == [
        f"info[missing-default] xor: exclusive gateway 'xor' {gap}"
    ]
    assert told("start > or; or -a [n > 5]> x > or2; or -b [n < 3]> y > or2; or2 > end") == [
        f"warning[missing-default] or: inclusive gateway 'or' {gap}: no branch is taken for n = 3"
    ]


@pytest.mark.parametrize(
    "conditions",
    [
        ("n > 5", "n <= 5"),
        ("${vip}", "${!vip}"),
        ("ok == true", "ok == false"),
        ("a > b", "a <= b"),
        ("s == null", "s != null"),
    ],
)
def test_conditions_that_cover_everything_need_no_default(conditions: tuple[str, str]) -> None:
    """That a value may be missing or of another kind is no gap."""
    one, other = conditions
    assert told(f"start > xor; xor -a [{one}]> x > end; xor -b [{other}]> y > end") == []


def test_words_for_people_are_not_taken_for_data() -> None:
    """Where a branch just says 'large', nobody knows what that excludes."""
    assert told("start > xor; xor -a [large]> x > end; xor -b [small]> y > end") == [
        "info[missing-default] xor: exclusive gateway 'xor' has no default flow"
    ]


def test_conditions_on_different_variables_overlap_for_information() -> None:
    """Both may hold as far as the model tells; other rules may exclude it."""
    drawing = "start > xor; xor -a [n > 5]> x > end; xor -b [vip == true]> y > end; xor -c> z > end"
    [found] = told(drawing, xor={"default_flow": "xor>z"})
    both = "both 'n > 5' and 'vip == true' at exclusive gateway 'xor' hold for n = 6, vip = true"
    assert found == f"info[overlapping-conditions] xor: {both}"


def test_same_condition_twice_overlaps_even_if_it_is_not_understood() -> None:
    """Two branches with one text are taken for the same data, whatever that is."""
    drawing = "start > xor; xor -a [f.g(1)]> x > end; xor -b [f.g(1)]> y > end; xor -c> z > end"
    assert told(drawing, xor={"default_flow": "xor>z"}) == [
        "warning[overlapping-conditions] xor: 'a', 'b' at exclusive gateway 'xor' have the same condition 'f.g(1)'"
    ]


def test_conditions_of_the_sidecar_are_judged_in_the_place_of_the_model() -> None:
    """What users write for a branch counts, and makes a decision told apart."""
    process = process_of("start > xor; xor > a > end; xor > b > end")
    sidecar = Bindings.model_validate({"decisions": {"xor": {"a": "data.n > 5", "b": "data.n < 5"}}})
    found = [problem for problem in build_suite(process, sidecar, []).problems if problem.code]
    assert [problem.message for problem in found] == [
        "exclusive gateway 'xor' has no default flow: no branch is taken for n = 5"
    ]


def test_long_condition_is_shortened() -> None:
    """White space is folded and what is more than a line left out."""
    text = "n > 5 and\n  " + " and ".join(f"a{number} > {number}" for number in range(40))
    process = process_of("start > a; a -x [n]> b > end")
    flows = tuple(replace(flow, condition=flow.condition and Condition(text)) for flow in process.flows)
    long = replace(process, flows=flows)
    [problem] = [problem for problem in build_suite(long, None, []).problems if problem.code]
    assert problem.message.startswith("task 'a' has one outgoing flow, and is stuck where 'n > 5 and a0 > 0")
    assert problem.message.endswith("...' does not hold")
    assert len(problem.message) < 200


# --- slips


def test_branches_without_names_are_told_unless_one_is_what_the_others_are_not() -> None:
    """A single silent branch, a default, a condition: all of these can be told apart."""
    silent = (
        "info[unnamed-decision] xor: exclusive gateway 'xor' decides without a name or a condition between its ways to"
    )
    assert told("start > xor; xor -yes> a > end; xor > b > end") == []
    assert told("start > xor; xor > a > end; xor > b > end", xor={"default_flow": "xor>b"}) == []
    assert told("start > xor; xor > a > end; xor > b > end; xor -no> end") == [f"{silent} 'a', 'b'"]
    many = ";".join(f"xor > t{number} > end" for number in range(6))
    assert told(f"start > xor; {many}") == [f"{silent} 't0', 't1', 't2' and 3 more"]
    assert told("start > event; event > catch1 > end; event > catch2 > end", catch1=_message(), catch2=_message()) == []


def _message() -> dict[str, object]:
    return {"events": events(EventKind.MESSAGE, ref="m")}


def test_gateway_that_splits_or_joins_is_needed() -> None:
    """One way in and one way out is too little; two ways in or out are enough, and so are none."""
    assert told("start > xor; xor -a> xor2; xor -b> xor2; xor2 > end") == []
    assert told("start > and > end") == ["info[needless-gateway] and: parallel gateway 'and' neither splits nor joins"]


def test_start_events_with_causes_are_told_apart() -> None:
    """A message and a timer may both start a process."""
    causes = {"start1": {"events": events(EventKind.MESSAGE)}, "start2": {"events": events(EventKind.TIMER)}}
    assert told("start1 > a > end; start2 > b > end", **causes) == []


def test_process_without_any_start_and_end_event_is_no_slip() -> None:
    """BPMN asks for the one only where the other is drawn."""
    assert told("a > b > c") == []
