"""How an outcome travels inside a pytest report: as plain JSON, which xdist can carry from a worker."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, cast
from weakref import WeakKeyDictionary

from pytest_orchestra.engine.events import RunFinished
from pytest_orchestra.model.json import JsonObject, JsonValue, from_json, to_json

if TYPE_CHECKING:
    import pytest

__all__ = ["ATTRIBUTE", "attach_outcome", "carries_outcome", "outcome_of"]

ATTRIBUTE: Final = "orchestra_run"
_AT_HOME: Final[WeakKeyDictionary[pytest.TestReport, RunFinished]] = WeakKeyDictionary()
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def attach_outcome(report: pytest.TestReport, outcome: RunFinished, *, travels: bool = True) -> None:
    """Put an outcome into a report; one that stays in this process has it as it is, without the way through JSON."""
    if travels:
        setattr(report, ATTRIBUTE, _transportable(to_json(outcome)))
    else:
        _AT_HOME[report] = outcome


def carries_outcome(report: pytest.TestReport) -> bool:
    """Tell whether a report carries an outcome, without reading it."""
    return report in _AT_HOME or hasattr(report, ATTRIBUTE)


def outcome_of(report: pytest.TestReport) -> RunFinished | None:
    """Give the outcome that a report carries; None if it carries none."""
    if (outcome := _AT_HOME.get(report)) is not None:
        return outcome
    raw = cast("JsonObject | None", getattr(report, ATTRIBUTE, None))
    return None if raw is None else from_json(RunFinished, raw)


def _transportable(raw: JsonValue) -> JsonValue:
    """Give JSON without lone surrogates: a service may send them, but execnet, and UTF-8, cannot carry them."""
    text = json.dumps(raw, ensure_ascii=False)
    if _SURROGATE.search(text) is None:
        return raw
    return cast("JsonValue", json.loads(_SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)))
