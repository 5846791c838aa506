"""From items to requests for the engine: identities, prerequisites, environments, time limits."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_orchestra.collection.items import OrchestraItem, ScenarioItem
from pytest_orchestra.data.environments import ResolvedEnvironment, resolve_environment
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.engine.engine import RunRequest, SuiteSetting
from pytest_orchestra.engine.reach import Reach
from pytest_orchestra.engine.scheduling import Prerequisite, find_cycle
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Dependency, RunMode
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunStatus, TestRun
from pytest_orchestra.model.scenario import TestScenario
from pytest_orchestra.plugin.catalogue import Catalogue
from pytest_orchestra.plugin.scope import Scope
from pytest_orchestra.session.definitions import Definitions
from pytest_orchestra.session.orchestra import OrchestraSession, derived_id
from pytest_orchestra.simulation.distortion import Distortion

__all__ = ["Dependencies", "RequestBuilder"]


class Dependencies:
    """Which items must have ended before others begin, by node id.

    Prerequisites that there are and that the session leaves out stay in ``prerequisites``, and so skip who depends on
    them, unless ``ignores_left_out``.
    """

    def __init__(self, items: Sequence[ScenarioItem], catalogue: Catalogue, *, ignores_left_out: bool = False) -> None:
        self._items = items
        self._catalogue = catalogue
        self._chosen = {item.nodeid for item in items}
        self._ignores_left_out = ignores_left_out
        self.prerequisites: dict[str, tuple[Prerequisite, ...]] = {}
        self.faults: dict[str, str] = {}
        for item in items:
            self._resolve(item)
        self._refuse_cycles()

    def _resolve(self, item: ScenarioItem) -> None:
        found: list[Prerequisite] = []
        for dependency in item.scenario.depends_on:
            needed = [other.nodeid for other in self._catalogue.find(item, dependency)]
            if not needed and not self._may_exist(item, dependency):
                self.faults[item.nodeid] = self._unknown(item, dependency)
                continue
            found += (
                Prerequisite(key, dependency.outcome)
                for key in needed or [dependency.scenario]
                if key in self._chosen or not self._ignores_left_out
            )
        self.prerequisites[item.nodeid] = tuple(found)

    def _may_exist(self, item: ScenarioItem, dependency: Dependency) -> bool:
        """Tell whether the name is right though no item has it: it is inactive, or in a file that was not collected."""
        other, separator, _ = dependency.scenario.partition("::")
        if separator:
            is_file = (item.path.parent / other).is_file()
            return is_file and not self._catalogue.has_file(item, dependency)
        return not self._is_without_data(item, dependency) and bool(_called(item, dependency))

    @staticmethod
    def _is_without_data(item: ScenarioItem, dependency: Dependency) -> bool:
        """Tell whether a scenario of the item's file is named with a data set that it has not."""
        _, bracket, data_set = dependency.scenario.partition("[")
        called = _called(item, dependency)
        return bool(bracket and called) and not any(data_set.removesuffix("]") in each.data_sets for each in called)

    @classmethod
    def _unknown(cls, item: ScenarioItem, dependency: Dependency) -> str:
        if "::" not in dependency.scenario and cls._is_without_data(item, dependency):
            name, _, data_set = dependency.scenario.removesuffix("]").partition("[")
            known = ", ".join(f"'{each}'" for scenario in _called(item, dependency) for each in scenario.data_sets)
            fact = f"{item.nodeid}: depends on '{dependency.scenario}', but '{name}' has no data set '{data_set}'"
            return f"{fact}\nhint: its data sets are {known}" if known else f"{fact}\nhint: write '{name}'"
        keys = [scenario.key for suite in item.definitions.suites for scenario in suite.scenarios]
        nearest = difflib.get_close_matches(dependency.scenario, keys, 1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"scenarios: {', '.join(keys)}"
        if "::" in dependency.scenario:
            hint = "write 'file.bpmn::key', with the path from here"
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

    def in_order_of_need(self, items: Sequence[OrchestraItem]) -> list[OrchestraItem]:
        """Give items such that each comes after those it depends on, and otherwise in their own order."""
        by_id = {item.nodeid: item for item in items}
        ordered: dict[str, OrchestraItem] = {}

        def visit(key: str) -> None:
            stack = [(key, iter(self.prerequisites.get(key, ())))]
            seen = {key}
            while stack:
                current, needs = stack[-1]
                need = next(needs, None)
                if need is None:
                    ordered.setdefault(current, by_id[current])
                    stack.pop()
                elif need.run_key in by_id and need.run_key not in ordered and need.run_key not in seen:
                    seen.add(need.run_key)
                    stack.append((need.run_key, iter(self.prerequisites.get(need.run_key, ()))))

        for item in items:
            if item.nodeid not in ordered:
                visit(item.nodeid)
        return list(ordered.values())

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


def _called(item: ScenarioItem, dependency: Dependency) -> list[TestScenario]:
    """Give the scenarios of the item's own file that a ``dependsOn`` names, whichever of their runs."""
    name = dependency.scenario.partition("[")[0].rpartition(".")[2]
    return [scenario for suite in item.definitions.suites for scenario in suite.scenarios if scenario.key == name]


class RequestBuilder:
    """Builds the engine's request for an item whose fixtures are set up."""

    def __init__(self, session: OrchestraSession) -> None:
        self._session = session
        self.scope = Scope.of(session.settings)
        self._settings: dict[int, tuple[Definitions, SuiteSetting]] = {}
        self._environments: dict[tuple[int, int, str], tuple[Environment, ResolvedEnvironment]] = {}

    @staticmethod
    def key(node_id: str, attempts: int = 0) -> str:
        """Give the key of an item's run. Reruns are runs of their own."""
        return f"{node_id}#{attempts + 1}" if attempts else node_id

    def build(self, item: ScenarioItem, prerequisites: tuple[Prerequisite, ...] = ()) -> RunRequest:
        """Build it. Raises ``UnusableEnvironmentError`` where variables or secrets are missing."""
        environment = item.funcargs["orchestra_environment"]
        if not isinstance(environment, Environment):
            raise TypeError(f"fixture 'orchestra_environment' gave {environment!r}, which is no Environment")
        resolved = self._resolve(environment, item.definitions)
        data_set = item.funcargs.get("orchestra_dataset", item.data_set)
        suite_run_id, key = self._session.engine.suite_run.id, self.key(item.nodeid, item.attempts)
        # every session that has the same definitions gives a run the same id, and so joins it
        run_id = derived_id(suite_run_id, key, self.version(item), resolved.environment.name)
        scenario = item.scenario
        if self._session.settings.distort:  # what one step does not notice, a later one may
            scenario = replace(scenario, mode=RunMode.RUN_ALL_STEPS)
        run = TestRun(
            id=run_id,
            suite_run_id=suite_run_id,
            key=key,
            process_id=item.suite.process_id,
            process_hash=item.suite.process_hash,
            scenario_key=item.scenario.key,
            scenario_version=self.version(item),
            data_set=item.data_set.name if item.data_set else None,
            environment=resolved.environment.name,
            mode=str(scenario.mode),
            correlation_id=derived_id(run_id, "correlation"),
        )
        data = data_set.data if isinstance(data_set, TestDataSet) else {}
        request = RunRequest(
            run=run,
            scenario=scenario,
            setting=self._setting(item.definitions),
            environment=resolved,
            data=data,
            locks=_locks(item, data, environment),
            fixtures=item.funcargs,
            reach=Reach(left_out=self._left_out(item, environment)),
            prerequisites=tuple(replace(need, run_key=self.key(need.run_key)) for need in prerequisites),
            timeout_s=_shorter(_time_limit(item), self._scenario_limit(item)),
            # a rerun is an attempt more, not as many attempts more as a run may have
            retries=0 if item.attempts else self._retries(item),
            is_rerun=bool(item.attempts) and item.finished is not None and item.finished.status is RunStatus.FAILED,
        )
        if self.scope == Scope():
            return request
        return self.scope.apply(request, self._session.earlier_runs(key) if self.scope.reads_earlier_runs else ())

    def spoil(self, item: ScenarioItem, request: RunRequest, distortion: Distortion) -> RunRequest:
        """Build the request for the same run among participants one of whom is faulty.

        It has the same correlation id, and so the same luck, and waits for nobody else. Raises what :meth:`build` does.
        """
        environment = item.funcargs["orchestra_environment"]
        assert isinstance(environment, Environment), "build() comes first"
        run_id = derived_id(request.run.id, str(distortion))
        return replace(
            request,
            run=replace(request.run, id=run_id, mode=str(RunMode.RUN_ALL_STEPS)),
            scenario=replace(request.scenario, mode=RunMode.RUN_ALL_STEPS),
            environment=self._resolve(environment, item.definitions, distortion),
            prerequisites=(),
            locks=(),
            retries=0,
        )

    def _left_out(self, item: ScenarioItem, environment: Environment) -> dict[str, str]:
        simulation, host = self._session.simulation, self._session.host
        return simulation.left_out(environment, item.definitions, item.scenario, host)

    def version(self, item: ScenarioItem) -> str:
        """Give the version of what is run of an item's scenario."""
        return self.scope.version(item.scenario.version)

    def _retries(self, item: ScenarioItem) -> int:
        """Give how often a scenario is retried: as the scenario says, its sidecar, or the user for all of them."""
        bindings = item.definitions.bindings or Bindings()
        named = next((each.retries for each in bindings.scenarios if each.key == item.scenario.key), None)
        said = named if named is not None else bindings.retries
        return self._session.settings.retries if said is None else said

    @staticmethod
    def _scenario_limit(item: ScenarioItem) -> float | None:
        """Give how long a scenario may take, in seconds: as it says itself, or its sidecar."""
        bindings = item.definitions.bindings or Bindings()
        named = (each.scenario_timeout_ms for each in bindings.scenarios if each.key == item.scenario.key)
        limit_ms = next(named, None) or bindings.scenario_timeout_ms
        return None if limit_ms is None else limit_ms / 1000

    def _setting(self, definitions: Definitions) -> SuiteSetting:
        known = self._settings.get(id(definitions))
        if known is None:
            setting = SuiteSetting(definitions.bindings or Bindings(), definitions.specs)
            known = self._settings[id(definitions)] = (definitions, setting)
        return known[1]

    def _resolve(
        self, environment: Environment, definitions: Definitions, distortion: Distortion | None = None
    ) -> ResolvedEnvironment:
        """Resolve an environment, with what the session itself provides in it: simulated participants, the listener."""
        key = id(environment), id(definitions), str(distortion or "")
        known = self._environments.get(key)
        if known is None:
            simulation, host = self._session.simulation, self._session.host
            furnished = simulation.furnish(environment, definitions, host, distortion)
            resolved = resolve_environment(furnished, os.environ)
            simulation.populate(environment, resolved, definitions, host, distortion)
            known = self._environments[key] = (environment, resolved)
        return known[1]


def _locks(item: ScenarioItem, data: JsonObject, environment: Environment) -> tuple[str, ...]:
    """Give the names of what a scenario must have for itself. Raises ``TemplateError``."""
    if not item.scenario.locks:
        return ()
    place = item.definitions.bindings.place if item.definitions.bindings else None
    names = {"data": data, "environment": {"name": environment.name, **environment.variables}}
    rendered = (compile_template(text, place).render(names) for text in item.scenario.locks)
    return tuple(sorted({name if isinstance(name, str) else json.dumps(name) for name in rendered}))


def _time_limit(item: pytest.Item) -> float | None:
    """Give the limit that pytest-timeout would hold the item to; its own alarm cannot see concurrent scenarios."""
    marker = item.get_closest_marker("timeout")
    given: Any = None
    if marker is not None:
        given = marker.args[0] if marker.args else marker.kwargs.get("timeout")
    elif item.config.pluginmanager.hasplugin("timeout"):
        given = item.config.getoption("timeout", default=None) or item.config.getini("timeout")
    return float(given) if given and float(given) > 0 else None


def _shorter(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
