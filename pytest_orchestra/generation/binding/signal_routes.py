"""Processes that are the implementation of one operation of a TM Forum API, as mef.dev's BPMN examples have them.

``ep:elementParameter`` holds JSON: ``StartSignalRoute`` at the start event has the method and the route, relative to
the operation's resource, ``EndSignalRoute`` at each end event the status of the reply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from pytest_orchestra.generation.binding.extensions import local_name
from pytest_orchestra.generation.binding.model_call import BindingRule, ModelCall
from pytest_orchestra.generation.binding.parts import CallParts
from pytest_orchestra.generation.binding.vendor_text import Translation
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.process import FlowNode, NodeKind, Process

__all__ = ["ends_with_status", "read_signal_route"]

_LOWEST: Final = 100
_HIGHEST: Final = 599


def read_signal_route(node: FlowNode, process: Process) -> ModelCall | None:
    """Give the call that starts a process: ``GET .../queryUsageConsumption/{id}`` for ``QueryUsageConsumption_GET``."""
    route = _route(node, "StartSignalRoute")
    if route is None:
        return None
    parts = CallParts(BindingRule.TM_FORUM_ROUTE)
    method = route.get("method")
    parts.method(method if isinstance(method, str) else None)
    resource = process.name.partition("_")[0].strip() or process.id
    tail = str(route.get("route") or "").strip().strip("/")
    parts.url(f"/{resource}/{tail}".rstrip("/"), Translation(f"/{tail}"))
    return parts.call(suffix_of=resource, statuses=tuple(dict.fromkeys(ends_with_status(process).values())))


def ends_with_status(process: Process) -> dict[str, int]:
    """Give the status of the reply by the id of the end event that sends it."""
    found: dict[str, int] = {}
    for node in process.nodes:
        if node.kind is NodeKind.END_EVENT:
            code = (_route(node, "EndSignalRoute") or {}).get("code")
            if isinstance(code, int) and _LOWEST <= code <= _HIGHEST:
                found[node.id] = code
    return found


def _route(node: FlowNode, name: str) -> Mapping[str, JsonValue] | None:
    for extension in node.extensions:
        if local_name(extension) == "elementParameter" and extension.attribute("name") == name:
            try:
                value = json.loads(extension.text)
            except (ValueError, RecursionError):
                return None
            return value if isinstance(value, dict) else None
    return None
