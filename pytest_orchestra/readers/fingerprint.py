"""What the control flow of a process says, boiled down to one hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, Final, cast

from pytest_orchestra.model.process import EventKind, FlowNode, Process, SequenceFlow

__all__ = ["hash_process"]

_SILENT: Final = frozenset({"place", "documentation", "extensions", "attributes", "details"})
_ALWAYS: Final = frozenset({"id", "kind", "name", "scope", *_SILENT})
_OF_PARTS: Final = frozenset({"id", *_SILENT})


def hash_process(process: Process) -> str:
    """Give the SHA-256 (hex) of what the control flow says.

    Nodes and flows count with all their fields except places, documentation and what is kept for others to read. The
    order of nodes does not count; that of the flows that leave a node does, for gateways try them in that order.
    Associations count where they lead from a compensation event to its handler.
    """
    said = (
        (process.kind, process.id, process.name),
        sorted(_said_by_nodes(process.nodes), key=itemgetter(0)),
        sorted(map(_said_by_flow, process.flows), key=itemgetter(0)),
        sorted(_compensation(process)),
    )
    text = json.dumps(said, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _said_by_nodes(nodes: tuple[FlowNode, ...]) -> Iterator[tuple[Any, ...]]:
    _, get, defaults = _fields_of(FlowNode, _ALWAYS)
    for node in nodes:
        always = (node.id, node.kind, node.name, node.scope)
        # Most nodes say nothing else, and that is cheap to see.
        yield always if get(node) == defaults else (*always, _said(node, _ALWAYS))


def _said_by_flow(flow: SequenceFlow) -> tuple[Any, ...]:
    condition = flow.condition
    said = (flow.source, flow.id, flow.target, flow.name)
    return (*said, condition.text, condition.language) if condition else said


def _compensation(process: Process) -> list[tuple[str, str]]:
    throwing = {node.id for node in process.nodes for event in node.events if event.kind is EventKind.COMPENSATE}
    return [
        (association.source, association.target)
        for association in process.associations
        if association.source in throwing and association.target is not None
    ]


def _said(value: object, silent: frozenset[str]) -> dict[str, Any]:
    """Give the fields that say something else than their default."""
    names, get, defaults = _fields_of(cast("Hashable", type(value)), silent)
    return {
        name: _canonical(given)
        for name, given, default in zip(names, get(value), defaults, strict=True)
        if given != default
    }


def _canonical(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    return _said(value, _OF_PARTS) if is_dataclass(value) else value


@cache
def _fields_of(kind: Hashable, silent: frozenset[str]) -> tuple[list[str], attrgetter[Any], tuple[Any, ...]]:
    counted = [field for field in fields(cast("type[Any]", kind)) if field.name not in silent]
    names = [field.name for field in counted]
    return names, attrgetter(*names), tuple(None if field.default is MISSING else field.default for field in counted)
