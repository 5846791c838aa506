"""Whether conditions can hold together: against trying all values, against Z3, and what the answer says."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_orchestra.generation.conditions.expressions import Dialect, Expression, truth_of
from pytest_orchestra.generation.conditions.parser import parse_condition
from pytest_orchestra.generation.limits import MAX_CORE_PARTS, MAX_SOLVER_VARIABLES
from pytest_orchestra.generation.solving.cells import Kind, cell_of, compare_cells, number_cells, text_cells
from pytest_orchestra.generation.solving.data_paths import build_data, changed_data
from pytest_orchestra.generation.solving.domains import Domain
from pytest_orchestra.generation.solving.solver import Solution, Status, solve

HERE = Path(__file__).parent


def solved(*texts: str, **options: Any) -> Solution:
    return solve([parse_condition(text) for text in texts], **options)


@pytest.mark.parametrize(
    "texts",
    [
        ["amount > 1000", "amount <= 500"],
        ["amount = 7", "amount = 8"],
        ["x = 'a'", "x = 'b'"],
        ["x in ('a', 'b')", "x != 'a'", "x != 'b'"],
        ["approved", "!approved"],
        ["approved == true", "approved == false"],
        ["flag == 'true'", "!flag"],
        ["x == null", "x > 5"],
        ["x == null", "x == 'a'"],
        ["empty x", "x == 'a'"],
        ["x > y", "y > z", "z > x"],
        ["x = y", "y = z", "x != z"],
        ["x + 2 < y", "y < 5", "x >= 3"],
        ["2 * x = 10", "x != 5"],
        ["s < 'b'", "s > 'c'"],
        ["a = 'x' or b", "!b", "a != 'x'"],
        ["list contains(tags, 'new')", "not list contains(tags, 'new')"],
        ["x % 2 == 0", "not (x % 2 == 0)"],
        ["1 > 2"],
        ["x > 1 ? x < 0 : false"],
        ["not (x < 5 or true)"],
    ],
)
def test_contradiction_is_found_with_a_least_core(texts: list[str]) -> None:
    """Nothing that the core names can be left out."""
    found = solved("unrelated > 3", *texts, "other = 'x'")
    assert found.status is Status.CONTRADICTORY
    assert {0, len(texts) + 1}.isdisjoint(found.core)
    core = [texts[index - 1] for index in found.core]
    assert solved(*core).status is Status.CONTRADICTORY
    for text in core:
        assert solved(*(other for other in core if other != text)).status is not Status.CONTRADICTORY


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["amount > 1000", "amount <= 5000", "vip"], {("amount",): 5000, ("vip",): True}),
        (["amount > 1000"], {("amount",): 1001}),
        (["amount < 1000"], {("amount",): 999}),
        (["amount > 1", "amount < 2"], {("amount",): 1.5}),
        (["order.total >= 5", "order.lines[1].n = 4"], {("order", "total"): 5, ("order", "lines", 1, "n"): 4}),
        (["state != 'OPEN'"], {("state",): "OPEN-other"}),
        (["x = y", "y = 'a'"], {("x",): "a", ("y",): "a"}),
        (["x == null"], {("x",): None}),
        (["list contains(tags, 'new')"], {("tags",): ["new"]}),
        (["data.amount = 3", "amount < 4"], {("amount",): 3}),
    ],
)
def test_values_are_given_that_read_well(texts: list[str], expected: Mapping[Any, Any]) -> None:
    """Whole numbers where there are any, the literals themselves, and texts that say that they are others."""
    assert solved(*texts) == Solution(Status.SATISFIABLE, expected)


@pytest.mark.parametrize(
    "texts",
    [
        ["bean.check(x)", "x > 4"],
        ["x < 5", "x == null"],
        ["not (amount > 10)", "not (amount <= 10)"],
        ["x == true", "x == 1"],
        ["x > '5'", "x < '40'", "x == 10"],
    ],
)
def test_what_languages_or_methods_decide_is_unknown(texts: list[str]) -> None:
    """A call, null in a comparison, and what one language takes for another kind are no contradiction."""
    assert solved(*texts, asks_z3=False).status is Status.UNKNOWN


def test_opaque_part_leaves_the_rest_to_be_solved() -> None:
    """The values satisfy what is understood."""
    assert solved("bean.check(x)", "x > 4").assignment == {("x",): 5}
    assert solved("bean.check(x)", "x > 4", "x < 3").status is Status.CONTRADICTORY


def test_preferred_values_are_kept_where_they_can() -> None:
    """As few values as possible change."""
    preferred = {("amount",): 50, ("state",): "NEW", ("limit",): 40}
    found = solved("amount > limit", "state != 'OPEN'", preferred=preferred)
    assert found.assignment == preferred
    changed = solved("amount > 100", "amount < limit", "state == 'NEW'", preferred=preferred)
    assert changed.status is Status.SATISFIABLE
    assert changed.assignment[("state",)] == "NEW"
    both = solved("amount + limit > 100", preferred={("amount",): 50, ("limit",): 40})
    assert sum(both.assignment[path] == value for path, value in ((("amount",), 50), (("limit",), 40))) == 1


def test_domain_restricts_what_a_variable_may_be() -> None:
    """Integers, steps, bounds and choices are part of what is solved."""
    whole = {("x",): Domain(kinds=frozenset({Kind.NUMBER}), step=Fraction(1))}
    assert solved("x > 1", "x < 2", domains=whole).status is Status.CONTRADICTORY
    fives = {("x",): Domain(kinds=frozenset({Kind.NUMBER}), step=Fraction(5), low=Fraction(7), high=Fraction(12))}
    assert solved("x != 3", domains=fives).assignment == {("x",): 10}
    choices = {("s",): Domain(choices=(cell_of("A"), cell_of("B")))}
    assert solved("s != 'A'", domains=choices).assignment == {("s",): "B"}
    assert solved("s = 'C'", domains=choices).status is Status.CONTRADICTORY
    long = {("s",): Domain(kinds=frozenset({Kind.TEXT}), shortest=20)}
    assert len(str(solved("s != 'A'", domains=long).assignment[("s",)])) >= 20


def test_template_compares_as_templates_do() -> None:
    """Zero and the empty text are false there, and kinds are kept apart."""
    parts = [parse_condition("not data.x", Dialect.TEMPLATE), parse_condition("data.x != false", Dialect.TEMPLATE)]
    found = solve([*parts, parse_condition("data.x == ''", Dialect.TEMPLATE)], dialects=Dialect.TEMPLATE)
    assert found == Solution(Status.SATISFIABLE, {("x",): ""})
    other = [parse_condition(text, Dialect.TEMPLATE) for text in ("data.x == 'a'", "data.x == 5")]
    assert solve(other, dialects=Dialect.TEMPLATE).status is Status.CONTRADICTORY
    defined = [parse_condition(text, Dialect.TEMPLATE) for text in ("data.x is defined", "data.x is not defined")]
    assert solve(defined, dialects=Dialect.TEMPLATE).status is Status.CONTRADICTORY


def test_conditions_beyond_the_limits_are_unknown_and_not_slow() -> None:
    """What hangs together in too many variables is not decided; a large contradiction is still named."""
    chain = [f"x{number} > x{number + 1}" for number in range(MAX_SOLVER_VARIABLES + 1)]
    assert solved(*chain, asks_z3=False).status is Status.UNKNOWN
    many = [f"x != {number}" for number in range(MAX_CORE_PARTS + 5)]
    found = solved("x in (1, 2)", *many)
    assert found.status is Status.CONTRADICTORY
    assert len(found.core) == len(many) + 1


_LETTERS = "abc"
_GRID = [Fraction(number, 2) for number in range(-6, 13)]


def _atoms() -> st.SearchStrategy[str]:
    name = st.sampled_from(_LETTERS)
    symbol = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    number = st.integers(0, 3).map(str)
    operand = name | number | st.builds("{} + {}".format, name, number) | st.builds("{} - {}".format, name, name)
    return st.one_of(
        st.builds("{} {} {}".format, name, symbol, number),
        st.builds("{} {} {}".format, operand, symbol, operand),
        st.builds("{} in [{}, {}]".format, name, number, number),
    )


def _conditions() -> st.SearchStrategy[list[str]]:
    texts = st.recursive(
        _atoms(),
        lambda inner: st.one_of(
            st.builds("({}) and ({})".format, inner, inner),
            st.builds("({}) or ({})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=4,
    )
    return st.lists(texts, min_size=1, max_size=4)


def _holds_somewhere(parts: list[Expression]) -> bool:
    for values in itertools.product(_GRID, repeat=len(_LETTERS)):
        data = {name: float(value) for name, value in zip(_LETTERS, values, strict=True)}
        if all(truth_of(part, data, Dialect.TEMPLATE) for part in parts):
            return True
    return False


@given(_conditions())
def test_answer_is_that_of_trying_all_values(texts: list[str]) -> None:
    """For numbers, the solver finds a solution wherever a fine grid has one, and what it finds is one."""
    parts = [parse_condition(text, Dialect.TEMPLATE) for text in texts]
    found = solve(parts, dialects=Dialect.TEMPLATE, asks_z3=False)
    numbers = {(name,): Domain(kinds=frozenset({Kind.NUMBER})) for name in _LETTERS}
    typed = solve(parts, dialects=Dialect.TEMPLATE, domains=numbers, asks_z3=False)
    assert typed.status is Status.SATISFIABLE or not _holds_somewhere(parts)  # the grid ends, numbers do not
    assert typed.status is not Status.UNKNOWN
    assert (found.status is Status.CONTRADICTORY) <= (typed.status is Status.CONTRADICTORY)
    for answer in (found, typed):
        if answer.status is Status.SATISFIABLE:
            data = build_data(answer.assignment)
            assert all(truth_of(part, data, Dialect.TEMPLATE) for part in parts)
    assert solve(parts, dialects=Dialect.TEMPLATE, asks_z3=False) == found


@given(_conditions())
@example(["not (b in [0, 0])", "not (b in [0, 0])", "not (b in [0, 0])", "(b < 0) and (b < b + 1)"])
def test_core_is_least(texts: list[str]) -> None:
    """Every condition of a core is needed for the contradiction."""
    parts = [parse_condition(text) for text in texts]
    found = solve(parts, asks_z3=False)
    if found.status is not Status.CONTRADICTORY:
        assert found.core == ()
        return
    core = [parts[index] for index in found.core]
    assert solve(core).status is Status.CONTRADICTORY
    for index in range(len(core)):
        assert solve([*core[:index], *core[index + 1 :]]).status is not Status.CONTRADICTORY


@given(_conditions())
def test_answer_is_that_of_z3(texts: list[str]) -> None:
    """Over the reals, another solver agrees on whether there is a solution."""
    z3 = pytest.importorskip("z3", reason="the extra z3 is not installed")
    variables = {name: z3.Real(name) for name in _LETTERS}
    solver = z3.Solver()
    scope = {"And": z3.And, "Or": z3.Or, "Not": z3.Not, **variables}
    for text in texts:
        solver.add(_as_z3(text, z3, scope))
    parts = [parse_condition(text, Dialect.TEMPLATE) for text in texts]
    numbers = {(name,): Domain(kinds=frozenset({Kind.NUMBER})) for name in _LETTERS}
    found = solve(parts, dialects=Dialect.TEMPLATE, domains=numbers, asks_z3=False)
    assert (found.status is Status.SATISFIABLE) == (solver.check() == z3.sat)


def _as_z3(text: str, z3: Any, scope: Mapping[str, Any]) -> Any:
    """Give a text of these conditions, which Python could evaluate, as a formula of Z3."""
    import ast  # noqa: PLC0415  for this translation only

    def formula(node: ast.AST) -> Any:
        if isinstance(node, ast.BoolOp):
            parts = [formula(value) for value in node.values]
            return (z3.And if isinstance(node.op, ast.And) else z3.Or)(*parts)
        if isinstance(node, ast.UnaryOp):
            return z3.Not(formula(node.operand))
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            return z3.Or(*(formula(node.left) == formula(item) for item in node.comparators[0].elts))
        if isinstance(node, ast.Compare):
            left, right = formula(node.left), formula(node.comparators[0])
            return {
                ast.Lt: lambda: left < right,
                ast.LtE: lambda: left <= right,
                ast.Gt: lambda: left > right,
                ast.GtE: lambda: left >= right,
                ast.Eq: lambda: left == right,
                ast.NotEq: lambda: left != right,
            }[type(node.ops[0])]()
        if isinstance(node, ast.BinOp):
            left, right = formula(node.left), formula(node.right)
            return left + right if isinstance(node.op, ast.Add) else left - right
        return scope[node.id] if isinstance(node, ast.Name) else z3.RealVal(node.value)

    return formula(ast.parse(text, mode="eval").body)


def _text_conditions() -> st.SearchStrategy[list[str]]:
    name = st.sampled_from("st")
    word = st.sampled_from(["'a'", "'b'", "'ab'"])
    symbol = st.sampled_from(["<", "<=", ">", "==", "!="])
    atom = st.builds("{} {} {}".format, name, symbol, word) | st.builds("{} {} {}".format, name, symbol, name)
    return st.lists(atom | st.builds("({}) or ({})".format, atom, atom), min_size=1, max_size=4)


@given(_text_conditions())
def test_answer_about_texts_is_that_of_trying_all(texts: list[str]) -> None:
    """Texts have an order; between, below and beyond the literals there are others."""
    parts = [parse_condition(text, Dialect.TEMPLATE) for text in texts]
    kinds = {(name,): Domain(kinds=frozenset({Kind.TEXT})) for name in "st"}
    found = solve(parts, dialects=Dialect.TEMPLATE, domains=kinds, asks_z3=False)
    words = ["", "A", "AA", "a", "a ", "aA", "aa", "ab", "abA", "aba", "abaa", "b", "bA", "ba", "baa"]
    somewhere = any(
        all(truth_of(part, {"s": one, "t": other}, Dialect.TEMPLATE) for part in parts)
        for one in words
        for other in words
    )
    assert (found.status is Status.SATISFIABLE) == somewhere


@given(st.lists(st.fractions(-5, 5, max_denominator=4), max_size=6), st.fractions(-6, 6, max_denominator=8))
def test_every_number_lies_in_a_cell_that_is_given(boundaries: list[Fraction], number: Fraction) -> None:
    """Whatever a number is, one of the cells compares with all boundaries as it does."""
    signature = [(number > one) - (number < one) for one in boundaries]
    cells = [cell.value for cell in number_cells(boundaries)]
    assert any([(value > one) - (value < one) for one in boundaries] == signature for value in cells)


@given(st.lists(st.text("abc", max_size=3), max_size=5), st.text("abc", max_size=4))
def test_every_text_lies_in_a_cell_that_is_given(boundaries: list[str], text: str) -> None:
    """Whatever a text is, one of the cells compares with all boundaries as it does."""
    signature = [(text > one) - (text < one) for one in boundaries]
    cells = [cell.value for cell in text_cells(boundaries)]
    assert any([(value > one) - (value < one) for one in boundaries] == signature for value in cells)


@given(
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "true", "1"]) | st.just([1]),
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "true", "1"]) | st.just([1]),
)
def test_cells_compare_as_their_values_do(symbol: str, left: Any, right: Any) -> None:
    """Where the evaluation of conditions knows the answer for two values, their cells give the same one."""
    comparison = parse_condition(f"a {symbol} b")
    known = truth_of(comparison, {"a": left, "b": right}, Dialect.MODEL)
    found = compare_cells(symbol, cell_of(left), cell_of(right), strictly=False)
    assert known is None or found is known


def test_z3_finds_values_where_cells_do_not_tell() -> None:
    """Products and parts of texts are solved by the extra, and checked."""
    pytest.importorskip("z3", reason="the extra z3 is not installed")
    for texts in (
        ["x * x > 50", "x * y < 3", "y > 0"],
        ["contains(s, 'abc')", "starts with(s, 'z')"],
        ["s + '!' == 'hey!'"],
        ["string length(s) > 12", "s < 'b'"],
    ):
        found = solved(*texts)
        assert found.status is Status.SATISFIABLE
        data = build_data(found.assignment)
        assert all(truth_of(parse_condition(text), data, Dialect.MODEL) for text in texts)
        assert solved(*texts) == found
    assert solved("x * x < 0").status is Status.UNKNOWN


def test_values_are_put_into_data_by_their_paths() -> None:
    """Objects and lists are made where a path leads; other values stay."""
    before = {"order": {"id": 1, "lines": [{"n": 1}]}, "kept": True, "flat": 3}
    changes = {("order", "lines", 1, "n"): 2, ("order", "id"): 5, ("flat", "deep"): "x"}
    assert changed_data(before, changes) == {
        "order": {"id": 5, "lines": [{"n": 1}, {"n": 2}]},
        "kept": True,
        "flat": {"deep": "x"},
    }
    assert before == {"order": {"id": 1, "lines": [{"n": 1}]}, "kept": True, "flat": 3}


def test_hash_seed_does_not_show_in_a_solution() -> None:
    """The same conditions give the same values in every interpreter."""
    script = (
        "from pytest_orchestra.generation.conditions.parser import parse_condition as p\n"
        "from pytest_orchestra.generation.solving.solver import solve\n"
        "for texts in (['a > b', 'b > c', \"s in ('x','y','z')\", \"s != 'x'\"], ['a = b', 'a != b'],"
        " [\"s > 'k'\", \"t < s\", \"t != 'k'\"], ['x or y or z', '!x', 'list contains(l, 3)']):\n"
        "    print(solve([p(text) for text in texts], asks_z3=False))\n"
    )
    outputs = set()
    for seed in ("0", "1", "77"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(HERE.parents[1])}
        done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1
