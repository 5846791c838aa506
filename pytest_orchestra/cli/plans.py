"""``orchestra plan``: scenarios and why they are there, kept in a file, and compared with what was kept."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pytest_orchestra.cli.loading import (
    loader_of_commands,
    loose_problems,
    problems_json,
    process_file,
    read_criteria,
    refuse_unusable,
)
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.cli.project import project_root
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.generation.plans.plan import plan_json, plan_text
from pytest_orchestra.generation.plans.plan_changes import changes_json, changes_text, compare_plans
from pytest_orchestra.generation.plans.plan_file import plan_file_text, record_plan
from pytest_orchestra.generation.plans.thresholds import Thresholds, find_shortfalls, parse_thresholds, thresholds_json
from pytest_orchestra.model.definition import Criterion
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.saved_plan import SavedPlan
from pytest_orchestra.problem import Place, Problem
from pytest_orchestra.readers.plan_file import plan_path, read_saved_plan
from pytest_orchestra.session.definitions import Definitions
from pytest_orchestra.settings import read_project_table

__all__ = ["add_plan_command"]

_BESIDE: Final = ""
"""What ``--save`` and ``--diff`` are without a path: the file beside the model is meant."""


def add_plan_command(commands: Any) -> None:
    """Add the command to a parser's sub-parsers."""
    plan = commands.add_parser(
        "plan",
        help="show the scenarios of a process, what they cover, and why each is there",
        description="Show the scenarios of a process model. Needs no sidecar, no store and no network.",
    )
    plan.add_argument("file", type=Path, help="the process model")
    plan.add_argument("--coverage", metavar="CRITERIA", help=f"of {', '.join(Criterion)}; several with commas")
    plan.add_argument(
        "--threshold",
        metavar="CRITERION=PERCENT",
        help="fail (exit code 1) where less is covered; several with commas; a mere number is for every criterion",
    )
    plan.add_argument(
        "--save",
        nargs="?",
        const=_BESIDE,
        metavar="PATH",
        help="keep the plan in a file (default: NAME.plan.json beside the model)",
    )
    plan.add_argument(
        "--diff",
        nargs="?",
        const=_BESIDE,
        metavar="PATH",
        help="compare with a plan that was kept, and say what became of each scenario (exit code 1 if anything"
        " differs); with --save, the plan is compared first and then kept",
    )
    plan.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    plan.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    file = process_file(options.file)
    criteria = read_criteria(options.coverage)
    general = _general_thresholds(options.threshold)
    old = _place_of(options.diff, file, must_exist=True) if options.diff is not None else None
    before = read_saved_plan(old) if old is not None else None
    definitions = loader_of_commands(file).load(file, criteria)
    shortfalls = _shortfalls(definitions, general, is_chosen=criteria is not None)
    if before is None and options.save is None:
        return _shown(definitions, general, shortfalls)
    refuse_unusable(definitions)
    now = record_plan(
        str(definitions.file),
        definitions.processes,
        definitions.suites,
        definitions.bindings,
        definitions.specs,
        definitions.data_sets,
    )
    outcome = (
        _shown(definitions, general, shortfalls)
        if before is None
        else _compared(before, now, definitions, general, shortfalls, str(old))
    )
    return outcome if options.save is None else _kept(outcome, now, _place_of(options.save, file))


def _general_thresholds(given: str | None) -> Thresholds:
    """Give the thresholds for all files: the option's, else those of ``[tool.orchestra]``. Raises ``SettingsError``."""
    if given is not None:
        return parse_thresholds(given, "--threshold")
    table = read_project_table(project_root())
    return parse_thresholds(str(table.get("coverage_threshold", "")), "[tool.orchestra] coverage_threshold")


def _shortfalls(definitions: Definitions, general: Thresholds, *, is_chosen: bool) -> list[Problem]:
    """Give what is not covered enough; where criteria were chosen by the caller, the sidecar's others do not count."""
    bindings = definitions.bindings
    home = Place(str(definitions.file))
    found: list[Problem] = []
    for suite in definitions.suites:
        own = bindings
        if bindings is not None and is_chosen:
            kept = {name: percent for name, percent in bindings.thresholds.items() if name in suite.criteria}
            own = bindings.model_copy(update={"thresholds": kept})
        found += find_shortfalls(suite, own, general, home)
    return found


def _shown(definitions: Definitions, general: Thresholds, shortfalls: Sequence[Problem]) -> Outcome:
    """Show the plan itself."""
    plans = [
        {
            **plan_json(suite, str(definitions.file)),
            "thresholds": thresholds_json(suite, definitions.bindings, general),
        }
        for suite in definitions.suites
    ]
    loose = [*loose_problems(definitions), *shortfalls]
    facts: JsonObject
    if len(plans) == 1:
        facts = {**plans[0], "problems": [*_listed(plans[0].get("problems")), *problems_json(loose)]}
    else:
        facts = {"processes": plans, "problems": problems_json(loose)}
    process = {each.id: each for each in definitions.processes}
    texts = [plan_text(suite, process.get(suite.process_id)) for suite in definitions.suites]
    text = "\n\n".join([*texts, *map(str, loose)])
    code = ExitCode.FINE
    if not plans:
        code = ExitCode.WRONG_INPUT
    elif definitions.errors or shortfalls:
        code = ExitCode.FINDINGS
    return Outcome(code, text, facts)


def _listed(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else []


def _compared(
    before: SavedPlan,
    now: SavedPlan,
    definitions: Definitions,
    general: Thresholds,
    shortfalls: Sequence[Problem],
    plan: str,
) -> Outcome:
    """Show what became of the saved plan, with the errors that definitions have, which are often the cause."""
    changes = compare_plans(before, now, definitions.specs)
    problems = [*definitions.errors, *shortfalls]
    facts = {"file": str(definitions.file), "plan": plan, **changes_json(changes), "problems": problems_json(problems)}
    if general.by_criterion or general.every is not None or (definitions.bindings and definitions.bindings.thresholds):
        facts["thresholds"] = {
            suite.process_id: thresholds_json(suite, definitions.bindings, general) for suite in definitions.suites
        }
    text = "\n\n".join([changes_text(changes, plan), *map(str, problems)])
    is_fine = changes.is_unchanged and not shortfalls
    return Outcome(ExitCode.FINE if is_fine else ExitCode.FINDINGS, text, facts)


def _kept(outcome: Outcome, plan: SavedPlan, path: Path) -> Outcome:
    """Keep the plan, and say so. Raises ``SettingsError``."""
    try:
        path.write_text(plan_file_text(plan), encoding="utf-8", newline="\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"--save: cannot write '{path}': {reason}", hint="give the path of a file") from None
    facts = {**outcome.facts, "saved": str(path)} if isinstance(outcome.facts, dict) else outcome.facts
    return Outcome(outcome.exit_code, f"{outcome.text}\n\nsaved to {path}", facts)


def _place_of(given: str, file: Path, *, must_exist: bool = False) -> Path:
    """Give where the plan is kept. Raises ``SettingsError``."""
    beside = plan_path(file)
    path = beside if given == _BESIDE else Path(given)
    path = path / beside.name if path.is_dir() else path
    if must_exist and not path.is_file():
        raise SettingsError(f"--diff: no file '{path}'", hint=f"keep a plan with 'orchestra plan {file} --save' first")
    return path
