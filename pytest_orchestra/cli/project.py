"""The project that a command is called in: its root, its settings, its store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pytest_orchestra.engine.ports import RunStore
from pytest_orchestra.settings import Settings, read_project_table
from pytest_orchestra.store.opening import open_store

__all__ = ["add_store_options", "chosen_store", "project_root", "store_of"]

_CACHE: Final = ".orchestra"
_MARKS: Final = ("pytest.toml", "pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", ".git")


def project_root(start: Path | None = None) -> Path:
    """Give the project that is meant: the nearest folder from here upwards where scenarios have run.

    Else the one folder below in which they have, where it is only one ('pytest --orchestra example' makes 'example' the
    project if it has a configuration of its own); else the nearest folder upwards that looks like a project.
    """
    here = (start or Path.cwd()).resolve()
    upwards = (here, *here.parents)
    below = sorted({cache.parent for pattern in ("*", "*/*") for cache in here.glob(f"{pattern}/{_CACHE}")})
    for folder in upwards:
        if (folder / _CACHE).is_dir():
            return folder
    if len(below) == 1:
        return below[0]
    return next((folder for folder in upwards if any((folder / mark).exists() for mark in _MARKS)), here)


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which store is meant."""
    parser.add_argument("--store", metavar="STORE", help="'embedded' or 'postgresql://...' (default: the project's)")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="the project (default: the one around or below)")
    parser.add_argument("--tenant", metavar="NAME", help="owner of the runs (default: the project's)")


def chosen_store(options: argparse.Namespace) -> tuple[str, str, Path]:
    """Give store, tenant and cache folder: the options', else ``[tool.orchestra]``'s, else the defaults."""
    root = options.root.resolve() if options.root else project_root()
    table = read_project_table(root)
    defaults = Settings()
    store = options.store or str(table.get("store", defaults.store))
    tenant = options.tenant or str(table.get("tenant", defaults.tenant))
    return store, tenant, root / _CACHE


def store_of(options: argparse.Namespace) -> RunStore:
    """Give the store, not yet opened. Raises ``SettingsError``."""
    store, tenant, folder = chosen_store(options)
    return open_store(store, tenant=tenant, cache_folder=folder)
