"""The file of environments: name to connections."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.source_file import Source
from pytest_orchestra.readers.validation import reserved_fields, validation_problems
from pytest_orchestra.readers.yaml_source import read_source

__all__ = ["Environments", "environments_adapter", "read_environments"]

Environments = dict[str, Environment]


@cache
def environments_adapter() -> TypeAdapter[Environments]:
    """Give what validates, and describes, a file of environments."""
    return TypeAdapter(Environments)


def read_environments(path: Path) -> dict[str, Environment]:
    """Read environments by name, in the order of the file; each knows its name and its place.

    An environment that is named and no more has no connections. Raises ``UnreadableFileError`` if the file cannot be
    parsed, and ``DefinitionError`` with all its problems.
    """
    source = read_source(path)
    raw = source.value if source.value is not None else {}
    if isinstance(raw, dict):
        raw = {name: {} if fields is None else fields for name, fields in raw.items()}
    problems = list(source.problems)
    environments: Environments = {}
    try:
        environments = environments_adapter().validate_python(raw)
    except ValidationError as error:
        problems += validation_problems(error, source, Environments)
    names = source.value if isinstance(source.value, dict) else ()
    problems += reserved_fields(source, Environment, ((name,) for name in names))
    problems += _misnamed(environments, source)
    if problems:
        raise DefinitionError.from_problems(tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.place)))
    return {
        name: environment.model_copy(update={"name": name, "place": source.place((name,), of_key=True)})
        for name, environment in environments.items()
    }


def _misnamed(environments: Environments, source: Source) -> list[Problem]:
    """Find environments whose field ``name`` contradicts the key that they stand under."""
    return [
        Problem(
            Severity.ERROR,
            source.place((name, "name")),
            f"environment '{name}' calls itself '{environment.name}'",
            "remove 'name'",
        )
        for name, environment in environments.items()
        if "name" in environment.model_fields_set and environment.name != name
    ]
