"""Evaluating expressions: Jinja's tree becomes functions of the names in scope.

Jinja reads the language; its generated Python is not used. What is not written here cannot be done: values are read
by key and index alone, never by attribute, only the methods of :mod:`pytest_orchestra.data.methods` are called, and
every failure knows the part of the expression that failed and the names that it reads.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NoReturn

from jinja2 import nodes

from pytest_orchestra.data.faults import Absent, Fault, suggest
from pytest_orchestra.data.filters import FILTERS
from pytest_orchestra.data.methods import METHODS, call_method
from pytest_orchestra.data.notation import COMPARISONS, OPERATORS, write
from pytest_orchestra.data.operators import (
    MISSING,
    calculate,
    check_length,
    compare,
    describe,
    is_number,
    item,
    kind_of,
    literal,
    to_text,
)
from pytest_orchestra.data.predicates import TESTS, check_pattern
from pytest_orchestra.errors import EvaluationError, TemplateSyntaxError, UndefinedVariableError
from pytest_orchestra.problem import Place

__all__ = ["Compiler", "Evaluate", "is_literal", "key_of", "roots_of"]

Evaluate = Callable[[Mapping[str, object]], Any]
"""Gives the value of an expression for the names in scope."""

_LONGEST_SHOWN: Final = 200
_RESCUING_TESTS: Final = {"defined": True, "undefined": False}
_RESCUING_FILTERS: Final = frozenset({"default", "d"})
_BY_NAME: Final[dict[str, tuple[Mapping[str, object], int]]] = {
    "map": (FILTERS, 0),
    "select": (TESTS, 0),
    "reject": (TESTS, 0),
    "selectattr": (TESTS, 1),
    "rejectattr": (TESTS, 1),
}
"""Filters that apply a filter or test by its name, and where among their arguments the name stands."""


def is_literal(node: nodes.Node) -> bool:
    """Tell whether a node is a constant; ``null`` is one here, a name to Jinja."""
    return isinstance(node, nodes.Const) or (isinstance(node, nodes.Name) and node.name == "null")


def key_of(node: nodes.Node) -> str | int | None:
    """Give the key with which a node reads from the node before it, None if the key is no plain literal."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and type(node.arg.value) in (str, int):
        key: str | int = node.arg.value
        return key
    return None


def roots_of(node: nodes.Node) -> frozenset[str]:
    """Give the root names that an expression reads."""
    return frozenset(
        found.name
        for found in (node, *node.find_all(nodes.Name))
        if isinstance(found, nodes.Name) and not is_literal(found)
    )


class Compiler:
    """Makes functions of the parts of one expression; ``place`` is where the errors say that it stands."""

    def __init__(self, place: Place | None) -> None:
        self._place = place

    def compile(self, node: nodes.Node) -> Evaluate:
        """Give the function. Raises ``TemplateSyntaxError`` where the language does not have what the node is."""
        if is_literal(node):
            return self._constant(node)
        match node:
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._path(node)
            case nodes.Compare():
                return self._comparison(node)
            case nodes.And() | nodes.Or():
                return self._junction(node)
            case nodes.Not():
                operand = self.compile(node.node)
                return lambda names: not operand(names)
            case nodes.BinExpr():
                return self._binary(node)
            case nodes.Neg() | nodes.Pos():
                return self._signed(node)
            case nodes.Concat():
                return self._concatenation(node)
            case nodes.Filter() if node.name in _RESCUING_FILTERS:
                return self._default(node)
            case nodes.Filter():
                return self._filter(node)
            case nodes.Test():
                return self._test(node)
            case nodes.Call():
                return self._method(node)
            case nodes.CondExpr():
                return self._condition(node)
            case nodes.List() | nodes.Tuple():
                return self._list(node)
            case nodes.Dict():
                return self._object(node)
            case _:
                raise self._syntax(f"'{type(node).__name__.lower()}' is not part of the language")

    # ---- errors ----

    def _syntax(self, fact: str, hint: str | None = None) -> TemplateSyntaxError:
        return TemplateSyntaxError(fact, place=self._place, hint=hint)

    def _fail(self, node: nodes.Node, fault: Exception) -> NoReturn:
        """Raise what a part of the expression came to as the error that it means."""
        where = f", in '{_shown(node)}'"
        roots = roots_of(node)
        if isinstance(fault, Absent):
            root = _chain_root(node)
            raise UndefinedVariableError(
                fault.fact + where, place=self._place, hint=fault.hint, root=root, roots=roots
            ) from None
        if isinstance(fault, Fault):
            raise EvaluationError(fault.fact + where, place=self._place, hint=fault.hint, roots=roots) from None
        if isinstance(fault, RecursionError):
            raise EvaluationError(f"values are nested too deeply{where}", place=self._place, roots=roots) from None
        raise EvaluationError(
            f"'{_shown(node)}' cannot be evaluated: {fault}", place=self._place, roots=roots
        ) from None

    def _absent(self, node: nodes.Getattr | nodes.Getitem, container: object, key: object) -> NoReturn:
        """Raise that a container does not have what the node reads from it."""
        of = write(node.node)
        fact, hint = f"'{key}' is not in '{of}', which is {describe(container)}", None
        if isinstance(container, Mapping):
            fact, hint = f"'{key}' is not in '{of}'", suggest(key, container)
        elif isinstance(container, (list, tuple)):
            if is_number(key):
                fact = f"index {literal(key)} is not in '{of}', a list of {len(container)}"
            elif container:
                hint = f"read it from an item, such as '{of}[0].{key}'"
        raise UndefinedVariableError(fact, place=self._place, hint=hint, root=_chain_root(node), roots=roots_of(node))

    def _check(self, node: nodes.Node, value: object) -> Any:
        """Give the value of a name or path if it is JSON."""
        if kind_of(value) == "foreign":
            raise EvaluationError(
                f"'{write(node)}' is {describe(value)}, which is no JSON value",
                place=self._place,
                hint="give it as text or as a number",
                roots=roots_of(node),
            )
        return value

    # ---- values ----

    def _constant(self, node: nodes.Node) -> Evaluate:
        value = node.value if isinstance(node, nodes.Const) else None
        if isinstance(value, float) and not math.isfinite(value):
            raise self._syntax("a number of the expression is too large")
        return lambda _: value

    def _path(self, node: nodes.Name | nodes.Getattr | nodes.Getitem) -> Evaluate:
        """Compile a name, or a chain of keys; one with plain keys on a name is read in one go."""
        keys: list[str | int] = []
        base: nodes.Node = node
        while isinstance(base, (nodes.Getattr, nodes.Getitem)) and (key := key_of(base)) is not None:
            keys.append(key)
            base = base.node
        if isinstance(base, nodes.Name) and not is_literal(base):
            return self._plain_path(node, base.name, tuple(reversed(keys)))
        assert not isinstance(node, nodes.Name)
        return self._subscript(node)

    def _plain_path(self, node: nodes.Node, root: str, keys: Sequence[str | int]) -> Evaluate:
        kinds = _JSON_TYPES

        def read(names: Mapping[str, object]) -> Any:
            try:
                value: Any = names[root]
            except KeyError:
                self._undefined_root(root, names)
            for depth, key in enumerate(keys):
                if type(value) is dict and key in value:
                    value = value[key]
                    continue
                found = item(value, key)
                if found is MISSING:
                    self._absent(_prefix(node, len(keys) - depth - 1), value, key)
                value = found
            return value if type(value) in kinds else self._check(node, value)

        return read

    def _undefined_root(self, root: str, names: Mapping[str, object]) -> NoReturn:
        raise UndefinedVariableError(
            f"'{root}' is not defined", place=self._place, hint=suggest(root, names, nothing="nothing is"), root=root
        ) from None

    def _subscript(self, node: nodes.Getattr | nodes.Getitem) -> Evaluate:
        base = self.compile(node.node)
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            return self._slice(node, base, node.arg)
        plain = key_of(node)
        key = self.compile(node.arg) if isinstance(node, nodes.Getitem) and plain is None else lambda _: plain

        def read(names: Mapping[str, object]) -> Any:
            container, wanted = base(names), key(names)
            found = item(container, wanted)
            if found is MISSING:
                self._absent(node, container, wanted)
            return self._check(node, found)

        return read

    def _slice(self, node: nodes.Node, base: Evaluate, bounds: nodes.Slice) -> Evaluate:
        compiled = [self.compile(b) if b else None for b in (bounds.start, bounds.stop, bounds.step)]

        def cut(names: Mapping[str, object]) -> Any:
            value = base(names)
            start, stop, step = (bound(names) if bound else None for bound in compiled)
            for bound in (start, stop, step):
                if bound is not None and type(bound) is not int:
                    self._fail(node, Fault(f"{literal(bound)} is no index"))
            if step == 0 or not isinstance(value, (list, tuple, str)):
                self._fail(node, Fault("the step is 0" if step == 0 else f"cannot cut {describe(value)}"))
            return value[start:stop:step]

        return cut

    def _list(self, node: nodes.List | nodes.Tuple) -> Evaluate:
        parts = [self.compile(part) for part in node.items]
        return lambda names: [part(names) for part in parts]

    def _object(self, node: nodes.Dict) -> Evaluate:
        pairs = [(self.compile(pair.key), self.compile(pair.value)) for pair in node.items]

        def build(names: Mapping[str, object]) -> Any:
            built = {}
            for key, value in pairs:
                name = key(names)
                if not isinstance(name, str):
                    self._fail(node, Fault(f"the key {literal(name)} is no string"))
                built[name] = value(names)
            return built

        return build

    # ---- operators ----

    def _binary(self, node: nodes.BinExpr) -> Evaluate:
        sign = OPERATORS[type(node)]
        left, right = self.compile(node.left), self.compile(node.right)

        def run(names: Mapping[str, object]) -> Any:
            one, other = left(names), right(names)
            try:
                return calculate(sign, one, other)
            except (Fault, RecursionError) as fault:
                self._fail(node, fault)

        return run

    def _signed(self, node: nodes.UnaryExpr) -> Evaluate:
        operand = self.compile(node.node)
        is_negative = isinstance(node, nodes.Neg)

        def run(names: Mapping[str, object]) -> Any:
            value = operand(names)
            if not is_number(value):
                self._fail(node, Fault(f"{describe(value)} has no sign"))
            return -value if is_negative else value

        return run

    def _concatenation(self, node: nodes.Concat) -> Evaluate:
        parts = [self.compile(part) for part in node.nodes]

        def join(names: Mapping[str, object]) -> Any:
            values = [part(names) for part in parts]
            try:
                texts = [to_text(value) for value in values]
                check_length(sum(map(len, texts)))
            except (Fault, RecursionError) as fault:
                self._fail(node, fault)
            return "".join(texts)

        return join

    def _comparison(self, node: nodes.Compare) -> Evaluate:
        first = self.compile(node.expr)
        rest = [(COMPARISONS[operand.op], self.compile(operand.expr)) for operand in node.ops]

        def run(names: Mapping[str, object]) -> Any:
            left = first(names)
            for sign, operand in rest:
                right = operand(names)
                try:
                    if not compare(sign, left, right):
                        return False
                except (Fault, RecursionError) as fault:
                    self._fail(node, fault)
                left = right
            return True

        return run

    def _junction(self, node: nodes.And | nodes.Or) -> Evaluate:
        left, right = self.compile(node.left), self.compile(node.right)
        if isinstance(node, nodes.And):
            return lambda names: left(names) and right(names)
        return lambda names: left(names) or right(names)

    def _condition(self, node: nodes.CondExpr) -> Evaluate:
        if node.expr2 is None:
            raise self._syntax("an 'if' has no 'else'", "write 'VALUE if CONDITION else OTHER'")
        test, then, otherwise = self.compile(node.test), self.compile(node.expr1), self.compile(node.expr2)
        return lambda names: then(names) if test(names) else otherwise(names)

    # ---- filters, tests, methods ----

    def _filter(self, node: nodes.Filter) -> Evaluate:
        assert node.node is not None
        function, args, kwargs = self._call_parts(node, FILTERS, "filter")
        operand = self.compile(node.node)
        if node.name in _BY_NAME:
            self._check_named(node)

        def apply(names: Mapping[str, object]) -> Any:
            value = operand(names)
            more = [arg(names) for arg in args]
            named = {name: arg(names) for name, arg in kwargs}
            try:
                return function(value, *more, **named)
            except _OPERATION_ERRORS as fault:
                self._fail(node, fault)

        return apply

    def _default(self, node: nodes.Filter) -> Evaluate:
        """Compile ``VALUE|default(OTHER)``, which alone may read what is not there; ``OTHER`` is evaluated at need."""
        assert node.node is not None
        function, args, kwargs = self._call_parts(node, FILTERS, "filter")
        operand = _rescued(self.compile(node.node))
        bound = _signature(function).bind(None, *args, **dict(kwargs)).arguments
        fallback: Evaluate = bound.get("default_value", lambda _: "")
        is_strict: Evaluate = bound.get("boolean", lambda _: False)

        def run(names: Mapping[str, object]) -> Any:
            value = operand(names)
            if value is MISSING or (not value and is_strict(names)):
                return fallback(names)
            return value

        return run

    def _test(self, node: nodes.Test) -> Evaluate:
        function, args, kwargs = self._call_parts(node, TESTS, "test")
        operand = self.compile(node.node)
        if node.name in _RESCUING_TESTS:
            expected, rescued = _RESCUING_TESTS[node.name], _rescued(operand)
            return lambda names: (rescued(names) is not MISSING) is expected
        if node.name == "matching" and node.args and isinstance(node.args[0], nodes.Const):
            try:
                check_pattern(str(node.args[0].value))
            except Fault as fault:
                raise self._syntax(fault.fact) from None

        def run(names: Mapping[str, object]) -> Any:
            value = operand(names)
            more = [arg(names) for arg in args]
            named = {name: arg(names) for name, arg in kwargs}
            try:
                return bool(function(value, *more, **named))
            except _OPERATION_ERRORS as fault:
                self._fail(node, fault)

        return run

    def _call_parts(
        self, node: nodes.Filter | nodes.Test, table: Mapping[str, Callable[..., Any]], noun: str
    ) -> tuple[Callable[..., Any], list[Evaluate], list[tuple[str, Evaluate]]]:
        function = table.get(node.name)
        if function is None:
            raise self._syntax(f"there is no {noun} '{node.name}'", suggest(node.name, table))
        self._refuse_unpacking(node)
        names = [str(keyword.key) for keyword in node.kwargs]
        try:
            _signature(function).bind(None, *node.args, **dict.fromkeys(names))
        except TypeError as error:
            raise self._syntax(f"{noun} '{node.name}' is used wrongly: {error}") from None
        args = [self.compile(arg) for arg in node.args]
        return function, args, [(str(keyword.key), self.compile(keyword.value)) for keyword in node.kwargs]

    def _check_named(self, node: nodes.Filter) -> None:
        """Find misspelt filters and tests in ``map('uper')`` before anything runs."""
        table, position = _BY_NAME[node.name]
        named = node.args[position] if len(node.args) > position else None
        if isinstance(named, nodes.Const) and named.value not in table:
            noun = "filter" if node.name == "map" else "test"
            raise self._syntax(f"there is no {noun} {literal(named.value)}", suggest(named.value, table))

    def _refuse_unpacking(self, node: nodes.Filter | nodes.Test | nodes.Call) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise self._syntax("arguments cannot be unpacked with '*'", "write them one by one")

    def _method(self, node: nodes.Call) -> Evaluate:
        if not isinstance(node.node, nodes.Getattr):
            raise self._syntax(
                f"'{write(node.node)}' is not a function", "use filters: 'VALUE|length', not 'length(VALUE)'"
            )
        self._refuse_unpacking(node)
        name = node.node.attr
        if name not in METHODS:
            raise self._syntax(f"there is no method '{name}'", suggest(name, METHODS))
        if node.kwargs:
            raise self._syntax(f"method '{name}' takes no named arguments")
        operand = self.compile(node.node.node)
        args = [self.compile(arg) for arg in node.args]

        def call(names: Mapping[str, object]) -> Any:
            value = operand(names)
            more = [arg(names) for arg in args]
            try:
                return call_method(value, name, more)
            except _OPERATION_ERRORS as fault:
                self._fail(node, fault)

        return call


_JSON_TYPES: Final = frozenset({str, int, float, bool, type(None), dict, list})
_OPERATION_ERRORS: Final = (Fault, ArithmeticError, LookupError, RecursionError, TypeError, ValueError)


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _rescued(operand: Evaluate) -> Evaluate:
    """Give ``MISSING`` where the operand is undefined."""

    def run(names: Mapping[str, object]) -> Any:
        try:
            return operand(names)
        except UndefinedVariableError:
            return MISSING

    return run


def _prefix(node: nodes.Node, steps: int) -> Any:
    """Give the part of a chain that ends ``steps`` keys before its end."""
    for _ in range(steps):
        node = node.node  # type: ignore[attr-defined]
    return node


def _chain_root(node: nodes.Node) -> str:
    """Give the root of what a node reads from: the leftmost name, if it starts with one."""
    while isinstance(node, (nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Call)) and node.node is not None:
        node = node.node
    return node.name if isinstance(node, nodes.Name) else ""


def _shown(node: nodes.Node) -> str:
    text = write(node)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
