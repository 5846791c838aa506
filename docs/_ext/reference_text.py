# ruff: noqa: INP001  a folder on sphinx's path, no package
"""The generated parts of the reference, as Markdown. Pure: from the code to text."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from functools import partial
from typing import Any

from pytest_orchestra import errors as errors_module
from pytest_orchestra import hookspecs, plugin
from pytest_orchestra.cli import build_parser
from pytest_orchestra.data.filters import FILTERS
from pytest_orchestra.data.methods import METHODS
from pytest_orchestra.data.predicates import TESTS
from pytest_orchestra.engine import events as events_module
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model import run as run_module
from pytest_orchestra.model.definition import Bindings, StepLibrary
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.scenario import MissedGoal
from pytest_orchestra.readers.data_files import data_file_adapter
from pytest_orchestra.readers.process_file import PROCESS_SUFFIXES
from pytest_orchestra.settings import Settings
from pytest_orchestra.store.queries import sql_folder

__all__ = [
    "commands",
    "data_files",
    "environments",
    "errors",
    "events",
    "fixtures",
    "hooks",
    "language",
    "migrations",
    "settings",
    "sidecar",
    "states",
    "values",
]

Schema = Mapping[str, Any]

_WIDTH = 90
_SHORT = 45
_JSON_NAMES = (
    (r"\btuple\[(\w+), \.\.\.\]", r"list of \1"),
    (r"\bdatetime\b", "moment"),
    (r"\bstr\b", "string"),
    (r"\bint\b", "integer"),
    (r"\bfloat\b", "number"),
    (r"\bJsonObject\b", "object"),
    (r"\bJsonValue\b", "any value"),
    (r" \| None\b", " or null"),
)


# -- options and commands -------------------------------------------------------------------------------------------


def settings() -> str:
    """Give every option: on the command line, in pytest's configuration, in ``pyproject.toml``."""
    suffixes = ", ".join(f"`*{suffix}`" for suffix in PROCESS_SUFFIXES)
    rows = [("`--orchestra`", "`orchestra`", f"collect and run process models: {suffixes}")]
    for row in fields(Settings):
        choices = row.metadata["choices"]
        value = "|".join(choices) if choices else row.metadata["metavar"]
        default = f" (default: `{row.default}`)" if row.default != "" else ""
        option = f"`--orchestra-{row.name.replace('_', '-')}={value}`"
        rows.append((option, f"`orchestra_{row.name}`", row.metadata["help"] + default))
    return _table(("command line", "pytest's configuration", "meaning"), rows)


def commands() -> str:
    """Give the help of the command and of each of its commands."""
    parser = build_parser()
    return "\n\n".join(_command(each) for each in (parser, *_subparsers(parser)))


def _subparsers(parser: argparse.ArgumentParser) -> Iterable[argparse.ArgumentParser]:
    groups = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
    return [each for group in groups for each in group.choices.values()]


def _command(parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = partial(argparse.HelpFormatter, width=_WIDTH)
    parser.color = False  # type: ignore[attr-defined]  # since Python 3.14 help is coloured otherwise
    return f"## {parser.prog}\n\n```text\n{parser.format_help().rstrip()}\n```"


# -- files that users write -----------------------------------------------------------------------------------------


def sidecar() -> str:
    """Give every field of a sidecar."""
    library = StepLibrary.model_json_schema()
    known = library["$defs"].keys()
    return (
        f"{_model_reference(Bindings.model_json_schema(), 'Bindings')}\n\n{_model('StepLibrary', library, (), known)}"
    )


def environments() -> str:
    """Give every field of an environment."""
    return _model_reference(Environment.model_json_schema(), "Environment", left_out=("name",))


def data_files() -> str:
    """Give every field of a data set."""
    schema: Any = data_file_adapter().json_schema()
    definitions = schema["$defs"]
    return _model_reference({**definitions["DataSetDefinition"], "$defs": definitions}, "DataSetDefinition")


def _model_reference(schema: Schema, title: str, left_out: Sequence[str] = ()) -> str:
    definitions: Mapping[str, Schema] = schema.get("$defs", {})
    models = [(title, schema), *((name, found) for name, found in definitions.items() if name != title)]
    known = {name for name, model in definitions.items() if "enum" in model or "properties" in _long_form(model)}
    parts = [
        _model(name, _long_form(model), left_out, known) for name, model in models if "properties" in _long_form(model)
    ]
    parts += [_enumeration(name, model) for name, model in definitions.items() if "enum" in model]
    return "\n\n".join(parts)


def _long_form(schema: Schema) -> Schema:
    """Give the schema of the fields where a mere text may stand for them."""
    found = (each for each in schema.get("anyOf", ()) if "properties" in each)
    return next(found, schema)


def _model(name: str, schema: Schema, left_out: Sequence[str], known: Collection[str]) -> str:
    required = schema.get("required", ())
    rows = [
        (f"`{field}`", _type(shape, known), _default(field, shape, required), _prose(shape.get("description", "")))
        for field, shape in schema["properties"].items()
        if field not in left_out
    ]
    table = _table(("field", "type", "default", "meaning"), rows)
    return f"(model-{name.lower()})=\n## {name}\n\n{_prose(schema.get('description', ''))}\n\n{table}"


def _enumeration(name: str, schema: Schema) -> str:
    values = ", ".join(f"`{value}`" for value in schema["enum"])
    return f"(model-{name.lower()})=\n## {name}\n\n{_prose(schema.get('description', ''))}\n\nOne of {values}."


def _type(schema: Schema, known: Collection[str]) -> str:
    """Say in words what a schema allows; ``known`` are the models that the page describes."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#model-{name.lower()})" if name in known else "any value"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each, known) for each in schema["anyOf"] if each != {"type": "null"}))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], known)}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
        return f"object of {_type(inner, known)}" if isinstance(inner, Mapping) and inner else "object"
    return str(schema.get("type", "any value"))


def _default(field: str, schema: Schema, required: Sequence[str]) -> str:
    if field in required:
        return "required"
    value = schema.get("default")
    if value in (None, [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


# -- what people program against ------------------------------------------------------------------------------------


def hooks() -> str:
    """Give every hook with its signature."""
    parts = []
    for name, hook in vars(hookspecs).items():
        if name not in hookspecs.__all__:
            continue
        signature = _signature(inspect.signature(hook))
        parts.append(f"### {name}\n\n```python\ndef {name}{signature}: ...\n```\n\n{_prose(inspect.getdoc(hook))}")
    return "\n\n".join(parts)


def _signature(signature: inspect.Signature) -> str:
    text = str(signature).replace("'", "")
    arguments, arrow, result = text.partition(") -> ")
    if len(text) <= _SHORT:
        return text
    lines = [f"    {argument}," for argument in arguments.removeprefix("(").split(", ")]
    return "\n".join(["(", *lines, f"){arrow.removeprefix(')')}{result}"])


def fixtures() -> str:
    """Give every fixture of the plugin."""
    rows = []
    for name, value in vars(plugin).items():
        function = getattr(value, "__wrapped__", None) or getattr(value, "_fixture_function", None)
        if not name.startswith("orchestra_") or function is None:
            continue
        scope = value._fixture_function_marker.scope  # noqa: SLF001  no public way to ask a fixture
        rows.append((f"`{name}`", scope, _prose(inspect.getdoc(function))))
    return _table(("fixture", "scope", "meaning"), rows)


def errors() -> str:
    """Give the tree of errors, each with what it means."""

    def branch(kind: type[OrchestraError], depth: int) -> Iterator[str]:
        first = (inspect.getdoc(kind) or "").split("\n\n")[0]
        yield f"{'  ' * depth}- **{kind.__name__}**: {_prose(first)}"
        for child in kind.__subclasses__():
            if child.__module__ == errors_module.__name__:
                yield from branch(child, depth + 1)

    return "\n".join(branch(OrchestraError, 0))


def language() -> str:
    """Give the names of all filters, tests and methods of the expression language."""
    methods: dict[str, list[str]] = {}
    for name, kinds in METHODS.items():
        for kind in kinds:
            methods.setdefault(kind, []).append(name)
    rows = [("filters, after `|`", _names(FILTERS)), ("tests, after `is`", _names(TESTS))]
    rows += [(f"methods of {kind}s", _names(names)) for kind, names in sorted(methods.items())]
    return _table(("kind", "names"), rows)


# -- runs, events and the store -------------------------------------------------------------------------------------


def events() -> str:
    """Give every event with its fields."""
    names = [name for name in vars(events_module) if name in events_module.__all__ and name != "Event"]
    return "\n\n".join(_value(getattr(events_module, name)) for name in names)


def values() -> str:
    """Give every value that events carry, with its fields."""
    return "\n\n".join(_value(kind) for kind in (*_kinds_of_runs(), MissedGoal) if not issubclass(kind, Enum))


def _kinds_of_runs() -> list[type[Any]]:
    return [kind for name, kind in vars(run_module).items() if name in run_module.__all__]


def states() -> str:
    """Give every state and kind of violation."""
    rows = [
        (f"`{kind.__name__}`", _prose(inspect.getdoc(kind)), ", ".join(f"`{value}`" for value in kind))
        for kind in _kinds_of_runs()
        if issubclass(kind, Enum)
    ]
    return _table(("name", "meaning", "values"), rows)


def migrations() -> str:
    """Give the schema of the store, migration by migration, as it is applied."""
    files = sorted((each for each in sql_folder("migrations").iterdir()), key=lambda each: each.name)
    return "\n\n".join(
        f"## {each.name}\n\n```postgresql\n{each.read_text(encoding='utf-8').rstrip()}\n```"
        for each in files
        if each.name.endswith(".sql")
    )


def _value(kind: type[Any]) -> str:
    rows = [(f"`{field.name}`", _json_type(str(field.type))) for field in fields(kind)]
    name = kind.__name__
    return f"(value-{name.lower()})=\n### {name}\n\n{_prose(inspect.getdoc(kind))}\n\n{_table(('field', 'type'), rows)}"


def _json_type(text: str) -> str:
    for pattern, name in _JSON_NAMES:
        text = re.sub(pattern, name, text)
    linked = {kind.__name__ for kind in _kinds_of_runs() if not issubclass(kind, Enum)}
    return re.sub(r"\w+", lambda word: f"[{word[0]}](#value-{word[0].lower()})" if word[0] in linked else word[0], text)


# -- Markdown -------------------------------------------------------------------------------------------------------


def _names(known: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(known))


def _prose(text: str | None) -> str:
    """Give a docstring's text as Markdown: literals in single backticks, links of reStructuredText as mere names."""
    paragraphs = (text or "").strip().split("\n\n")
    plain = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    plain = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", plain)
    return plain.replace("``", "`")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(titles), line("---" for _ in titles), *map(line, rows)])
