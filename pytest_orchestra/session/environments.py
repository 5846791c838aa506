"""Choosing the environment of a session."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.readers.environment_file import read_environments

__all__ = ["ENVIRONMENT_FILE", "choose_environment", "find_environment_files"]

ENVIRONMENT_FILE: Final = "environments.yaml"


def find_environment_files(process_files: Iterable[Path], root: Path) -> list[Path]:
    """Give, for each process file, the nearest ``environments.yaml`` beside or above it, not above ``root``."""
    found: dict[Path, None] = {}
    for file in process_files:
        for folder in file.resolve().parents:
            candidate = folder / ENVIRONMENT_FILE
            if candidate.is_file():
                found[candidate] = None
                break
            if folder == root.resolve():
                break
    return list(found)


def choose_environment(files: Iterable[Path], name: str) -> Environment:
    """Read the environment of that name, the first one if the name is empty, an empty one if there is no file.

    Raises ``DefinitionError``, ``SettingsError``.
    """
    known: dict[str, tuple[Environment, Path]] = {}
    for file in files:
        for key, environment in read_environments(file).items():
            if key in known and known[key][0].model_dump() != environment.model_dump():  # places apart
                raise SettingsError(
                    f"environment '{key}' is defined in '{known[key][1]}' and, otherwise, in '{file}'",
                    hint="choose one with --orchestra-environments=FILE",
                )
            known.setdefault(key, (environment, file))
    if not name:
        return next((environment for environment, _ in known.values()), Environment())
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1)
        there = f"environments: {', '.join(known)}" if known else f"no file '{ENVIRONMENT_FILE}' was found"
        raise SettingsError(
            f"no environment '{name}'", hint=f"did you mean '{nearest[0]}'? {there}" if nearest else there
        )
    return known[name][0]
