"""Writing expressions: from Jinja's tree back to the text that gives the same tree."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from jinja2 import nodes

from pytest_orchestra.data.operators import quote

__all__ = ["COMPARISONS", "OPERATORS", "write"]

OPERATORS: Final[dict[type[nodes.BinExpr], str]] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
}
"""The signs of arithmetic."""

COMPARISONS: Final = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}
"""The signs of comparison, by Jinja's names."""


class _Level(IntEnum):
    """How tightly an expression binds, as Jinja's parser has it; unlike Python's, ``-2 ** 2`` is ``(-2) ** 2``."""

    CONDITION = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARISON = 4
    SUM = 5
    CONCATENATION = 6
    PRODUCT = 7
    POWER = 8
    UNARY = 9
    POSTFIX = 10


_LEVELS: Final[dict[type[nodes.Node], _Level]] = {
    nodes.CondExpr: _Level.CONDITION,
    nodes.Or: _Level.OR,
    nodes.And: _Level.AND,
    nodes.Not: _Level.NOT,
    nodes.Compare: _Level.COMPARISON,
    # a test binds as tightly as a filter, but what follows it could be read as its argument: it gets brackets
    nodes.Test: _Level.COMPARISON,
    nodes.Add: _Level.SUM,
    nodes.Sub: _Level.SUM,
    nodes.Concat: _Level.CONCATENATION,
    nodes.Mul: _Level.PRODUCT,
    nodes.Div: _Level.PRODUCT,
    nodes.FloorDiv: _Level.PRODUCT,
    nodes.Mod: _Level.PRODUCT,
    nodes.Pow: _Level.POWER,
    nodes.Neg: _Level.UNARY,
    nodes.Pos: _Level.UNARY,
    nodes.Filter: _Level.UNARY,
}


def write(node: nodes.Node) -> str:
    """Give the text of an expression, with brackets only where they are needed and around tests that are operands.

    Parsed again, it is the same tree.
    """
    match node:
        case nodes.Const():
            return _constant(node.value)
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{_at_least(node.node, _Level.POSTFIX)}.{node.attr}"
        case nodes.Getitem():
            return f"{_at_least(node.node, _Level.POSTFIX)}[{write(node.arg)}]"
        case nodes.Slice():
            return _slice(node)
        case nodes.Call():
            return f"{_at_least(node.node, _Level.POSTFIX)}({_arguments(node)})"
        case nodes.Filter() if node.node is not None:
            arguments = _arguments(node)
            return f"{_at_least(node.node, _Level.UNARY)}|{node.name}{f'({arguments})' if arguments else ''}"
        case nodes.Test():
            return _test(node, "is")
        case nodes.Not() if isinstance(node.node, nodes.Test):
            return _test(node.node, "is not")
        case nodes.Not():
            return f"not {_at_least(node.node, _Level.NOT)}"
        case nodes.Neg() | nodes.Pos():
            sign = "-" if isinstance(node, nodes.Neg) else "+"
            is_bare = isinstance(node.node, (nodes.Neg, nodes.Pos))
            return sign + (write(node.node) if is_bare else _at_least(node.node, _Level.POSTFIX))
        case nodes.And():
            return f"{_at_least(node.left, _Level.AND)} and {_at_least(node.right, _Level.NOT)}"
        case nodes.Or():
            return f"{_at_least(node.left, _Level.OR)} or {_at_least(node.right, _Level.AND)}"
        case nodes.BinExpr():
            level = _LEVELS[type(node)]
            left, right = _at_least(node.left, level), _at_least(node.right, _Level(level + 1))
            return f"{left} {OPERATORS[type(node)]} {right}"
        case nodes.Concat():
            return " ~ ".join(_at_least(part, _Level.PRODUCT) for part in node.nodes)
        case nodes.Compare():
            return " ".join([_at_least(node.expr, _Level.SUM), *map(_operand, node.ops)])
        case nodes.CondExpr():
            # a test before 'if' would take it for its argument
            value, condition = _at_least(node.expr1, _Level.SUM), _at_least(node.test, _Level.OR)
            otherwise = "" if node.expr2 is None else f" else {write(node.expr2)}"
            return f"{value} if {condition}{otherwise}"
        case nodes.List():
            return f"[{_written(node.items)}]"
        case nodes.Tuple():
            return f"({_written(node.items)}{',' if len(node.items) == 1 else ''})"
        case nodes.Dict():
            return "{" + ", ".join(f"{write(pair.key)}: {write(pair.value)}" for pair in node.items) + "}"
        case _:
            raise TypeError(f"no expression: {type(node).__name__}")


def _at_least(node: nodes.Node, level: _Level) -> str:
    own = _LEVELS.get(type(node), _Level.POSTFIX)
    if isinstance(node, nodes.Not) and isinstance(node.node, nodes.Test):
        own = _Level.COMPARISON
    return write(node) if own >= level else f"({write(node)})"


def _constant(value: object) -> str:
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def _slice(node: nodes.Slice) -> str:
    start, stop = ("" if bound is None else write(bound) for bound in (node.start, node.stop))
    return f"{start}:{stop}" if node.step is None else f"{start}:{stop}:{write(node.step)}"


def _test(node: nodes.Test, verb: str) -> str:
    arguments = _arguments(node)
    return f"{_at_least(node.node, _Level.UNARY)} {verb} {node.name}{f'({arguments})' if arguments else ''}"


def _operand(operand: nodes.Operand) -> str:
    return f"{COMPARISONS[operand.op]} {_at_least(operand.expr, _Level.SUM)}"


def _arguments(node: nodes.Call | nodes.Filter | nodes.Test) -> str:
    written = [write(argument) for argument in node.args]
    written += [f"{keyword.key}={write(keyword.value)}" for keyword in node.kwargs]
    return ", ".join(written)


def _written(parts: Sequence[nodes.Node]) -> str:
    return ", ".join(map(write, parts))
