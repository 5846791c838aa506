"""Parts of drawn processes that arrows cannot say: what lies in what, what is associated with what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from process_text import events

from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.process import Association, EventKind, NodeKind, Process
from pytest_orchestra.model.scenario import ScenarioSuite

__all__ = ["CLASSIC", "associated", "decided", "event_sub", "inside", "undoing"]

CLASSIC = (Criterion.NODE, Criterion.EDGE, Criterion.DECISION)
"""What is asked for where nothing but the play is looked at."""

_KINDS = (("begin", NodeKind.START_EVENT), ("on", NodeKind.START_EVENT), ("done", NodeKind.END_EVENT))


def inside(scope: str, *nodes: str) -> dict[str, dict[str, Any]]:
    """Put nodes into a sub-process; ``begin`` and ``on`` are its start events, ``done`` its end events."""
    return {node: {"scope": scope} | _kind(node) for node in nodes}


def _kind(node: str) -> dict[str, Any]:
    return next(({"kind": kind} for prefix, kind in _KINDS if node.startswith(prefix)), {})


def event_sub(name: str, start: dict[str, Any], *nodes: str, scope: str | None = None) -> dict[str, dict[str, Any]]:
    """Give an event sub-process with its start event ``on_NAME``, whose further fields are given, and other nodes."""
    own = {"kind": NodeKind.SUB_PROCESS, "triggered_by_event": True, "scope": scope}
    begin = f"on_{name}"
    return {name: own, begin: {"scope": name, "kind": NodeKind.START_EVENT, **start}, **inside(name, *nodes)}


def undoing(activity: str, scope: str | None = None) -> dict[str, dict[str, Any]]:
    """Give an activity its compensation event ``border_ACTIVITY`` and its handler ``undo_ACTIVITY``."""
    border = {"attached_to": activity, "events": events(EventKind.COMPENSATE), "scope": scope}
    return {f"border_{activity}": border, f"undo_{activity}": {"is_for_compensation": True, "scope": scope}}


def associated(process: Process) -> Process:
    """Associate every ``border_X`` with its ``undo_X``."""
    borders = [node.id for node in process.nodes if node.id.startswith("border_")]
    links = (Association(f"to_{border}", border, border.replace("border_", "undo_", 1)) for border in borders)
    return replace(process, associations=tuple(link for link in links if link.target in process.node))


def decided(suite: ScenarioSuite) -> dict[str, dict[str, tuple[str, ...]]]:
    """Give what each scenario decided, by its nodes."""
    return {
        " ".join(scenario.nodes): {taken.element: taken.branches for taken in scenario.decisions}
        for scenario in suite.scenarios
    }
