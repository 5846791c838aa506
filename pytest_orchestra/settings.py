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


def _row(
    default: Any,
    text: str,
    *,
    metavar: str | None = None,
    choices: tuple[str, ...] = (),
    least: int | None = None,
    most: int | None = None,
) -> Any:
    """Describe an option. Numbers are positive, unless ``least`` says from where on they are good; up to ``most``."""
    return field(
        default=default,
        metadata={"help": text, "metavar": metavar, "choices": choices, "least": least, "most": most},
    )


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
    simulate: str = _row(
        "",
        "services, or pools of the process, that the plugin simulates, 'payments,warehouse', 'all' or 'none'; those"
        " whose profiles say so by default",
        metavar="NAMES",
    )
    distort: str = _row(
        "",
        "let one simulated participant be faulty, 'payments.charge:numbers', and go on after steps that fail; what"
        " 'orchestra rehearse' does with all of them",
        metavar="WHAT",
    )
    rehearsal: str = _row(
        "",
        "run what passed once more for each way in which one simulated participant can be faulty, and write what the"
        " assertion steps noticed to this file; what 'orchestra rehearse' does",
        metavar="FILE",
    )
    webhook_port: int = _row(
        0, "port at which the listener for webhooks waits; 0 for any that is free", metavar="PORT", least=0, most=65535
    )
    tenant: str = _row("default", "owner of the runs in the store", metavar="NAME")
    suite_run: str = _row("", "key of the SuiteRun; made anew by default", metavar="KEY")
    priority: int = _row(
        0,
        "which SuiteRuns of the tenant have the places of its quota first: those of the greatest number, -1000 to 1000",
        metavar="N",
        least=-1000,
        most=1000,
    )
    shard: str = _row("", "run only this part of the scenarios, '2/5' for the second of five", metavar="N/OF")
    deps: str = _row(
        "run",
        "what becomes of prerequisites (dependsOn) that a selection leaves out: 'run' runs them too, 'skip' skips those"
        " that depend on them, 'ignore' runs these without",
        choices=("run", "skip", "ignore"),
    )
    rerun: str = _row(
        "",
        "'failed' runs the scenarios that failed or erred in the store's latest SuiteRun that has any of them",
        choices=("failed",),
        metavar="WHAT",
    )
    until: str = _row("", "stop after this step (alias, id of its element, or name)", metavar="STEP")
    from_step: str = _row(
        "", "begin at this step, with the results that the latest run which got there has before it", metavar="STEP"
    )
    only_step: str = _row("", "run this step alone, with results of earlier runs for what it reads", metavar="STEP")
    data: tuple[str, ...] = _row(
        (), "other data for all scenarios, 'amount=250'; may be given often", metavar="NAME=VALUE"
    )
    resume: bool = _row(
        False, "go on with the latest SuiteRun of these scenarios that did not come to its end, or with that of the key"
    )
    step: bool = _row(
        False, "ask at the terminal before each step whether to carry it out, skip it, look or change data"
    )
    lease: float = _row(30.0, "seconds after which the runs of a worker that died are taken over", metavar="S")
    store_patience: float = _row(30.0, "seconds to wait for a store that was lost", metavar="S")
    concurrency: int = _row(32, "how many scenarios run at once", metavar="N")
    timeout: float = _row(
        0.0, "seconds after which all scenarios of the session must have ended; 0 for any time", metavar="S", least=0
    )
    retries: int = _row(
        0,
        "how often a scenario is run again when it failed; what its sidecar says goes first",
        metavar="N",
        least=0,
    )
    settle_budget: float = _row(
        0.0,
        "let steps fail whose effect settled slower than so many times p95 of its history, 1.5 say; 0 for no budget",
        metavar="FACTOR",
        least=0,
    )
    fail_flaky: bool = _row(False, "let scenarios fail that passed only when they, or a step of theirs, were retried")
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
    coverage_threshold: str = _row(
        "",
        "least coverage of every process file, 'edge=100,node=90' or '95' for whatever it covers; below it the file has"
        " a red item. What its sidecar says goes first",
        metavar="PERCENT",
    )
    heartbeat: float = _row(30.0, "seconds between two lines of progress where the terminal is no tty", metavar="S")


_TYPES: Final = {"int": int, "float": float, "str": str}
_INI_TYPES: Final[dict[str, Any]] = {"int": "int", "float": "float", "str": "string", "bool": "bool"}


def add_options(parser: pytest.Parser) -> None:
    """Add ``--orchestra`` and every row of the table to pytest's parser."""
    group = parser.getgroup("orchestra", "scenario tests from BPMN and OpenAPI")
    group.addoption(
        "--orchestra", action="store_true", default=False, help="collect and run process models (*.bpmn, *.mmd, *.puml)"
    )
    parser.addini("orchestra", "the same as --orchestra", type="bool", default=False)
    for row in fields(Settings):
        name, text = row.name, row.metadata["help"]
        shown = f"{text} (default: {row.default})" if row.default not in ("", ()) and row.default is not False else text
        option, where = f"--orchestra-{name.replace('_', '-')}", f"orchestra_{name}"
        if row.default is False:
            group.addoption(option, dest=where, default=None, action="store_true", help=shown.replace("%", "%%"))
        else:
            group.addoption(
                option,
                dest=where,
                default=None,
                action="append" if row.default == () else "store",
                metavar=row.metadata["metavar"],
                choices=row.metadata["choices"] or None,
                help=shown.replace("%", "%%"),
            )
        parser.addini(f"orchestra_{name}", text, type=_INI_TYPES.get(str(row.type), "linelist"), default=None)


def read_settings(config: pytest.Config) -> Settings:
    """Read the table from the command line, the configuration and ``[tool.orchestra]``. Raises ``SettingsError``."""
    project = read_project_table(config.rootpath)
    values: dict[str, Any] = {}
    for row in fields(Settings):
        given = config.getoption(f"orchestra_{row.name}")
        source = f"--orchestra-{row.name.replace('_', '-')}"
        if given is None:
            given, source = _configured(config, row.name), f"orchestra_{row.name}"
        if given in (None, "", []) and row.name in project:
            given, source = project[row.name], f"[tool.orchestra] {row.name}"
        if given not in (None, "", []):
            values[row.name] = _read(given, row.name, source)
    return Settings(**values)


def _configured(config: pytest.Config, name: str) -> object:
    import pytest  # noqa: PLC0415  the caller has it, but who reads '[tool.orchestra]' alone need not

    try:
        return config.getini(f"orchestra_{name}")
    except (TypeError, ValueError, pytest.UsageError) as error:  # pytest's own words, which name no option
        raise SettingsError(f"orchestra_{name}: {error}", hint="mend pytest's configuration") from None


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
    if row.default is False:
        if isinstance(given, bool):
            return given
        raise SettingsError(f"{source}: '{given}' is neither true nor false", hint="for example true")
    if row.default == ():
        if isinstance(given, list) and all(isinstance(each, str) for each in given):
            return tuple(given)
        raise SettingsError(f"{source}: '{given}' is no list of texts", hint='for example ["amount=250"]')
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
    least = row.metadata["least"]
    if least is not None:
        if value < least:
            raise SettingsError(f"{source}: '{given}' is less than {least}", hint="for example 2")
        if (most := row.metadata["most"]) is not None and value > most:
            raise SettingsError(f"{source}: '{given}' is more than {most}", hint="for example 2")
    elif kind is not str and value <= 0:
        raise SettingsError(f"{source}: '{given}' is not positive", hint=f"for example {row.default}")
    return value
