"""What the collected scenarios are to cover, here and, over xdist, in the controller, which collects nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pytest

from pytest_orchestra.collection.items import OrchestraItem, ScenarioItem
from pytest_orchestra.model.json import JsonValue, from_json, to_json
from pytest_orchestra.model.run import CoverageReached
from pytest_orchestra.plugin.catalogue import Catalogue
from pytest_orchestra.plugin.state import worker_input
from pytest_orchestra.reporting.coverage import CoveragePlan, measure_coverage

__all__ = ["coverage_of", "coverage_plans", "receive_plans", "send_plans"]

_RECEIVED: Final = pytest.StashKey[Sequence[CoveragePlan]]()
_SENT: Final = "orchestra_coverage"


def coverage_plans(config: pytest.Config) -> Sequence[CoveragePlan]:
    """Give the plan of each process of the collected files, or what a worker told of them."""
    own = [
        CoveragePlan.of(file.nodeid, suite)
        for file in Catalogue.of(config).files
        if file.definitions is not None
        for suite in file.definitions.suites
    ]
    return own or config.stash.get(_RECEIVED, ())


def coverage_of(config: pytest.Config, items: Iterable[OrchestraItem]) -> tuple[CoverageReached, ...]:
    """Give what the scenarios cover, by plan and by those of the items that have passed."""
    ended = [item.finished for item in items if isinstance(item, ScenarioItem) and item.finished is not None]
    return measure_coverage(coverage_plans(config), ended)


def send_plans(config: pytest.Config) -> None:
    """Leave the plans where xdist fetches what a worker has for its controller; nothing where this is no worker."""
    if worker_input(config):
        config.workeroutput[_SENT] = [to_json(plan) for plan in coverage_plans(config)]  # type: ignore[attr-defined]


def receive_plans(config: pytest.Config, workeroutput: Mapping[str, Sequence[JsonValue]]) -> None:
    """Keep what a worker told. All collect the same, so that one is enough: the first that came to its end."""
    plans = [from_json(CoveragePlan, plan) for plan in workeroutput.get(_SENT, ())]
    if plans and _RECEIVED not in config.stash:
        config.stash[_RECEIVED] = plans
