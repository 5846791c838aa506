"""The BPMN file of a process that a test has drawn, for readers and for other engines."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from pytest_orchestra.model.process import EventDefinition, EventKind, FlowNode, LoopKind, NodeKind, Process

__all__ = ["bpmn_of"]

_HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="definitions" targetNamespace="urn:drawn">'
)

_ROOTS = {EventKind.MESSAGE: "message", EventKind.SIGNAL: "signal", EventKind.ERROR: "error"}
_ROOTS |= {EventKind.ESCALATION: "escalation"}


def bpmn_of(*processes: Process) -> str:
    """Give the text of a file with these processes. What events refer to is declared; its id is its name and code."""
    roots = sorted({(event.kind, event.ref) for one in processes for event in _events(one) if event.ref is not None})
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            _HEAD,
            *(_root(kind, ref) for kind, ref in roots if kind in _ROOTS),
            *(line for process in processes for line in _process(process)),
            "</definitions>",
        ]
    )


def _events(process: Process) -> Iterator[EventDefinition]:
    for node in process.nodes:
        yield from node.events


def _root(kind: EventKind, ref: str) -> str:
    name = _ROOTS[kind]
    code = f" {name}Code={quoteattr(ref)}" if kind in (EventKind.ERROR, EventKind.ESCALATION) else ""
    return f"<{name} id={quoteattr(ref)} name={quoteattr(ref)}{code}/>"


def _process(process: Process) -> Iterator[str]:
    yield f'<process id={quoteattr(process.id)} name={quoteattr(process.name)} isExecutable="true">'
    yield from _level(process, None)
    yield "</process>"


def _level(process: Process, scope: str | None) -> Iterator[str]:
    inside = [node for node in process.nodes if node.scope == scope]
    for node in inside:
        yield f"<{node.kind.value}{_attributes(node)}>"
        yield from (f"<incoming>{flow.id}</incoming>" for flow in process.incoming[node.id])
        yield from (f"<outgoing>{flow.id}</outgoing>" for flow in process.outgoing[node.id])
        yield from (_event(event) for event in node.events)
        yield from _loop(node)
        if node.kind.is_container:
            yield from _level(process, node.id)
        yield f"</{node.kind.value}>"
    names = {node.id for node in inside}
    for flow in process.flows:
        if flow.source in names:
            yield f'<sequenceFlow id="{flow.id}" sourceRef="{flow.source}" targetRef="{flow.target}">'
            if flow.condition is not None:
                text = escape(flow.condition.text)
                yield f'<conditionExpression xsi:type="tFormalExpression">{text}</conditionExpression>'
            yield "</sequenceFlow>"


def _attributes(node: FlowNode) -> str:
    found = {"id": node.id, "name": node.name, "attachedToRef": node.attached_to, "default": node.default_flow}
    found |= {"calledElement": node.called_element}
    if node.kind is NodeKind.BOUNDARY_EVENT:
        found["cancelActivity"] = "true" if node.is_interrupting else "false"
    return "".join(f" {name}={quoteattr(value)}" for name, value in found.items() if value)


def _event(event: EventDefinition) -> str:
    name = event.kind.value
    if event.kind is EventKind.TIMER:
        return f'<{name}><timeDuration>"P1D"</timeDuration></{name}>'
    if event.kind is EventKind.LINK:
        return f"<{name} name={quoteattr(event.ref or '')}/>"
    root = _ROOTS.get(event.kind)
    return f"<{name} {root}Ref={quoteattr(event.ref)}/>" if root and event.ref else f"<{name}/>"


def _loop(node: FlowNode) -> Iterator[str]:
    if node.loop is None or node.loop.kind is LoopKind.STANDARD:
        return
    sequential = "true" if node.loop.kind is LoopKind.SEQUENTIAL_MULTI_INSTANCE else "false"
    text = node.loop.cardinality.text if node.loop.cardinality is not None else "1"
    yield f'<multiInstanceLoopCharacteristics isSequential="{sequential}">'
    yield f'<loopCardinality xsi:type="tFormalExpression">{escape(text)}</loopCardinality>'
    yield "</multiInstanceLoopCharacteristics>"
