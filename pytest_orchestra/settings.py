"""Every option as one row of one table.

A row can be given on the command line (``--orchestra-concurrency=8``), in pytest's configuration
(``orchestra_concurrency = 8``) or in ``pyproject.toml`` (``[tool.orchestra]`` ``concurrency = 8``); the first of these
that says something wins.

This module is imported by every pytest session, with or without ``--orchestra``: it imports nothing heavy.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_orchestra.errors import SettingsError

if TYPE_CHECKING:
    import pytest

__all__ = ["Settings", "add_options", "read_project_table", "read_settings"]


def _row(default: Any, text: str, *, metavar: str | None = None, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": text, "metavar": metavar, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user set. Each field is one option; its type decides how its text is read."""

    environment: str = _row("", "environment to run against; the first of its file by default", metavar="NAME")
    environments: str = _row(
        "", "file with the environments; 'environments.yaml' beside or above the processes by default", metavar="FILE"
    )
    store: str = _row(
        "embedded", "where runs are kept: 'embedded', 'memory' or 'postgresql://user@host/database'", metavar="STORE"
    )
    tenant: str = _row("default", "owner of the runs in the store", metavar="NAME")
    suite_run: str = _row("", "key of the SuiteRun; made anew by default", metavar="KEY")
    concurrency: int = _row(32, "how many scenarios run at once", metavar="N")
    order: str = _row(
        "completion",
        "report scenarios as they complete, or in the order of collection",
        choices=("completion", "collection"),
    )
    autouse: str = _row(
        "session",
        "which autouse fixtures scenarios use: session-scoped ones, or all (those with others run one by one)",
        choices=("session", "all"),
    )
    junit_steps: str = _row(
        "testcases",
        "how JUnit shows steps: each a test case of its own, or properties of the scenario's only",
        choices=("testcases", "properties"),
    )
    events: str = _row("", "write every event of the engine to this file, one JSON object a line", metavar="FILE")
    heartbeat: float = _row(30.0, "seconds between two lines of progress where the terminal is no tty", metavar="S")


_TYPES: Final = {"int": int, "float": float, "str": str}
_INI_TYPES: Final[dict[str, Any]] = {"int": "int", "float": "float", "str": "string"}


def add_options(parser: pytest.Parser) -> None:
    """Add ``--orchestra`` and every row of the table to pytest's parser."""
    group = parser.getgroup("orchestra", "scenario tests from BPMN and OpenAPI")
    group.addoption(
        "--orchestra", action="store_true", default=False, help="collect and run process models (*.bpmn, *.mmd, *.puml)"
    )
    parser.addini("orchestra", "the same as --orchestra", type="bool", default=False)
    for row in fields(Settings):
        name, text = row.name, row.metadata["help"]
        shown = f"{text} (default: {row.default})" if row.default != "" else text
        group.addoption(
            f"--orchestra-{name.replace('_', '-')}",
            dest=f"orchestra_{name}",
            default=None,
            metavar=row.metadata["metavar"],
            choices=row.metadata["choices"] or None,
            help=shown.replace("%", "%%"),
        )
        parser.addini(f"orchestra_{name}", text, type=_INI_TYPES[str(row.type)], default=None)


def read_settings(config: pytest.Config) -> Settings:
    """Read the table from the command line, the configuration and ``[tool.orchestra]``. Raises ``SettingsError``."""
    project = read_project_table(config.rootpath)
    values: dict[str, Any] = {}
    for row in fields(Settings):
        given = config.getoption(f"orchestra_{row.name}")
        source = f"--orchestra-{row.name.replace('_', '-')}"
        if given is None:
            given, source = config.getini(f"orchestra_{row.name}"), f"orchestra_{row.name}"
        if given in (None, "") and row.name in project:
            given, source = project[row.name], f"[tool.orchestra] {row.name}"
        if given not in (None, ""):
            values[row.name] = _read(given, row.name, source)
    return Settings(**values)


def read_project_table(root: Path) -> Mapping[str, Any]:
    """Read ``[tool.orchestra]`` of a project's ``pyproject.toml``; empty where there is none.

    Keys may have dashes or underscores. Raises ``SettingsError``.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    import tomllib  # noqa: PLC0415  most sessions never come here

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}", hint="mend the file") from None
    table = document.get("tool", {}).get("orchestra", {})
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: 'tool.orchestra' is no table", hint="write [tool.orchestra] and its keys below")
    known = {row.name for row in fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            raise SettingsError(
                f"{path}: unknown key '{key}' in [tool.orchestra]",
                hint=f"did you mean '{nearest[0]}'?" if nearest else f"keys: {', '.join(sorted(known))}",
            )
        values[name] = value
    return values


def _read(given: object, name: str, source: str) -> object:
    row = next(row for row in fields(Settings) if row.name == name)
    kind = _TYPES[str(row.type)]
    try:
        value = kind(given)
        is_exact = not isinstance(given, bool) and (kind is str or value == float(str(given)))
    except (TypeError, ValueError):
        is_exact = False
    if not is_exact:
        wanted = {int: "a whole number", float: "a number"}.get(kind, "a text")
        raise SettingsError(f"{source}: '{given}' is not {wanted}", hint=f"for example {row.default or 'a name'}")
    choices = row.metadata["choices"]
    if choices and value not in choices:
        raise SettingsError(f"{source}: '{given}' is not known", hint=f"choose one of {', '.join(choices)}")
    if kind is not str and value <= 0:
        raise SettingsError(f"{source}: '{given}' is not positive", hint=f"for example {row.default}")
    return value
