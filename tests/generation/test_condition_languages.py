"""Every condition language that occurs in BPMN files, read as one; what cannot be read is opaque and told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from process_text import process_of
from suites import messages, plan

from pytest_orchestra.generation.conditions.expressions import Dialect, Name, Opaque, names_in, truth_of
from pytest_orchestra.generation.conditions.parser import parse_condition
from pytest_orchestra.generation.limits import MAX_CONDITION_CHAIN, MAX_ITEMS, MAX_OPAQUE_TOLD
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Condition, Process
from pytest_orchestra.problem import Severity

DATA: dict[str, Any] = {
    "amount": 1500,
    "vip": True,
    "state": "Open",
    "nothing": None,
    "blank": "",
    "tags": ["new", "big"],
    "levels": ["yellow", "red"],
    "order": {"lines": [{"count": 3}, {"count": 4}], "total": 12},
    "Vacation Approval": "Approved",
    "days": 3,
}
FEEL = "https://www.omg.org/spec/DMN/20240513/FEEL/"
XPATH = "http://www.w3.org/1999/XPath"
JAVA = "http://www.java.com/java"


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("=amount between 1000 and 2000", None, True),
        ("=not(amount between 1000 and 2000)", None, False),
        ("amount in [1000..1500]", FEEL, True),
        ("amount in [1000..1500)", FEEL, False),
        ("amount in ]1500..2000]", FEEL, False),
        ("days in (1, 3, 5)", FEEL, True),
        ("days in (> 5, <= 2)", FEEL, False),
        ("days in ([1..2], 3)", FEEL, True),
        ("days in > 2", FEEL, True),
        ("days in (levels)", FEEL, None),
        ('"new" in tags', FEEL, True),
        ('list contains(tags, "new")', FEEL, True),
        ('some level in levels satisfies level = "red"', FEEL, True),
        ('every level in levels satisfies level = "red"', FEEL, False),
        ("if vip then amount > 1 else amount > 9999", FEEL, True),
        ('starts with(state, "Op")', FEEL, True),
        ('upper case(state) = "OPEN"', FEEL, True),
        ("string length(state) = 4", FEEL, True),
        ("order.lines[1].count = 3", FEEL, True),
        ("order.lines[-1].count = 4", FEEL, True),
        ('[Vacation Approval] = "Approved"', FEEL, True),
        ("`Vacation Approval` != null", FEEL, True),
        ("${vip ? amount > 1 : false}", None, True),
        ("${empty blank and not empty tags}", None, True),
        ("${order.lines[1].count eq 4}", None, True),
        ("${execution.getVariable('amount') ge 1500}", None, True),
        ("${execution.getVariable('vip')} == true", "groovy", True),
        ("${var:equals(state, 'Open')}", None, True),
        ("${var:lt('days', 3)}", None, False),
        ("${variables:containsAny(tags, 'old', 'new')}", None, True),
        ("${variables:get(days) == 3}", None, True),
        ("getDataObject('order')/total = 12", XPATH, True),
        ("bpmn:getDataProperty('order', 'total') = 12", None, True),
        ("$order/total > 3 and not($vip)", XPATH, False),
        ("/order/total = '12'", XPATH, None),
        ("starts-with($state, 'Op')", XPATH, True),
        ('return state.equals("Open");', JAVA, True),
        ('return !"open".equalsIgnoreCase(state);', JAVA, False),
        ('return (Integer) kcontext.getVariable("amount") > 1000;', JAVA, True),
        ('Integer i = (Integer) kcontext.getVariable("amount");\nreturn i < 50;', JAVA, False),
        ('return ((Integer)kcontext.getVariable("days")) < ((Integer)kcontext.getVariable("amount"));', JAVA, True),
        ('return state.compareTo("Pending") < 0;', JAVA, True),
        ("return Boolean.TRUE.equals(vip);", JAVA, True),
        ("return vip", None, True),
        ("return Boolean.TRUE == vip && KieFunctions.isFalse(vip);", JAVA, False),
        ("return order.getTotal() == 12 && tags.size() == 2L;", JAVA, True),
        ('return new BigDecimal("1") != null;', JAVA, True),
        ("state.trim().toLowerCase() == 'open'", "groovy", True),
        ("amount as Integer > 1000", "groovy", True),
        ("state === 'Open' && tags.includes('new')", "text/javascript", True),
        ("nothing === undefined", "text/javascript", True),
        ("1000 < amount < 2000", "python", True),
        ("nothing is None and vip is not False", "python", True),
        ("'old' not in tags", "python", True),
        ("len(tags) == 2", "python", True),
        ("True if vip else False", "python", True),
        ("string.IsNullOrEmpty(blank)", None, True),
        ('state.Equals("Open")', None, True),
        ("amount > 1000 AND NOT vip", None, False),
        ("eval(true);", "http://www.jboss.org/drools/rule", True),
        ("vip", None, True),
        ("2 > 1", None, True),
    ],
)
def test_condition_of_any_language_has_its_truth(text: str, language: str | None, expected: bool | None) -> None:
    """What can be said in a language is understood as it is meant there."""
    assert truth_of(parse_condition(text, Dialect.MODEL, language), DATA, Dialect.MODEL) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${bean.isReady(order)} and amount < 5", False),
        ("some x in tags, y in levels satisfies x = y or amount > 5", None),
        ("amount < 5 and (weird ~ stuff)", False),
        ('today() > date("2020-01-01") or vip', True),
        ('amount > 5 and date and time("2020-01-01T00:00:00") < now()', None),
        ("count($order/lines[@count = 3]) = 1 and $amount < 5", False),
        ("org.acme.Person( age > 3, ~ ) && amount < 5", False),
        ("order.lines[count > 3].total = 1", None),
        ("x instanceof String or vip", True),
        ("(a, b, c) = 1", None),
        ("= > 1000", None),
        ("xs[1][2][3] == 1", None),
        ("for x in tags return x", None),
    ],
)
def test_part_that_is_not_understood_does_not_hide_the_rest(text: str, expected: bool | None) -> None:
    """Opaque is a part, not the whole, where the form allows to tell where it ends."""
    assert truth_of(parse_condition(text), DATA, Dialect.MODEL) is expected


@pytest.mark.parametrize(
    "text", ["kleine Menge", "Was the order approved?", "Ja", "otherwise", "/glossary/e452", "~", ""]
)
def test_prose_is_no_variable(text: str) -> None:
    """What people wrote for people, an answer or a sentence, is opaque; a single word may be a variable."""
    assert isinstance(parse_condition(text), Opaque)
    assert parse_condition("approved") == Name(("approved",))


def test_name_with_spaces_is_one_in_feel() -> None:
    """FEEL allows them, and says so by its sign or its language."""
    assert parse_condition("Manual Check", Dialect.MODEL, FEEL) == Name(("Manual Check",))
    assert parse_condition("=Manual Check") == Name(("Manual Check",))


def test_text_goes_before_the_stated_language() -> None:
    """An expression of JUEL stays one where the file says XPath, the default of its tool."""
    assert truth_of(parse_condition("${amount / 2 == 750}", Dialect.MODEL, XPATH), DATA, Dialect.MODEL) is True


def test_name_bound_by_a_quantifier_is_not_read_from_data() -> None:
    """The variable belongs to the statement."""
    assert names_in(parse_condition("=some x in tags satisfies x = amount")) == (("tags",), ("amount",))


def test_list_beyond_the_limit_is_unknown() -> None:
    """A statement about all items is not decided by the first ones."""
    data = {"tags": ["a"] * (MAX_ITEMS + 1)}
    assert truth_of(parse_condition('=every x in tags satisfies x = "a"'), data, Dialect.MODEL) is None
    assert truth_of(parse_condition('=some x in tags satisfies x = "a"'), data, Dialect.MODEL) is True


def test_long_chain_of_operators_is_opaque() -> None:
    """Evaluation needs no deep recursion."""
    text = " + ".join(["1"] * (MAX_CONDITION_CHAIN + 2))
    assert isinstance(parse_condition(f"{text} > 0"), Opaque)
    assert truth_of(parse_condition(" + ".join(["1"] * MAX_CONDITION_CHAIN) + " == 100"), {}, Dialect.MODEL) is True


@given(
    st.text(alphabet="abx.'\"()[]{}=<>!&|+-*/%,:;?@#$~`0123 \n\\", max_size=50)
    | st.lists(
        st.sampled_from(
            (
                *("not", "in", "between", "and", "or", "some", "every", "satisfies", "if", "then", "else", "return"),
                *("(", ")", "[", "]", "..", ",", "?", ":", "x", "y", "1", "'a'", "=", "<", "is", "None", "empty", "${"),
                *("}", "new", "as", "for", "instance", "of", ".", "//", "/", "@", "Integer", ";", "contains", "date"),
            )
        ),
        max_size=25,
    ).map(" ".join),
    st.sampled_from([None, FEEL, XPATH, JAVA, "python"]),
)
def test_whatever_is_written_is_read_without_an_error(text: str, language: str | None) -> None:
    """Any text in any language gives a condition that has a truth or none."""
    for dialect in Dialect:
        assert truth_of(parse_condition(text, dialect, language), DATA, dialect) in (True, False, None)


def _gateway(conditions: list[str]) -> Process:
    branches = ";".join(f"xor -b{number} [{text}]> t{number} > end" for number, text in enumerate(conditions))
    return process_of(f"start > xor; {branches}", xor={"name": "Which?"})


def test_condition_that_is_not_understood_is_told_once() -> None:
    """The user learns which branches any data may take, and what to do; an understood one needs no word."""
    suite = plan(_gateway(["${bean.check(order)}", "${amount > 5}", "kleine Menge"]))
    assert [str(problem) for problem in suite.problems if "evaluated" in problem.message] == [
        (
            "order: the condition '${bean.check(order)}' of 'b0' at 'Which?' cannot be evaluated before the run"
            "\nhint: say in 'decisions' which data leads to 'b0'"
        ),
        (
            "order: the condition 'kleine Menge' of 'b2' at 'Which?' cannot be evaluated before the run"
            "\nhint: say in 'decisions' which data leads to 'b2'"
        ),
    ]
    assert all(problem.severity is Severity.INFO for problem in suite.problems if "evaluated" in problem.message)
    written = Bindings(decisions={"Which?": {"b0": "data.a", "b2": "data.b"}})
    assert not [
        message for message in messages(plan(_gateway(["${b.c(o)}", "x", "some words"]), written)) if "b0" in message
    ]


def test_many_conditions_that_are_not_understood_are_not_told_one_by_one() -> None:
    """Beyond a limit their number is told."""
    suite = plan(_gateway([f"${{bean.check{number}()}}" for number in range(MAX_OPAQUE_TOLD + 5)]))
    told = [message for message in messages(suite) if message.endswith("before the run")]
    assert len(told) == MAX_OPAQUE_TOLD + 1
    assert told[-1] == "5 more conditions cannot be evaluated before the run"


def test_language_of_the_condition_is_heeded_in_a_process() -> None:
    """The same text is a division in one language, a path in the other."""
    process = process_of(
        "start > xor; xor -yes [order/total = 12]> a > end; xor -no> end", xor={"default_flow": "xor>end"}
    )
    flows = tuple(
        flow
        if flow.condition is None
        else type(flow)(flow.id, flow.source, flow.target, flow.name, Condition(flow.condition.text, XPATH))
        for flow in process.flows
    )
    found = plan(type(process)(process.id, nodes=process.nodes, flows=flows))
    assert {data_set.name: data_set.data for data_set in found.generated_data}["yes"] == {"order": {"total": 12}}
