"""``orchestra init``: write a first sidecar for a process model."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pytest_orchestra.cli.loading import problems_json, process_file
from pytest_orchestra.cli.outcome import ExitCode, Outcome
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.sidecar import sidecar_path
from pytest_orchestra.session.protocols import collect_protocols, command_hooks
from pytest_orchestra.session.scaffolding import Scaffold, ScaffoldedElement, Scaffolder

__all__ = ["add_init_command"]

_STANDARD_OUTPUT: Final = "-"
_MOST_PROBLEMS: Final = 10


def add_init_command(commands: Any) -> None:
    """Add ``init`` to a parser's sub-parsers."""
    init = commands.add_parser(
        "init",
        help="write a first sidecar for a process model",
        description="Write a first sidecar for a process model, and a file with example data. What the model names is "
        "bound; what is only likely stands in comments.",
    )
    init.add_argument("file", type=Path, help="the process model")
    init.add_argument(
        "--spec",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a service and its OpenAPI document; may be repeated (default: those beside the model)",
    )
    init.add_argument("--output", metavar="PATH", help="where to write, '-' for standard output (default: beside it)")
    init.add_argument("--force", action="store_true", help="write over a sidecar that is there")
    init.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    init.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> Outcome:
    file = process_file(options.file)
    target = _target(file, options.output, is_forced=options.force)
    folder = target.parent if target is not None else file.parent
    data_file = f"data/{_stem(target or sidecar_path(file))}.yaml"
    scaffolder = Scaffolder(collect_protocols(command_hooks(), None))
    scaffold = scaffolder.scaffold(file, folder, _given_specs(options.spec), data_file)
    if target is None:
        return Outcome(ExitCode.FINE, _printed(scaffold, data_file), _facts(scaffold, [], with_text=True))
    written = [target]
    _write(target, scaffold.sidecar)
    data_path = folder / data_file
    if scaffold.data is not None and not data_path.exists():
        _write(data_path, scaffold.data)
        written.append(data_path)
    return Outcome(ExitCode.FINE, "\n".join(_told(file, scaffold, written)), _facts(scaffold, written))


def _target(file: Path, output: str | None, *, is_forced: bool) -> Path | None:
    """Give the file to write, None for standard output. Raises ``SettingsError`` if it is there already."""
    if output == _STANDARD_OUTPUT:
        return None
    there = Path(output) if output is not None else sidecar_path(file)
    if there.is_dir():
        raise SettingsError(f"--output: '{there}' is a folder", hint="give the path of a file, or '-'")
    if there.exists() and not is_forced:
        raise SettingsError(f"'{there}' is there already", hint="--force writes over it, --output writes elsewhere")
    return there.with_suffix(".yaml") if there.suffix == ".json" else there


def _stem(sidecar: Path) -> str:
    return sidecar.name.removesuffix(sidecar.suffix).removesuffix(".orchestra") or "data"


def _given_specs(given: Sequence[str]) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for text in given:
        name, sign, path = text.partition("=")
        if not sign or not name.strip() or not path.strip():
            raise SettingsError(f"--spec: '{text}' is not NAME=PATH", hint="for example orders=specs/orders.yaml")
        if "." in name or name in found:
            fact = "occurs twice" if name in found else "has a dot in it"
            raise SettingsError(f"--spec: '{name}' {fact}", hint="give each service a name of its own, without dots")
        if not Path(path).is_file():
            raise SettingsError(f"--spec: no file '{path}'", hint="give the path of an OpenAPI document")
        found[name.strip()] = Path(path.strip())
    return found


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise SettingsError(f"'{path}' cannot be written: {error.strerror or error}", hint="choose another") from None


def _printed(scaffold: Scaffold, data_file: str) -> str:
    """Give the sidecar, and the data file behind it as a comment."""
    if scaffold.data is None:
        return scaffold.sidecar
    commented = "".join(f"# {line}".rstrip() + "\n" for line in scaffold.data.splitlines())
    return f"{scaffold.sidecar}\n# {data_file}:\n{commented}"


def _told(file: Path, scaffold: Scaffold, written: Sequence[Path]) -> Iterator[str]:
    yield from (f"wrote {path}" for path in written)
    yield ""
    for service, path in scaffold.specs.items():
        yield f"  {service:<11}{path}"
    if not scaffold.specs:
        yield "  no specification found; --spec NAME=PATH gives one"
    rules = Counter(element.rule for element in scaffold.elements if element.rule is not None)
    suggested = [element for element in scaffold.elements if element.suggestions]
    silent = sum(element.endpoint is None and not element.suggestions for element in scaffold.elements)
    by_rule = f" ({', '.join(f'{count} by {rule}' for rule, count in rules.items())})" if rules else ""
    yield f"  {'bound':<11}{sum(rules.values())}{by_rule}"
    yield f"  {'suggested':<11}{len(suggested)}, as comments"
    yield from (_suggestion_line(element) for element in suggested)
    yield f"  {'nothing':<11}{silent}"
    yield from _problem_lines(scaffold.problems)
    yield ""
    yield f"next: edit {written[0].name}, then 'orchestra verify {file}'"


def _problem_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Say what is doubtful about the model and the specifications: who binds to them has to know."""
    told = [problem for problem in problems if problem.severity is not Severity.INFO]
    if told:
        yield ""
    yield from (f"{problem.label}: {problem}" for problem in told[:_MOST_PROBLEMS])
    if len(told) > _MOST_PROBLEMS:
        yield f"and {len(told) - _MOST_PROBLEMS} more; --format json has them all"


def _suggestion_line(element: ScaffoldedElement) -> str:
    best = element.suggestions[0]
    return f"    {element.name or element.element}: {best.endpoint} ({best.score:.2f})"


def _facts(scaffold: Scaffold, written: Sequence[Path], *, with_text: bool = False) -> JsonObject:
    facts: dict[str, JsonValue] = {
        "written": [str(path) for path in written],
        "specs": dict(scaffold.specs),
        "elements": [_element_json(element) for element in scaffold.elements],
        "problems": problems_json(scaffold.problems),
    }
    return {**facts, "sidecar": scaffold.sidecar, "data": scaffold.data} if with_text else facts


def _element_json(element: ScaffoldedElement) -> JsonValue:
    return {
        "process": element.process,
        "element": element.element,
        "name": element.name,
        "endpoint": element.endpoint,
        "rule": element.rule,
        "suggestions": [{"endpoint": each.endpoint, "score": each.score} for each in element.suggestions],
    }
