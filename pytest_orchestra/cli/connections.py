"""What ``verify`` says of environments: whether their files can be read, and whether they know whom steps speak to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.definition import ChannelType, StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.readers.environment_file import read_environments
from pytest_orchestra.session.definitions import Definitions
from pytest_orchestra.session.environments import ENVIRONMENT_FILE, find_environment_files

__all__ = ["connection_problems"]

_ALIASES: Final = {
    ChannelType.DB: ("database", "data_source", "db_profiles", "dbProfiles"),
    ChannelType.KAFKA: ("cluster", "cluster_alias", "kafka_profiles", "kafkaProfiles"),
    ChannelType.QUEUE: ("broker", "broker_alias", "queue_profiles", "queueProfiles"),
}
"""By channel: what is spoken to, the step's field, the environment's field, and how that is written."""


def connection_problems(loaded: Sequence[Definitions], root: Path) -> list[Problem]:
    """Give the problems of the files of environments near process files, each once.

    What no environment of the nearest file knows is a warning, for a fixture may give it. Values of environment
    variables and secrets are not looked at.
    """
    environments: dict[Path, Mapping[str, Environment]] = {}
    found: list[Problem] = []
    for definitions in loaded:
        for file in find_environment_files([definitions.file], root):
            if file not in environments:
                try:
                    environments[file] = read_environments(Path(os.path.relpath(file)))
                except DefinitionError as error:
                    environments[file] = {}
                    found += error.problems or [_problem(error)]
            if environments[file]:
                found += _unknown_aliases(definitions, environments[file], Path(os.path.relpath(file)))
    return list(dict.fromkeys(found))


def _problem(error: DefinitionError) -> Problem:
    return Problem(Severity.ERROR, error.place or Place(ENVIRONMENT_FILE), error.fact, error.hint)


def _unknown_aliases(definitions: Definitions, known: Mapping[str, Environment], file: Path) -> Iterator[Problem]:
    simulated = definitions.bindings.simulations if definitions.bindings else ()
    steps = (step.definition for suite in definitions.suites for each in suite.scenarios for step in each.steps)
    for kind, alias, field, written in dict.fromkeys(filter(None, map(_alias, steps))):
        is_known = any(alias in getattr(environment, field) for environment in known.values())
        if not is_known and alias not in simulated:
            yield Problem(
                Severity.WARNING,
                Place(str(definitions.file)),
                f"no environment of '{file}' has {kind} '{alias}'",
                f"add '{alias}' to the '{written}' of '{next(iter(known))}', or have a fixture give it",
            )


def _alias(step: StepDefinition) -> tuple[str, str, str, str] | None:
    """Give what a step speaks to: its kind, its alias, and the environment's field; None if that is not said."""
    if step.endpoint_ref is not None and step.channel_type in (ChannelType.HTTP_REST, ChannelType.GRPC):
        return "service", step.endpoint_ref.service_name, "services", "services"
    if step.channel_type not in _ALIASES:
        return None
    kind, name, field, written = _ALIASES[ChannelType(step.channel_type)]
    alias = getattr(step, name)
    return (kind, alias, field, written) if alias and "{{" not in alias else None
