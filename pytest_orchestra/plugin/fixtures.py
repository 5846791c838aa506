"""What stands behind the fixtures; they work with and without ``--orchestra``."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_orchestra.collection.items import ScenarioItem
from pytest_orchestra.errors import OrchestraError, SettingsError
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.plugin.state import cache_folder, session_of, settings_of, shown_path
from pytest_orchestra.readers.data_files import read_data_sets
from pytest_orchestra.readers.environment_file import read_environments
from pytest_orchestra.session.definitions import DATA_SUFFIXES
from pytest_orchestra.session.environments import choose_environment, find_environment_files

if TYPE_CHECKING:
    from pytest_orchestra.store.embedded import EmbeddedPostgres

__all__ = ["chosen_environment", "data_set_of", "embedded_postgres", "other_environments", "suite_context"]

_DATA_SETS: Final = pytest.StashKey[dict[Path, dict[str, TestDataSet]]]()


def chosen_environment(config: pytest.Config, session: pytest.Session) -> Environment:
    """Give the environment that the settings choose. Raises ``DefinitionError``, ``SettingsError``.

    Where all is to be simulated, it says so of itself, so that fixtures which start the real ones need not.
    """
    chosen = _environment_of_files(config, session)
    return chosen.with_all_simulated() if settings_of(config).simulate == "all" else chosen


def other_environments(config: pytest.Config, scenarios: Sequence[ScenarioItem]) -> frozenset[str]:
    """Give the names of the environments of which nothing is resumed: those that there are besides the chosen one."""
    if not scenarios or not settings_of(config).resume:
        return frozenset()
    try:
        files = _environment_files(config, scenarios[0].session)
        names = {name for file in files for name in read_environments(file)}
        return frozenset(names - {choose_environment(files, settings_of(config).environment).name})
    except OrchestraError:  # the fixture will say so
        return frozenset()


def _environment_of_files(config: pytest.Config, session: pytest.Session) -> Environment:
    return choose_environment(_environment_files(config, session), settings_of(config).environment)


def _environment_files(config: pytest.Config, session: pytest.Session) -> list[Path]:
    settings = settings_of(config)
    if settings.environments:
        path = config.invocation_params.dir / settings.environments
        if not path.is_file():
            raise SettingsError(
                f"no file '{settings.environments}'", hint="mend --orchestra-environments, a path from where you are"
            )
        return [path]
    scenario_files = dict.fromkeys(item.path for item in session.items if isinstance(item, ScenarioItem))
    files = scenario_files or dict.fromkeys(item.path for item in session.items)
    found = find_environment_files(files, config.rootpath)
    return [shown_path(config, path) for path in found]


def data_set_of(node: pytest.Item) -> TestDataSet:
    """Give the data set of a scenario item, or the one that a Python test's marker names."""
    if isinstance(node, ScenarioItem):
        return node.data_set or TestDataSet("")
    marker = node.get_closest_marker("orchestra_dataset")
    if marker is None or not marker.args:
        raise SettingsError(
            f"{node.nodeid}: which data set is meant is not said",
            hint='mark the test with @pytest.mark.orchestra_dataset("name")',
        )
    name = str(marker.args[0])
    known = _data_sets_near(node)
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1)
        raise SettingsError(
            f"{node.nodeid}: no data set '{name}'",
            hint=f"did you mean '{nearest[0]}'?" if nearest else f"data sets: {', '.join(known) or 'none'}",
        )
    return known[name]


def _data_sets_near(node: pytest.Item) -> Mapping[str, TestDataSet]:
    """Give the data sets of the nearest ``data`` folder beside or above a test, read once a session."""
    root = node.config.rootpath
    for folder in node.path.parents:
        candidate = folder / "data"
        if candidate.is_dir():
            read = node.config.stash.setdefault(_DATA_SETS, {})
            if candidate not in read:
                files = [path for path in sorted(candidate.iterdir()) if path.suffix.lower() in DATA_SUFFIXES]
                shown = [shown_path(node.config, path) for path in files]
                read[candidate] = {data_set.name: data_set for data_set in read_data_sets(shown)}
            return read[candidate]
        if folder == root:
            break
    return {}


def suite_context(config: pytest.Config) -> Mapping[str, object]:
    """Give what the session's scenarios have exported, at every moment as it is then."""
    return _LiveContext(config)


class _LiveContext(Mapping[str, object]):
    """The suite context as it is when it is looked at; a fixture is asked for long before anything is exported."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def __getitem__(self, name: str) -> object:
        return session_of(self._config).suite_context[name]

    def __iter__(self) -> Iterator[str]:
        return iter(session_of(self._config).suite_context)

    def __len__(self) -> int:
        return len(session_of(self._config).suite_context)

    def __repr__(self) -> str:
        return repr(dict(self))


@contextmanager
def embedded_postgres(config: pytest.Config) -> Iterator[EmbeddedPostgres]:
    """Start the embedded PostgreSQL, or join the one that runs, for the system under test."""
    from pytest_orchestra.store.embedded import EmbeddedPostgres  # noqa: PLC0415  not on every platform

    try:
        with EmbeddedPostgres(cache_folder(config) / "postgres") as server:
            yield server
    except OrchestraError as error:
        pytest.fail(str(error), pytrace=False)
