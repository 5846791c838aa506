"""From items to requests for the engine: identities, prerequisites, environments, time limits."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_orchestra.collection.items import ScenarioItem
from pytest_orchestra.data.environments import ResolvedEnvironment, resolve_environment
from pytest_orchestra.engine.engine import RunRequest, SuiteSetting
from pytest_orchestra.engine.scheduling import Prerequisite, find_cycle
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Dependency
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import TestRun
from pytest_orchestra.session.definitions import Definitions
from pytest_orchestra.session.orchestra import OrchestraSession, new_id

__all__ = ["Dependencies", "RequestBuilder"]


class Dependencies:
    """Which items must have ended before others begin, by node id."""

    def __init__(self, items: Sequence[ScenarioItem]) -> None:
        self._items = items
        self._by_scenario: dict[tuple[str, str], list[ScenarioItem]] = {}
        for item in items:
            file = item.nodeid.partition("::")[0]
            for name in {item.scenario.key, item.name, item.name.partition("[")[0]}:
                self._by_scenario.setdefault((file, name), []).append(item)
        self.prerequisites: dict[str, tuple[Prerequisite, ...]] = {}
        self.faults: dict[str, str] = {}
        for item in items:
            self._resolve(item)
        self._refuse_cycles()

    def _resolve(self, item: ScenarioItem) -> None:
        found: list[Prerequisite] = []
        for dependency in item.scenario.depends_on:
            needed = self._find(item, dependency)
            if needed:
                found += [Prerequisite(other.nodeid, dependency.outcome) for other in needed]
            elif self._is_defined(item, dependency):
                found.append(Prerequisite(f"{dependency.scenario}", dependency.outcome))
            else:
                self.faults[item.nodeid] = self._unknown(item, dependency)
        self.prerequisites[item.nodeid] = tuple(found)

    def _find(self, item: ScenarioItem, dependency: Dependency) -> list[ScenarioItem]:
        file, name = item.nodeid.partition("::")[0], dependency.scenario
        other, separator, rest = name.partition("::")
        if not separator:
            return self._by_scenario.get((file, name), [])
        folder = file.rpartition("/")[0]
        path = os.path.normpath(f"{folder}/{other}" if folder else other).replace(os.sep, "/")
        return self._by_scenario.get((path, rest), [])

    @staticmethod
    def _is_defined(item: ScenarioItem, dependency: Dependency) -> bool:
        """Tell whether the name is right though the scenario was not selected."""
        if "::" in dependency.scenario:
            return True
        name = dependency.scenario.partition("[")[0].rpartition(".")[2]
        return any(scenario.key == name for suite in item.definitions.suites for scenario in suite.scenarios)

    @staticmethod
    def _unknown(item: ScenarioItem, dependency: Dependency) -> str:
        keys = [scenario.key for suite in item.definitions.suites for scenario in suite.scenarios]
        nearest = difflib.get_close_matches(dependency.scenario, keys, 1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"scenarios: {', '.join(keys)}"
        return f"{item.nodeid}: depends on unknown scenario '{dependency.scenario}'\nhint: {hint}"

    def _refuse_cycles(self) -> None:
        """Make every item of a circle an error, with the circle in its message, and take it out of the graph."""
        names = {item.nodeid: item.nodeid for item in self._items}
        graph = {key: [need.run_key for need in needs] for key, needs in self.prerequisites.items()}
        while cycle := find_cycle(graph):
            shown = " -> ".join(f"'{names[key].partition('::')[2]}'" for key in cycle)
            for key in cycle[:-1]:
                self.faults[key] = (
                    f"{key}: scenarios depend on each other in a circle: {shown}\n"
                    "hint: remove one 'dependsOn' of the circle"
                )
                graph.pop(key, None)

    def closure(self, roots: Iterable[str]) -> set[str]:
        """Give the node ids that depend, directly or not, on any of ``roots``, the roots included."""
        dependants: dict[str, list[str]] = {}
        for key, needs in self.prerequisites.items():
            for need in needs:
                dependants.setdefault(need.run_key, []).append(key)
        found: set[str] = set()
        pending = list(roots)
        while pending:
            key = pending.pop()
            if key not in found:
                found.add(key)
                pending.extend(dependants.get(key, ()))
        return found


class RequestBuilder:
    """Builds the engine's request for an item whose fixtures are set up."""

    def __init__(self, session: OrchestraSession) -> None:
        self._session = session
        self.crashed = 0
        """How many xdist workers of this session have crashed before."""
        self._settings: dict[int, tuple[Definitions, SuiteSetting]] = {}
        self._environments: dict[int, tuple[Environment, ResolvedEnvironment]] = {}

    def key(self, node_id: str, attempts: int = 0) -> str:
        """Give the key of an item's run. Reruns, and runs in place of a crashed worker's, are runs of their own.

        What a crashed worker had begun or was to begin belongs to it until its leases end, and nobody waits for that.
        """
        attempts += self.crashed
        return f"{node_id}#{attempts + 1}" if attempts else node_id

    def build(self, item: ScenarioItem, prerequisites: tuple[Prerequisite, ...] = ()) -> RunRequest:
        """Build it. Raises ``UnusableEnvironmentError`` where variables or secrets are missing."""
        environment = item.funcargs["orchestra_environment"]
        if not isinstance(environment, Environment):
            raise TypeError(f"fixture 'orchestra_environment' gave {environment!r}, which is no Environment")
        resolved = self._resolve(environment)
        data_set = item.funcargs.get("orchestra_dataset", item.data_set)
        run = TestRun(
            id=new_id(),
            suite_run_id=self._session.engine.suite_run.id,
            key=self.key(item.nodeid, item.attempts),
            process_id=item.suite.process_id,
            process_hash=item.suite.process_hash,
            scenario_key=item.scenario.key,
            scenario_version=item.scenario.version,
            data_set=item.data_set.name if item.data_set else None,
            environment=resolved.environment.name,
            mode=str(item.scenario.mode),
            correlation_id=new_id(),
        )
        return RunRequest(
            run=run,
            scenario=item.scenario,
            setting=self._setting(item.definitions),
            environment=resolved,
            data=data_set.data if isinstance(data_set, TestDataSet) else {},
            fixtures=item.funcargs,
            prerequisites=tuple(replace(need, run_key=self.key(need.run_key)) for need in prerequisites),
            timeout_s=_time_limit(item),
        )

    def _setting(self, definitions: Definitions) -> SuiteSetting:
        known = self._settings.get(id(definitions))
        if known is None:
            setting = SuiteSetting(definitions.bindings or Bindings(), definitions.specs)
            known = self._settings[id(definitions)] = (definitions, setting)
        return known[1]

    def _resolve(self, environment: Environment) -> ResolvedEnvironment:
        known = self._environments.get(id(environment))
        if known is None:
            resolved = resolve_environment(environment, os.environ)
            known = self._environments[id(environment)] = (environment, resolved)
        return known[1]


def _time_limit(item: pytest.Item) -> float | None:
    """Give the limit that pytest-timeout would hold the item to; its own alarm cannot see concurrent scenarios."""
    marker = item.get_closest_marker("timeout")
    given: Any = None
    if marker is not None:
        given = marker.args[0] if marker.args else marker.kwargs.get("timeout")
    elif item.config.pluginmanager.hasplugin("timeout"):
        given = item.config.getoption("timeout", default=None) or item.config.getini("timeout")
    return float(given) if given and float(given) > 0 else None
