"""Rewriting expressions and templates: what they read by one name, they read by another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from pytest_orchestra.data.evaluation import key_of
from pytest_orchestra.data.expressions import parse
from pytest_orchestra.data.notation import write
from pytest_orchestra.data.templates import split_text
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Place

__all__ = ["Replace", "expression_of", "path_node", "rewrite_expression", "rewrite_template"]

Replace: TypeAlias = Callable[[tuple[str, ...]], nodes.Expr | None]
"""Gives what stands for a path, ``("step", "pay")``, and None where it stays; longer paths are asked for first."""

_READ: Final = "load"


def rewrite_expression(text: str, replace: Replace, place: Place | None = None) -> str:
    """Give the expression with its paths replaced; the same text where nothing is. Raises ``TemplateSyntaxError``."""
    rewriter = _Rewriter(replace)
    node = rewriter.visit(parse(text, place))
    return write(node) if rewriter.has_replaced else text


def rewrite_template(value: JsonValue, replace: Replace, place: Place | None = None) -> JsonValue:
    """Give the template with the paths of all its expressions replaced. Raises ``TemplateSyntaxError``."""
    if isinstance(value, str):
        return _rewrite_text(value, replace, place)
    if isinstance(value, Mapping):
        return {
            _rewrite_text(key, replace, place): rewrite_template(entry, replace, place) for key, entry in value.items()
        }
    if isinstance(value, Sequence):
        return [rewrite_template(entry, replace, place) for entry in value]
    return value


def expression_of(value: JsonValue, place: Place | None = None) -> nodes.Expr:
    """Give the expression whose value is what a template renders to. Raises ``TemplateSyntaxError``."""
    if isinstance(value, str):
        pieces: list[nodes.Expr] = [
            parse(piece[2:-2], place) if is_expression else nodes.Const(piece)
            for piece, is_expression in split_text(value, place)
        ]
        if not pieces:
            return nodes.Const("")
        return pieces[0] if len(pieces) == 1 else nodes.Concat([nodes.Const(""), *pieces])
    if isinstance(value, Mapping):
        return nodes.Dict([nodes.Pair(nodes.Const(key), expression_of(entry, place)) for key, entry in value.items()])
    if isinstance(value, Sequence):
        return nodes.List([expression_of(entry, place) for entry in value])
    return nodes.Const(value)


def path_node(*keys: str) -> nodes.Expr:
    """Give the expression that reads a path."""
    node: nodes.Expr = nodes.Name(keys[0], _READ)
    for key in keys[1:]:
        node = nodes.Getattr(node, key, _READ)
    return node


def _rewrite_text(text: str, replace: Replace, place: Place | None) -> str:
    if "{{" not in text:
        return text
    return "".join(
        f"{{{{ {rewrite_expression(piece[2:-2], replace, place).strip()} }}}}" if is_expression else piece
        for piece, is_expression in split_text(text, place)
    )


class _Rewriter(NodeTransformer):
    def __init__(self, replace: Replace) -> None:
        self._replace = replace
        self.has_replaced = False

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        path = _plain_path(node)
        found = self._replace(path) if path else None
        if found is None:
            return super().visit(node, *args, **kwargs)
        self.has_replaced = True
        return copy.deepcopy(found)


def _plain_path(node: nodes.Node) -> tuple[str, ...]:
    """Give the path that a node reads, empty where some of its keys are not written down."""
    keys: list[str] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        key = key_of(node)
        if not isinstance(key, str):
            return ()
        keys.append(key)
        node = node.node
    return (node.name, *reversed(keys)) if isinstance(node, nodes.Name) else ()
