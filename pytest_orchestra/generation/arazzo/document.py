"""The HTTP part of suites as an Arazzo document (https://spec.openapis.org/arazzo): a workflow for each scenario.

What Arazzo cannot say (database steps, barriers, rules that no condition of its own expresses) is left out; every
omission is a problem that names the step, and stands in the document as well.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pytest_orchestra.generation.arazzo.workflow import Sources, WorkflowWriter, identifier
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.scenario import ScenarioSuite, TestScenario
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Problem

__all__ = ["ARAZZO_VERSIONS", "ArazzoExport", "export_arazzo"]

ARAZZO_VERSIONS: Final = ("1.0.1", "1.1.0")
"""The versions that can be written. Documents differ in nothing else: they hold to the stricter of the two."""

_SHOWN_HASH: Final = 12
_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ArazzoExport:
    """The document, None where no scenario calls anything over HTTP, and what it could not say."""

    document: JsonObject | None
    problems: tuple[Problem, ...]


def export_arazzo(
    suites: Sequence[ScenarioSuite],
    bindings: Bindings,
    specs: Mapping[str, ProtocolSpec],
    data_sets: Mapping[str, TestDataSet],
    *,
    urls: Mapping[str, str],
    home: Place,
    version: str = ARAZZO_VERSIONS[-1],
) -> ArazzoExport:
    """Give the workflows of the suites' active scenarios. ``urls`` has for each service where its specification lies.

    Values of data never enter the document, only their names and types. Arazzo compares texts without regard to case,
    so that a condition may hold there for what the rule here refuses.
    """
    services = {name: spec for name, spec in specs.items() if spec.protocol_id == "http"}
    called = _called(suites, services)
    sources = Sources(
        {name: services[name] for name in called}, _unique((name, identifier(name, "source")) for name in called)
    )
    names = _workflow_ids(suites)
    workflows: list[JsonValue] = []
    problems: list[Problem] = []
    for suite in suites:
        ids = {key: name for (process, key), name in names.items() if process == suite.process_id}
        writers = {
            scenario.key: WorkflowWriter(scenario, ids[scenario.key], bindings, sources, data_sets, home)
            for scenario in suite.scenarios
            if scenario.active
        }
        kept = {key: writer.workflow_id for key, writer in writers.items() if writer.is_worth_writing}
        exports = {key: writer.exported() for key, writer in writers.items() if key in kept}
        for writer in writers.values():
            workflow = writer.write(kept, exports)
            problems += writer.problems
            if workflow is not None:
                workflows.append(workflow)
    found = tuple(dict.fromkeys(problems))
    if not workflows:
        return ArazzoExport(None, found)
    document: JsonObject = {
        "arazzo": version,
        "info": {
            "title": ", ".join(suite.process_name or suite.process_id for suite in suites),
            "version": "-".join(filter(None, (suite.process_hash[:_SHOWN_HASH] for suite in suites))) or "0",
            "description": "Written by pytest-orchestra from a process model and what is bound to it.",
        },
        "sourceDescriptions": [
            {"name": sources.names[name], "url": urls[name], "type": "openapi"} for name in sources.specs
        ],
        "workflows": workflows,
    }
    return ArazzoExport(document, found)


def _called(suites: Iterable[ScenarioSuite], services: Mapping[str, ProtocolSpec]) -> list[str]:
    """Give the services that steps of the suites call, in the order of ``services``."""
    refs = (
        step.definition.endpoint_ref
        for suite in suites
        for scenario in suite.scenarios
        if scenario.active
        for step in scenario.steps
    )
    called = {ref.service_name for ref in refs if ref is not None}
    return [name for name in services if name in called]


def _workflow_ids(suites: Sequence[ScenarioSuite]) -> dict[tuple[str, str], str]:
    """Give every active scenario a workflow id of its own."""

    def wanted(suite: ScenarioSuite, scenario: TestScenario) -> str:
        text = f"{suite.process_id}-{scenario.key}" if len(suites) > 1 else scenario.key
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        return identifier(plain, "scenario")

    return _unique(
        ((suite.process_id, scenario.key), wanted(suite, scenario))
        for suite in suites
        for scenario in suite.scenarios
        if scenario.active
    )


def _unique(wanted: Iterable[tuple[_K, str]]) -> dict[_K, str]:
    """Give each key its name, with a number behind it where an earlier one has that name."""
    found: dict[_K, str] = {}
    taken: set[str] = set()
    for key, name in wanted:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate)
        found[key] = candidate
    return found
