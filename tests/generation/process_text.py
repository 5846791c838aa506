"""Processes for tests, written as one line of arrows a path.

``start > xor; xor -yes> pay; xor -no [amount > 5]> refuse`` has a flow labelled ``yes`` and one labelled ``no`` with a
condition. The kind of a node follows from how its id begins; flows are called ``source>target``.
"""

from __future__ import annotations

import re
from typing import Any

from pytest_orchestra.model.process import (
    Condition,
    EventDefinition,
    EventKind,
    FlowNode,
    NodeKind,
    Process,
    SequenceFlow,
)

__all__ = ["events", "process_of"]

_KINDS = (
    ("start", NodeKind.START_EVENT),
    ("end", NodeKind.END_EVENT),
    ("xor", NodeKind.EXCLUSIVE_GATEWAY),
    ("and", NodeKind.PARALLEL_GATEWAY),
    ("or", NodeKind.INCLUSIVE_GATEWAY),
    ("event", NodeKind.EVENT_BASED_GATEWAY),
    ("complex", NodeKind.COMPLEX_GATEWAY),
    ("catch", NodeKind.INTERMEDIATE_CATCH_EVENT),
    ("throw", NodeKind.INTERMEDIATE_THROW_EVENT),
    ("border", NodeKind.BOUNDARY_EVENT),
    ("sub", NodeKind.SUB_PROCESS),
    ("call", NodeKind.CALL_ACTIVITY),
)
_ARROW = re.compile(r"\s*(?:-\s*(?P<label>[^>\[]*?)\s*(?:\[(?P<condition>.*?)\]\s*)?)?>\s*")
_STEP = re.compile(r"(?P<node>[\w.]+)")


def process_of(text: str, *, name: str = "Order", **details: dict[str, Any]) -> Process:
    """Give the process that a text draws; ``details`` are further fields of nodes, by id."""
    nodes: dict[str, FlowNode] = {}
    flows: list[SequenceFlow] = []
    for path in filter(None, (part.strip() for part in re.split(r"[;\n]", text))):
        position = 0
        source, label, condition = None, "", None
        while position < len(path):
            step = _STEP.match(path, position)
            assert step is not None, f"no node at '{path[position:]}'"
            node = step["node"]
            nodes.setdefault(node, _node(node, details.get(node, {})))
            if source is not None:
                known = sum(flow.source == source and flow.target == node for flow in flows)
                flow_id = f"{source}>{node}" + (f"#{known + 1}" if known else "")
                flows.append(SequenceFlow(flow_id, source, node, label, Condition(condition) if condition else None))
            position = step.end()
            arrow = _ARROW.match(path, position)
            if arrow is None:
                assert position == len(path), f"no arrow at '{path[position:]}'"
                break
            source, label, condition = node, arrow["label"] or "", arrow["condition"]
            position = arrow.end()
    for node, fields in details.items():
        nodes.setdefault(node, _node(node, fields))
    return Process("order", name, hash="0" * 64, nodes=tuple(nodes.values()), flows=tuple(flows))


def events(*kinds: EventKind, ref: str | None = None) -> tuple[EventDefinition, ...]:
    """Give event definitions of these kinds, all with the same reference."""
    return tuple(EventDefinition(kind, ref=ref) for kind in kinds)


def _node(node: str, details: dict[str, Any]) -> FlowNode:
    kind = next((kind for prefix, kind in _KINDS if node.startswith(prefix)), NodeKind.TASK)
    return FlowNode(**{"id": node, "kind": kind, **details})
