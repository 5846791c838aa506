"""Templates and rules as Arazzo says them: runtime expressions and simple conditions.

Runtime expressions follow section "Runtime Expressions" of the Arazzo Specification, its ABNF of 1.1.0, which is the
stricter one; conditions its section "Criterion Object".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import jinja2
from jinja2 import nodes

from pytest_orchestra.model.json import JsonValue

__all__ = ["Path", "UntranslatableError", "condition_of", "pointer_of", "value_of_template"]

Path: TypeAlias = tuple[str | int, ...]
"""``step.place.response.body.items[0]`` as its parts."""

_ENVIRONMENT: Final = jinja2.Environment(  # noqa: S701  nothing is rendered
    block_start_string="\0{%",
    block_end_string="%}\0",
    comment_start_string="\0{#",
    comment_end_string="#}\0",
    keep_trailing_newline=True,
)
_COMPARISONS: Final = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
_IN_CONDITIONS: Final = re.compile(r"[A-Za-z0-9_.\-]+")
_TAKEN_FOR_EXPRESSION: Final = re.compile(
    r"\$(url|method|statusCode|self)\b|\$(request|response|message|inputs|outputs|steps|workflows|components"
    r"|sourceDescriptions)\."
)


class UntranslatableError(Exception):
    """Arazzo has no words for this; the text says why."""


Say = Callable[[Path], str]
"""Gives the runtime expression of a path, or raises ``UntranslatableError``."""


def value_of_template(value: JsonValue, say: Say) -> JsonValue:
    """Give a template's value with runtime expressions in place of ``{{ }}``. Raises ``UntranslatableError``."""
    if isinstance(value, str):
        return _text(value, say)
    if isinstance(value, Mapping):
        for name in value:
            if "{{" in name:
                raise UntranslatableError(f"the key '{name}' is a template")
        return {name: value_of_template(part, say) for name, part in value.items()}
    if isinstance(value, Sequence):
        return [value_of_template(part, say) for part in value]
    return value


def condition_of(text: str, say: Say) -> str:
    """Give a rule as a simple condition. Raises ``UntranslatableError``."""
    try:
        tree = _ENVIRONMENT.parse("{{" + text + "\n}}")
    except jinja2.TemplateSyntaxError as error:
        raise UntranslatableError("it does not parse") from error
    match tree.body:
        case [nodes.Output(nodes=[expression])]:
            return _condition(expression, say)
    raise UntranslatableError("it is no single expression")


def pointer_of(path: Path, *, is_quoted: bool = False) -> str:
    """Give the JSON Pointer of a path below a body, ``/items/0``. Raises ``UntranslatableError``.

    Braces, which mark expressions, may be in it only if it ``is_quoted`` after that.
    """
    tokens = []
    for part in path:
        if isinstance(part, int):
            if part < 0:
                raise UntranslatableError(f"[{part}] counts from the end")
            tokens.append(str(part))
        elif ("{" in part or "}" in part) and not is_quoted:
            raise UntranslatableError(f"'{part}' has braces")
        else:
            tokens.append(part.replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{token}" for token in tokens)


def _text(text: str, say: Say) -> JsonValue:
    if "{{" not in text:
        return _plain(text, is_alone=True)
    try:
        tree = _ENVIRONMENT.parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise UntranslatableError("it does not parse") from error
    pieces: list[nodes.Node] = [
        piece for output in tree.body if isinstance(output, nodes.Output) for piece in output.nodes
    ]
    if len(pieces) == 1 and not isinstance(pieces[0], nodes.TemplateData):
        return _value(pieces[0], say)
    return "".join(
        _plain(piece.data) if isinstance(piece, nodes.TemplateData) else _embedded(_value(piece, say))
        for piece in pieces
    )


def _plain(text: str, *, is_alone: bool = False) -> str:
    if not is_alone and ("{" in text or "}" in text):
        raise UntranslatableError("there are braces beside an expression")
    if _TAKEN_FOR_EXPRESSION.match(text):
        raise UntranslatableError(f"'{text}' would be taken for an expression")
    return text


def _embedded(value: JsonValue) -> str:
    if isinstance(value, str):
        return f"{{{value}}}" if value.startswith("$") else value
    return json.dumps(value, ensure_ascii=False)


def _value(node: nodes.Node, say: Say) -> JsonValue:
    if isinstance(node, nodes.Const):
        return _plain(node.value, is_alone=True) if isinstance(node.value, str) else node.value
    return say(_path(node))


def _path(node: nodes.Node) -> Path:
    """Give the path that an expression is, and nothing else."""
    parts: list[str | int] = []
    while True:
        match node:
            case nodes.Getattr(node=owner, attr=name):
                parts.append(name)
                node = owner
            case nodes.Getitem(node=owner, arg=nodes.Const(value=str() | int() as key)) if not isinstance(key, bool):
                parts.append(key)
                node = owner
            case nodes.Getitem(node=owner, arg=nodes.Neg(node=nodes.Const(value=int() as key))):
                parts.append(-key)
                node = owner
            case nodes.Name(name=name):
                return (name, *reversed(parts))
            case _:
                raise UntranslatableError(f"it has {_kind(node)}, which Arazzo has not")


def _kind(node: nodes.Node) -> str:
    match node:
        case nodes.Filter():
            return f"the filter '{node.name}'"
        case nodes.Test():
            return f"the test '{node.name}'"
        case nodes.Call():
            return "a call"
        case nodes.CondExpr():
            return "'if ... else ...'"
        case nodes.BinExpr() | nodes.UnaryExpr() | nodes.Concat():
            return "arithmetic"
        case nodes.List() | nodes.Tuple() | nodes.Dict():
            return "a list or object"
    return "an expression"


def _condition(node: nodes.Node, say: Say) -> str:
    match node:
        case nodes.And(left=left, right=right):
            return f"{_part(left, say)} && {_part(right, say)}"
        case nodes.Or(left=left, right=right):
            return f"{_part(left, say)} || {_part(right, say)}"
        case nodes.Not(node=inner):
            return f"!({_condition(inner, say)})"
        case nodes.Test(name="none", node=inner):
            return f"{_operand(inner, say)} == null"
        case nodes.Compare(expr=left, ops=[nodes.Operand(op="in" | "notin" as sign, expr=right)]):
            return _membership(left, right, say, negated=sign == "notin")
        case nodes.Compare(expr=left, ops=[nodes.Operand(op=sign, expr=right)]):
            return f"{_operand(left, say)} {_COMPARISONS[sign]} {_operand(right, say)}"
        case nodes.Compare():
            raise UntranslatableError("it chains comparisons")
    _path(node)  # tells of anything that is no name
    raise UntranslatableError("it asks whether a value is truthy, which languages see differently")


def _part(node: nodes.Node, say: Say) -> str:
    text = _condition(node, say)
    return f"({text})" if isinstance(node, nodes.And | nodes.Or) else text


def _membership(left: nodes.Node, right: nodes.Node, say: Say, *, negated: bool) -> str:
    if not isinstance(right, nodes.List | nodes.Tuple) or not right.items:
        raise UntranslatableError("it looks for something in what is no list of constants")
    subject = _operand(left, say)
    found = " || ".join(f"{subject} == {_operand(item, say)}" for item in right.items)
    return f"!({found})" if negated else f"({found})" if len(right.items) > 1 else found


def _operand(node: nodes.Node, say: Say) -> str:
    match node:
        case nodes.Const(value=str() as text):
            quoted = text.replace("'", "''")
            return f"'{quoted}'"
        case nodes.Const(value=value):
            return json.dumps(value)
        case nodes.Neg(node=nodes.Const(value=int() | float() as number)):
            return json.dumps(-number)
    path = _path(node)
    for part in path[1:]:
        if isinstance(part, str) and not _IN_CONDITIONS.fullmatch(part):
            raise UntranslatableError(f"the name '{part}' cannot stand in a condition")
    return say(path)
