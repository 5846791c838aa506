"""Many conditions on one variable: each is asked only where its own boundaries are, with the same answers."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from process_text import process_of
from suites import plan

from pytest_orchestra.generation.conditions.expressions import Dialect, Negation
from pytest_orchestra.generation.conditions.parser import parse_condition
from pytest_orchestra.generation.solving.axes import masks_on_axes, sieve_cells
from pytest_orchestra.generation.solving.formulas import Formula, compile_formula
from pytest_orchestra.generation.solving.solver import Status, enumerate_cells, solve
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import Process

X = ("x",)

_ATOMS = st.one_of(
    st.builds(
        "x {} {}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from(["0", "1", "2.5", "7"])
    ),
    st.builds(
        "x {} {}".format,
        st.sampled_from(["<", "==", "!=", ">="]),
        st.sampled_from(['"a"', '"true"', '"7"', '""', '"Z"', "true", "false", "null"]),
    ),
    st.sampled_from(["x", "not x", 'x in ["a", "7", 3]', "x == null or x > 2"]),
)
_TEXTS = st.one_of(
    _ATOMS, st.builds("({} and {})".format, _ATOMS, _ATOMS), st.builds("({} or {})".format, _ATOMS, _ATOMS)
)


def formulas_of(texts: list[str], dialect: Dialect, *, negated: bool) -> list[Formula]:
    parts = [parse_condition(text) for text in texts]
    return [compile_formula(Negation(part) if negated else part, dialect) for part in parts]


@given(st.lists(_TEXTS, min_size=1, max_size=6), st.sampled_from(Dialect), st.booleans())
def test_masks_say_what_every_cell_says(texts: list[str], dialect: Dialect, negated: bool) -> None:
    """No cell is told otherwise than by asking every formula about it."""
    formulas = formulas_of(texts, dialect, negated=negated)
    found = enumerate_cells(formulas, 1_000)
    assert found is not None
    cells = [values[X] for values in found]
    answer = masks_on_axes(formulas, X, cells, 100_000)
    assert answer is not None
    masks, ordered = answer
    asked = Counter(tuple(formula.truth({X: cell}) is not False for formula in formulas) for cell in cells)
    assert Counter(tuple(bool(mask >> bit & 1) for mask in masks) for bit in range(len(ordered))) == asked
    assert Counter(ordered) == Counter(cells)
    assert sieve_cells(formulas, X, cells) == [
        cell for cell in cells if all(f.truth({X: cell}) is not False for f in formulas)
    ]


def test_masks_are_refused_where_a_part_can_only_be_computed() -> None:
    """What a function says of a text follows from no boundary."""
    formulas = formulas_of(["x % 3 == 0"], Dialect.MODEL, negated=False)
    assert masks_on_axes(formulas, X, [], 10) is None


def test_contradiction_among_many_thresholds_is_seen() -> None:
    """Boundaries of one variable, however many, leave the answer exact."""
    parts = [parse_condition(f"x != {number**3}") for number in range(60)]
    found = solve([*parts, parse_condition("x > 10"), parse_condition("x < 9")])
    assert (found.status, found.core) == (Status.CONTRADICTORY, (60, 61))
    assert solve([*parts, parse_condition("x > 10")]).status is Status.SATISFIABLE


def test_number_is_no_truth_value_that_was_asked_about_before() -> None:
    """Python takes 1 for true; what was found out about ``true`` must not be remembered for 1."""
    truth, number = parse_condition("y == true"), parse_condition("y == 1")
    assert truth != number
    assert solve([truth]).assignment == {("y",): True}
    assert solve([number, parse_condition("y < 2")]).assignment == {("y",): 1}


def row_of_ranges(count: int, width: int) -> Process:
    """Give a row of gateways, each of which asks whether one amount lies in a range of its own."""
    blocks = (
        f"t{number} > xor{number}; xor{number} -yes [amount >= {number * 10} and amount < {number * 10 + width}]> "
        f"a{number} > xorj{number}; xor{number} -no > b{number} > xorj{number}; xorj{number} > t{number + 1}"
        for number in range(count)
    )
    return process_of(f"start > t0; {';'.join(blocks)}; t{count} > end")


def test_many_ranges_of_one_variable_are_each_covered_with_data() -> None:
    """Ranges that exclude each other take a scenario each, none of them contradicts itself, and all get data."""
    suite = plan(row_of_ranges(60, 10), criteria=[Criterion.EDGE])
    assert [(one.covered, one.total) for one in suite.coverage] == [(362, 362)]
    assert len(suite.scenarios) == 60
    amounts = {one.data["amount"] for one in suite.generated_data}
    assert {int(str(amount)) // 10 for amount in amounts} == set(range(60))


def test_pairs_of_conditions_on_one_variable_leave_everything_else_its_work() -> None:
    """Branches that exclude each other are told so, and the pairs that remain take no flow's share of the search."""
    suite = plan(row_of_ranges(30, 1_000), criteria=[Criterion.EDGE, Criterion.PAIRWISE])
    edges, pairs = suite.coverage
    assert edges.covered == edges.total == 182
    assert pairs.covered + len(pairs.missing) == pairs.total
    assert all(one.reason.startswith("contradicts 'amount") for one in pairs.missing)
    assert not any("limit" in problem.message for problem in suite.problems)
