"""Fields of messages that an assertion expects, though none of the schemas that it names has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from pytest_orchestra.model.definition import StepDefinition, StepKind
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.reply_fields import expressions_of, paths_read
from pytest_orchestra.protocols.schema_fields import SchemaFields
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["find_message_field_faults"]

Path = tuple[str | int, ...]

_FIELDS_SHOWN: Final = 10


def find_message_field_faults(
    step: StepDefinition, schemas: Sequence[tuple[ProtocolSpec, str]]
) -> Iterator[tuple[str, str]]:
    """Say which fields of a message's value no schema of the step has, each once, with a hint."""
    if step.kind is not StepKind.ASSERTION or not schemas:
        return
    told: set[str] = set()
    for before, path in (*_template_paths(step.value_template), *_read_paths(step)):
        found = [SchemaFields(spec.documents).find_missing([uri], path) for spec, uri in schemas]
        missing = found[0]
        if missing is None or None in found:
            continue
        shown = before + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[: missing.depth + 1]
        )
        if shown not in told:
            told.add(shown)
            some = ", ".join(missing.known[:_FIELDS_SHOWN]) or "none"
            hint = suggest(str(path[missing.depth]), missing.known, f"its fields: {some}")
            yield f"'{shown}' is no field of '{step.schema_refs[0]}'", hint


def _read_paths(step: StepDefinition) -> Iterable[tuple[str, Path]]:
    """Give the paths into values of messages that conditions, rules and exports read, and what stands before them."""
    for text in expressions_of(step):
        for path in paths_read(text):
            rest = path[1:] if path[0] == "response" else path
            match rest:
                case ("message", "value", *inner) if inner:
                    yield "message.value", tuple(inner)
                case ("messages", int(at), "value", *inner) if inner:
                    yield f"messages[{at}].value", tuple(inner)


def _template_paths(template: JsonValue, path: Path = ()) -> Iterator[tuple[str, Path]]:
    if isinstance(template, Mapping):
        for name, part in template.items():
            if "{{" not in name:
                yield "valueTemplate", (*path, name)
                yield from _template_paths(part, (*path, name))
