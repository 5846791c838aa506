"""``orchestra export``: scenarios in the formats of others."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_orchestra.cli.loading import loader_of_commands, problems_json, process_file, refuse_unusable
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.errors import DefinitionError, SettingsError
from pytest_orchestra.generation.arazzo.document import ARAZZO_VERSIONS, export_arazzo
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["add_export_command"]

_YAML_SUFFIXES = (".yaml", ".yml")


def add_export_command(commands: Any) -> None:
    """Add the command to a parser's sub-parsers."""
    export = commands.add_parser(
        "export",
        help="write the scenarios of a process in another format: Arazzo",
        description="Write the HTTP part of a process's scenarios as an Arazzo document. What it cannot say is left out"
        " and told on standard error.",
    )
    export.add_argument("to", metavar="FORMAT", choices=("arazzo",), help="which one: arazzo")
    export.add_argument("file", type=Path, help="the process model")
    export.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="the file to write, YAML if it ends so, else JSON (default: print it)",
    )
    export.add_argument(
        "--arazzo-version", choices=ARAZZO_VERSIONS, default=ARAZZO_VERSIONS[-1], help="version (default: %(default)s)"
    )
    export.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="how to print: text is the document, json an object with document and problems (default: text)",
    )
    export.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    file = process_file(options.file)
    definitions = loader_of_commands(file).load(file)
    refuse_unusable(definitions)
    output: Path | None = options.output
    folder = output.parent if output is not None else file.parent
    exported = export_arazzo(
        definitions.suites,
        definitions.bindings or Bindings(),
        definitions.specs,
        definitions.data_sets,
        urls=_urls(definitions.specs, folder),
        home=Place(str(file)),
        version=options.arazzo_version,
    )
    if exported.document is None:
        fact = "no scenario calls an operation over HTTP that a specification has"
        hint = "bind tasks to operations in the sidecar, and name the specifications in 'specs'"
        raise DefinitionError.from_problems((Problem(Severity.ERROR, Place(str(file)), fact, hint),))
    facts: JsonObject = {"document": exported.document, "problems": problems_json(exported.problems)}
    told = "\n".join(f"{problem.severity}: {problem}" for problem in exported.problems)
    if output is None:
        return Outcome(ExitCode.FINE, _json_text(exported.document), facts, notes=told)
    text = _yaml_text(exported.document) if output.suffix.lower() in _YAML_SUFFIXES else _json_text(exported.document)
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"--output: cannot write '{output}': {reason}", hint="give the path of a file") from None
    workflows = exported.document["workflows"]
    assert isinstance(workflows, list)
    count = "1 workflow" if len(workflows) == 1 else f"{len(workflows)} workflows"
    return Outcome(ExitCode.FINE, f"{count} written to {output}", {**facts, "output": str(output)}, notes=told)


def _urls(specs: Mapping[str, ProtocolSpec], folder: Path) -> dict[str, str]:
    """Give where specifications lie, as seen from the document's folder."""
    start = folder.resolve()
    return {
        service: quote(os.path.relpath(spec.file, start).replace(os.sep, "/"), safe="/.-_~")
        for service, spec in specs.items()
    }


def _json_text(document: JsonObject) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _yaml_text(document: JsonObject) -> str:
    import yaml  # noqa: PLC0415  only who asks for YAML pays for it

    text: str = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=110)
    return text
