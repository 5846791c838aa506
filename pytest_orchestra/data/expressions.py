"""Expressions: what stands in rules, conditions and ``{{ }}``.

The syntax is that of Jinja expressions; the values are JSON's. Names in scope come from whoever evaluates; there is no
time, no randomness, no environment and nothing of Python in reach. What can be applied to values stands in
:mod:`pytest_orchestra.data.filters`, :mod:`~pytest_orchestra.data.predicates` (behind ``is``) and
:mod:`~pytest_orchestra.data.methods`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import jinja2
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pytest_orchestra.data.evaluation import Compiler, Evaluate, is_literal, key_of, roots_of
from pytest_orchestra.data.notation import write
from pytest_orchestra.data.operators import literal
from pytest_orchestra.errors import EvaluationError, TemplateSyntaxError, UndefinedVariableError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Place

__all__ = ["UNDEFINED", "Expression", "Part", "compile_expression", "parse"]

UNDEFINED: Final = "undefined"
"""What stands as the value of a part that names something that is not there."""

_LONGEST: Final = 8_000
_DEEPEST: Final = 150

# only its reader is used; should anything ever render with it, it would be in Jinja's strictest sandbox
_JINJA: Final = ImmutableSandboxedEnvironment()

_STRINGS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_HINTS: Final = (
    (re.compile(r"&&"), "write 'and' instead of '&&'"),
    (re.compile(r"\|\|"), "write 'or' instead of '||'"),
    (re.compile(r"[=!]=="), "write '==' or '!='"),
    (re.compile(r"!(?!=)"), "write 'not' instead of '!'"),
    (re.compile(r"[$#]\{"), "write the expression without '${' and '}'"),
    (re.compile(r"\{\{|\}\}"), "write the expression without '{{' and '}}'"),
    (re.compile(r"\?"), "write 'VALUE if CONDITION else OTHER'"),
    (re.compile(r"\bis\s+(not\s+)?\w+\s+if\b"), "put brackets around the test before 'if'"),
    (re.compile(r"(?<![=<>!])=(?!=)"), "write '==' to compare"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression and its value; where it has none, ``value`` is ``undefined`` or says what failed, and
    ``error`` is the whole fact.
    """

    expression: str
    value: JsonValue
    error: str | None = None

    def __str__(self) -> str:
        return f"{self.expression} = {literal(self.value) if self.error is None else self.value}"


class Expression:
    """A compiled expression. It is immutable, may be shared, and evaluating it changes nothing.

    ``names`` are the dotted paths that it reads, each from its root as far as its keys are written down
    (``step.place.response.body.id``); ``required_names`` leaves out those that it guards itself, by
    ``default``, ``is defined`` or ``is undefined``.
    """

    __slots__ = ("_evaluate", "_node", "_parts", "names", "place", "required_names", "text")

    def __init__(self, text: str, place: Place | None = None) -> None:
        self.text = text.strip()
        self.place = place
        self._node = parse(self.text, place)
        self._evaluate = Compiler(place).compile(self._node)
        self._parts: tuple[tuple[str, Evaluate], ...] | None = None
        guarded = frozenset(_paths(self._node, guarded=True))
        self.names = guarded.union(_paths(self._node, guarded=False))
        self.required_names = self.names - guarded

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return compile_expression, (self.text, self.place)

    def evaluate(self, names: Mapping[str, object]) -> JsonValue:
        """Give the value. Objects and lists that were read are the very ones of ``names``, not copies.

        Raises ``UndefinedVariableError`` and ``EvaluationError``; the ``roots`` of both tell what was read.
        """
        value: JsonValue = self._evaluate(names)
        return value

    def explain(self, names: Mapping[str, object]) -> tuple[Part, ...]:
        """Give the values of the parts, in the order of their evaluation, each before what it consists of.

        Parts are what comparisons compare, what ``and``, ``or`` and ``not`` join, calculations, filters, calls, and
        paths at their full length; no literals, and none twice. Nothing is raised.
        """
        if self._parts is None:
            compiler = Compiler(self.place)
            parts = {write(node): node for node in _parts(self._node)}
            self._parts = tuple((text, compiler.compile(node)) for text, node in parts.items())
        return tuple(_explained(text, evaluate, names) for text, evaluate in self._parts)


@lru_cache(maxsize=4096)
def compile_expression(text: str, place: Place | None = None) -> Expression:
    """Give the compiled expression; the same text at the same place is compiled once.

    Raises ``TemplateSyntaxError``.
    """
    return Expression(text, place)


def parse(text: str, place: Place | None = None) -> nodes.Expr:
    """Give the tree of an expression. Raises ``TemplateSyntaxError``."""
    if not text.strip():
        raise TemplateSyntaxError("the expression is empty", place=place)
    if len(text) > _LONGEST:
        raise TemplateSyntaxError(f"the expression is longer than {_LONGEST} characters", place=place)
    try:
        parser = Parser(_JINJA, text, state="variable")
        node = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"unexpected '{parser.stream.current.value}' after '{write(node)}'")
        _check_depth(node)
    except jinja2.TemplateSyntaxError as error:
        raise _unreadable(text, place, error.message or "") from None
    except ValueError as error:  # a number that Python does not read
        raise _unreadable(text, place, str(error).partition(":")[0]) from None
    except RecursionError:
        raise TemplateSyntaxError("the expression is nested too deeply", place=place) from None
    return node


def _unreadable(text: str, place: Place | None, reason: str) -> TemplateSyntaxError:
    code = _STRINGS.sub("''", text)
    hint = next((hint for pattern, hint in _HINTS if pattern.search(code)), None)
    reason = (reason[:1].lower() + reason[1:]).rstrip(".").replace("end of template", "end of the expression")
    return TemplateSyntaxError(f"cannot read the expression {literal(text)}: {reason}", place=place, hint=hint)


def _check_depth(node: nodes.Node) -> None:
    level: list[nodes.Node] = [node]
    for _ in range(_DEEPEST):
        level = [child for parent in level for child in parent.iter_child_nodes()]
        if not level:
            return
    raise RecursionError


def _paths(node: nodes.Node, *, guarded: bool, inside: bool = False) -> Iterator[str]:
    """Give the dotted paths that are read, either those in a guard or those outside of one."""
    if isinstance(node, nodes.Call):  # the name of a method is no key
        assert isinstance(node.node, nodes.Getattr)
        children: list[nodes.Node] = [node.node.node, *node.args]
    elif isinstance(node, (nodes.Getattr, nodes.Getitem, nodes.Name)):
        path, children = _path(node)
        if path and guarded is inside:
            yield path
    else:
        children = list(node.iter_child_nodes())
    guards = (isinstance(node, nodes.Filter) and node.name in ("default", "d")) or (
        isinstance(node, nodes.Test) and node.name in ("defined", "undefined")
    )
    for index, child in enumerate(children):
        yield from _paths(child, guarded=guarded, inside=inside or (guards and index == 0))


def _path(chain: nodes.Node) -> tuple[str, list[nodes.Node]]:
    """Give the path that a chain reads, as far as it is plain, and what else is evaluated on the way."""
    keys: list[str | None] = []
    others: list[nodes.Node] = []
    node = chain
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        key = key_of(node)
        keys.append(key if isinstance(key, str) and key and "." not in key else None)
        if isinstance(node, nodes.Getitem) and key is None:
            others.append(node.arg)
        node = node.node
    if not isinstance(node, nodes.Name) or is_literal(node):
        return "", [node, *reversed(others)] if not is_literal(node) else others[::-1]
    path = [node.name]
    for key in reversed(keys):
        if key is None:
            break
        path.append(key)
    return ".".join(path), others[::-1]


def _parts(node: nodes.Node) -> Iterator[nodes.Node]:
    """Give the nodes whose values explain the value of this one."""
    match node:
        case nodes.And() | nodes.Or() | nodes.Not() | nodes.Compare() | nodes.Test() | nodes.CondExpr():
            yield from _parts_within(node)
        case nodes.Operand() | nodes.Pair() | nodes.Keyword() | nodes.Slice():
            yield from _parts_within(node)
        case nodes.List() | nodes.Tuple() | nodes.Dict():
            yield from _parts_within(node)
        case _ if roots_of(node):
            yield node
            yield from _parts_within(node)


def _parts_within(node: nodes.Node) -> Iterator[nodes.Node]:
    match node:
        case nodes.Getattr() | nodes.Getitem():  # a path counts at its full length only
            if not isinstance(node.node, nodes.Name):
                yield from _parts_within(node.node)
            if isinstance(node, nodes.Getitem):
                yield from _parts(node.arg)
        case nodes.Filter() if isinstance(node.node, nodes.Filter):  # and so does a row of filters
            yield from _parts_within(node.node)
            for argument in (*node.args, *node.kwargs):
                yield from _parts(argument)
        case nodes.Call():
            assert isinstance(node.node, nodes.Getattr)
            yield from _parts(node.node.node)
            for argument in node.args:
                yield from _parts(argument)
        case _:
            for child in node.iter_child_nodes():
                yield from _parts(child)


def _explained(text: str, evaluate: Evaluate, names: Mapping[str, object]) -> Part:
    try:
        return Part(text, evaluate(names))
    except UndefinedVariableError as error:
        return Part(text, UNDEFINED, error.fact)
    except EvaluationError as error:
        return Part(text, error.fact, error.fact)
