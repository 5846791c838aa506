"""What plugins give to the ``orchestra`` command, which has no pytest session: those of the project and of packages."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Final

import pluggy

from pytest_orchestra.errors import SettingsError

__all__ = ["find_project_plugins"]

_HOOKS: Final = ("pytest_orchestra_protocols", "pytest_orchestra_data_sets")
"""The hooks that a command calls; whatever else a plugin has is pytest's."""
_OURS: Final = "pytest-orchestra"
_ROOT_FILES: Final = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", ".git")

hookimpl = pluggy.HookimplMarker("pytest")


def find_project_plugins(paths: Iterable[Path]) -> Iterator[SimpleNamespace]:
    """Give the hooks of installed packages that build upon this one, and of ``conftest.py`` beside files and above.

    Above it, as far as the project goes. A ``conftest.py`` that has none of the hooks is not executed. Raises
    ``SettingsError`` for one that cannot be.
    """
    for entry in entry_points(group="pytest11"):
        needed = (entry.dist.requires or ()) if entry.dist is not None else ()
        if any(_name_of(requirement) == _OURS for requirement in needed):
            yield _hooks_of(entry.load())
    folders = [path.resolve() if path.is_dir() else path.resolve().parent for path in paths]
    for path in dict.fromkeys(found for folder in folders for found in _conftest_files(folder)):
        if any(hook in path.read_text(encoding="utf-8", errors="replace") for hook in _HOOKS):
            yield _hooks_of(_executed(path))


def _conftest_files(folder: Path) -> list[Path]:
    """Give those that pytest would read when it is started there, the outermost first."""
    folders = [folder]
    for parent in (folder, *folder.parents):
        if any((parent / name).exists() for name in _ROOT_FILES):
            folders = [each for each in (folder, *folder.parents) if each.is_relative_to(parent)]
            break
    return [path for each in reversed(folders) if (path := each / "conftest.py").is_file()]


def _executed(path: Path) -> ModuleType:
    """Execute a file as pytest does, its folder first among those that are imported from."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001  it is somebody else's code
        raise SettingsError(
            f"'{path}' cannot be executed: {type(error).__name__}: {error}", hint="mend it; pytest executes it as well"
        ) from None
    return module


def _hooks_of(module: object) -> SimpleNamespace:
    found = SimpleNamespace()
    for name in _HOOKS:
        function = getattr(module, name, None)
        if function is not None:
            setattr(found, name, function if hasattr(function, "pytest_impl") else hookimpl(function))
    return found


def _name_of(requirement: str) -> str:
    name = re.match(r"[\w.-]*", requirement)
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else ""
