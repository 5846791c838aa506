"""What the plugin keeps in pytest's stash: settings and the session, each made when first asked for."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.settings import Settings, read_settings

if TYPE_CHECKING:
    from pytest_orchestra.session.orchestra import OrchestraSession

__all__ = [
    "SAID_IN_WORKER",
    "cache_folder",
    "cache_path",
    "crashed_workers",
    "session_of",
    "settings_of",
    "shown_path",
    "suite_run_key",
    "worker_input",
]

SAID_IN_WORKER: Final = "orchestra_said"
"""The key under which an xdist worker sends the controller what its user has to be told."""

_SETTINGS: Final = pytest.StashKey[Settings]()
_SESSION: Final = pytest.StashKey["OrchestraSession"]()
_SUITE_RUN_KEY: Final = pytest.StashKey[str]()
_BUILTIN: Final = "orchestra-builtin-protocols"


def settings_of(config: pytest.Config) -> Settings:
    """Give the settings. Raises ``pytest.UsageError``."""
    if _SETTINGS not in config.stash:
        try:
            config.stash[_SETTINGS] = read_settings(config)
        except OrchestraError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[_SETTINGS]


def session_of(config: pytest.Config) -> OrchestraSession:
    """Give the session of this process; it is not started by that."""
    if _SESSION not in config.stash:
        from pytest_orchestra.session.orchestra import OrchestraSession  # noqa: PLC0415  much, and not always needed
        from pytest_orchestra.session.protocols import BuiltinProtocols  # noqa: PLC0415

        if not config.pluginmanager.hasplugin(_BUILTIN):
            config.pluginmanager.register(BuiltinProtocols(), _BUILTIN)
        config.stash[_SESSION] = OrchestraSession(
            settings=settings_of(config),
            cache_folder=cache_folder(config),
            hook=config.hook,
            config=config,
            suite_run_key=suite_run_key(config),
        )
    return config.stash[_SESSION]


def suite_run_key(config: pytest.Config) -> str:
    """Give the key of the SuiteRun: the option's, else the controller's under xdist, else a new one."""
    if _SUITE_RUN_KEY not in config.stash:
        given = settings_of(config).suite_run or str(worker_input(config).get("orchestra_suite_run", ""))
        config.stash[_SUITE_RUN_KEY] = given or f"run-{uuid.uuid4().hex[:12]}"
    return config.stash[_SUITE_RUN_KEY]


def worker_input(config: pytest.Config) -> dict[str, Any]:
    """Give what the xdist controller told this worker; empty where this is no worker."""
    return getattr(config, "workerinput", {})


def crashed_workers(config: pytest.Config) -> int:
    """Give how many xdist workers of this session have crashed so far; 0 where this is no worker."""
    tally = Path(worker_input(config).get("orchestra_tally", ""))
    return tally.stat().st_size if tally.is_file() else 0


def cache_path(config: pytest.Config) -> Path:
    """Give where the project's folder for things that may be deleted is, or would be."""
    return config.rootpath / ".orchestra"


def cache_folder(config: pytest.Config) -> Path:
    """Give the project's folder for things that may be deleted, made if need be, and invisible to git.

    It is not there where the project can only be read; the embedded store then finds a place elsewhere by its name.
    """
    folder = cache_path(config)
    if not folder.is_dir():
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return folder


def shown_path(config: pytest.Config, path: Path) -> Path:
    """Give a path as messages show it: from where the user is."""
    return Path(os.path.relpath(path, config.invocation_params.dir))
