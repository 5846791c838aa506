"""What pydantic finds wrong, told as problems with places, in words of the file and not of the model."""

from __future__ import annotations

import difflib
import json
import re
import types
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pytest_orchestra.model.definition import Alias, ScenarioKey, StepDefinition
from pytest_orchestra.model.definition_base import RefusedError
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.field_examples import example_of, file_example
from pytest_orchestra.readers.source_file import KeyPath, Source

__all__ = ["find_field", "nearest", "reserved_fields", "validation_problems"]

_NESTED: Final[dict[type[BaseModel], tuple[str, ...]]] = {StepDefinition: ("action", "expectations", "meta")}
"""Mappings in which a model's fields may stand as well; they may stand in each other."""

_SIMPLE: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "a number above {}"),
    "greater_than_equal": ("ge", "a number of at least {}"),
    "less_than": ("lt", "a number below {}"),
    "less_than_equal": ("le", "a number of at most {}"),
    "string_too_long": ("max_length", "a text of at most {} characters"),
    "string_too_short": ("min_length", "a text of at least {} characters"),
}
_PATTERNS: Final = {
    get_args(Alias)[1].pattern: "a name of letters, digits and '_'",
    get_args(ScenarioKey)[1].pattern: "a name without '/', ':', '[' and ']'",
}
_CHOICES: Final = frozenset({"enum", "literal_error", "string_pattern_mismatch"})
_CONFIDENTIAL: Final = re.compile(
    r"(?<!endpoint)(?<!schema)refs?$|passw|secret|token|credential|authori|cookie|api.?key", re.IGNORECASE
)
_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|min|h)")
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000}
_EXPRESSIONS: Final = frozenset({"until", "failwhen", "rule", "endpointref", "businessrules", "sql"})
"""Fields in which a number or a truth value is no better as a text."""
_USER_INFO: Final = re.compile(r"//[^/@\s]*@")
_SHOWN_LENGTH: Final = 60


def validation_problems(error: ValidationError, source: Source, kind: Any, at: KeyPath = ()) -> tuple[Problem, ...]:
    """Tell each finding of ``error`` as a problem with its place, sorted by place, none twice.

    ``kind`` is what was validated (a model, or a generic such as ``dict[str, Model]``), ``at`` where its input stands
    in the file. What several members of a union refuse is one problem.
    """
    problems: set[Problem] = set()
    refusals: dict[KeyPath, list[_Finding]] = defaultdict(list)
    entered: set[KeyPath] = set()
    for detail in error.errors(include_url=False):
        walk = _Walk(source, kind, at)
        for component in detail["loc"]:
            walk.step(component)
        finding = _Finding(detail["type"], detail.get("ctx", {}), walk)
        if walk.unions and walk.unions[-1] == walk.path:
            refusals[walk.path].append(finding)
        else:
            problems.add(_problem(source, [finding]))
        entered.update(union for union in walk.unions if len(union) < len(walk.path))
    problems.update(_problem(source, group) for path, group in refusals.items() if path not in entered)
    return tuple(sorted(problems, key=lambda problem: (problem.place, problem.message)))


def find_field(value: Any, model: type[BaseModel], name: str) -> KeyPath | None:
    """Give the way from a model's input to the field ``name``, as alias or name, also in nested groups."""
    names = _spellings(model, name)
    return _find(value, names, _NESTED.get(model, ()))


def reserved_fields(source: Source, model: type[BaseModel], paths: Iterable[KeyPath]) -> tuple[Problem, ...]:
    """Tell where a file writes a field of a model that only readers set, ``place`` for one."""
    problems = []
    for path in paths:
        for name in _set_by_readers(model):
            found = find_field(_value_at(source.value, path), model, name)
            if found is not None:
                problems.append(_unknown_field(source, model, (*path, *found)))
    return tuple(problems)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Give the word that was probably meant: near in spelling, or the same but for case, '_' and '-'."""
    known = {_folded(known): known for known in words}
    found = difflib.get_close_matches(_folded(word), known, n=1, cutoff=0.6)
    return known[found[0]] if found else None


@dataclass(frozen=True)
class _Finding:
    type: str
    context: Mapping[str, Any]
    walk: _Walk


class _Walk:
    """Follows a location of pydantic through the models and through the file at once.

    The two differ: short forms are texts where the model has fields, a single step stands for a list, fields stand in
    nested groups, and a union adds the name of its member to the location.
    """

    def __init__(self, source: Source, kind: Any, at: KeyPath) -> None:
        self.value: Any = _value_at(source.value, at)
        self.path: KeyPath = at
        self.kind = _bare(kind)
        self.model: type[BaseModel] | None = None
        """The innermost model."""
        self.model_path: KeyPath = at
        self.field: str | None = None
        """What the file calls the innermost thing that has a name."""
        self.root = kind
        self.owner: tuple[type[BaseModel], str] | None = None
        """The innermost field of a model, with the model."""
        self.unions: list[KeyPath] = []
        """Where the way went through a union."""
        self.of_key = False
        self._note_model()

    def step(self, component: int | str) -> None:
        if component == "[key]":
            self.of_key = True
            return
        members = _members(self.kind)
        if len(members) > 1:
            self.unions.append(self.path)
            self.kind = _bare(_chosen(members, str(component)))
        elif self.model is self.kind and self.model is not None:
            self._into_field(str(component))
        else:
            self._into_part(component)
        self._note_model()

    def _note_model(self) -> None:
        if isinstance(self.kind, type) and issubclass(self.kind, BaseModel):
            self.model = self.kind
            self.model_path = self.path

    def _into_field(self, name: str) -> None:
        assert self.model is not None
        self.field = name
        self.owner = (self.model, name)
        found = find_field(self.value, self.model, name)
        if found is not None:
            self.field = str(found[-1])
            self.path += found
            self.value = _value_at(self.value, found)
        field = next((f for n, f in self.model.model_fields.items() if name in {n, f.alias}), None)
        self.kind = _bare(field.annotation) if field else None

    def _into_part(self, component: int | str) -> None:
        arguments = get_args(self.kind)
        self.kind = _bare(arguments[-1]) if arguments else None
        if isinstance(component, str):
            self.field = component
        parts = self.value
        in_mapping = isinstance(parts, dict) and component in parts
        in_list = isinstance(parts, list) and isinstance(component, int) and component < len(parts)
        if in_mapping or in_list:
            self.path += (component,)
            self.value = parts[component]


def _problem(source: Source, findings: Sequence[_Finding]) -> Problem:
    """Tell what is wrong at one place; several findings are the refusals of a union's members."""
    finding = findings[0]
    walk = finding.walk
    place = source.place(walk.path, of_key=walk.of_key)
    if finding.type == "extra_forbidden" or walk.field in _set_by_readers(walk.model):
        return _unknown_field(source, walk.model, walk.path)
    if finding.type == "missing":
        return Problem(Severity.ERROR, source.place(walk.model_path), f"missing field '{walk.field}'", _example(walk))
    if finding.type == "value_error":
        said = str(finding.context.get("error"))
        error = finding.context.get("error")
        if isinstance(error, RefusedError):
            return Problem(Severity.ERROR, place, said, error.hint)
        hint = None if isinstance(walk.value, dict) or walk.owner is None else _example(walk)
        return Problem(Severity.ERROR, place, f"{said}{_instead(walk, said)}", hint)
    wanted = [phrase for each in findings if (phrase := _wanted(each)) is not None]
    if not wanted:
        return Problem(Severity.ERROR, place, f"{_subject(walk)} cannot be read: {finding.type.replace('_', ' ')}")
    phrase = " or ".join(dict.fromkeys(wanted))
    message = f"{_subject(walk)} takes {phrase}, not {_found(walk, in_words=finding.type not in _CHOICES)}"
    return Problem(Severity.ERROR, place, message, _hint(finding, wanted))


def _unknown_field(source: Source, model: type[BaseModel] | None, path: KeyPath) -> Problem:
    known = _known_fields(model)
    meant = nearest(str(path[-1]), known)
    hint = f"did you mean '{meant}'?" if meant else f"known here: {', '.join(known)}"
    return Problem(Severity.ERROR, source.place(path, of_key=True), f"unknown field '{path[-1]}'", hint)


def _set_by_readers(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [name for name, field in model.model_fields.items() if field.exclude]


def _known_fields(model: type[BaseModel] | None) -> list[str]:
    if model is None:
        return []
    names = [field.alias or name for name, field in model.model_fields.items() if not field.exclude]
    return [*names, *_NESTED.get(model, ())]


def _subject(walk: _Walk) -> str:
    if walk.of_key:
        return f"'{walk.path[-2]}'" if len(walk.path) > 1 else "the file"
    return f"'{walk.field}'" if walk.field is not None else "the file"


def _wanted(finding: _Finding) -> str | None:
    """Say what would have been right."""
    context = finding.context
    if finding.type == "model_type" and getattr(finding.walk.kind, "short_form", None):
        return "a text or a mapping"
    if finding.type in _SIMPLE:
        return _SIMPLE[finding.type]
    if finding.type in _BOUNDS:
        key, phrase = _BOUNDS[finding.type]
        return phrase.format(context.get(key))
    if finding.type in {"enum", "literal_error"}:
        return str(context.get("expected"))
    if finding.type == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        return _PATTERNS.get(pattern, f"a text of the form '{pattern}'")
    return None


def _found(walk: _Walk, *, in_words: bool) -> str:
    """Say what is there; what may be a secret, only by its kind."""
    value = walk.path[-1] if walk.of_key else walk.value
    secret = _is_confidential(walk)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number" if secret else f"the number {json.dumps(value)}"
    if isinstance(value, str):
        if secret:
            return "this text"
        return f"the text '{_shown(value)}'" if in_words else f"'{_shown(value)}'"
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else "a mapping"


def _shown(text: str) -> str:
    text = _USER_INFO.sub("//***@", text)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."


def _instead(walk: _Walk, said: str) -> str:
    """Continue the words of a validator with what is there, if they do not say it."""
    if not isinstance(walk.value, str) or _is_confidential(walk) or f"'{walk.value}'" in said:
        return ""
    return f", not '{_shown(walk.value)}'"


def _hint(finding: _Finding, wanted: Sequence[str]) -> str | None:
    """Give one action that mends it, where one can be named."""
    walk = finding.walk
    value = walk.path[-1] if walk.of_key else walk.value
    if finding.type in {"enum", "literal_error"} and isinstance(value, str):
        meant = nearest(value, re.findall(r"'([^']*)'", str(finding.context.get("expected"))))
        return f"did you mean '{meant}'?" if meant else None
    if finding.type == "string_pattern_mismatch" and finding.context.get("pattern") == get_args(Alias)[1].pattern:
        name = re.sub(r"\W", "_", str(value), flags=re.ASCII)
        return f"for example '{name if not name[:1].isdigit() else '_' + name}'" if name else None
    if finding.type in {"enum", "literal_error"} and not walk.of_key and not isinstance(value, (list, dict)):
        return None if value is not None else "give it a value, or remove it"
    if value is None:
        return "give it a value, or remove it"
    is_plain = isinstance(value, (bool, int, float))
    is_expression = walk.owner is not None and _folded(walk.owner[1]) in _EXPRESSIONS
    if is_plain and any("text" in phrase for phrase in wanted) and not is_expression:
        return None if _is_confidential(walk) else f'put it in quotes: "{json.dumps(value)}"'
    if isinstance(value, str) and not _is_confidential(walk):
        if wanted == ["a list"] and _takes_text(_bare((get_args(walk.kind) or (None,))[0])):
            return f"write a list: [{json.dumps(value, ensure_ascii=False)}]"
        if (milliseconds := _milliseconds(walk, value)) is not None:
            return f"it is in milliseconds: {walk.field}: {milliseconds}"
    return _example(walk)


def _milliseconds(walk: _Walk, text: str) -> int | None:
    """Give what somebody meant who wrote a unit behind a number."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or walk.owner is None or not walk.owner[1].lower().endswith("ms"):
        return None
    return round(float(found["number"]) * _UNITS_MS[found["unit"]])


def _example(walk: _Walk) -> str | None:
    """Show the field as it could be; the beginning of a file where none of its fields is meant."""
    example = file_example(walk.root) if walk.owner is None else example_of(*walk.owner)
    return None if example is None else f"for example {example}"


def _takes_text(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, str) or bool(getattr(kind, "short_form", None)))


def _is_confidential(walk: _Walk) -> bool:
    return any(isinstance(part, str) and _CONFIDENTIAL.search(part) for part in walk.path)


def _spellings(model: type[BaseModel], name: str) -> tuple[str, ...]:
    for field_name, field in model.model_fields.items():
        if name in {field_name, field.alias}:
            return tuple(dict.fromkeys((field.alias or field_name, field_name)))
    return (name,)


def _find(value: Any, names: Sequence[str], groups: Sequence[str]) -> KeyPath | None:
    if not isinstance(value, dict):
        return None
    for name in names:
        if name in value:
            return (name,)
    for group in groups:
        found = _find(value.get(group), names, groups)
        if found is not None:
            return (group, *found)
    return None


def _value_at(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value[key]
    return value


def _bare(kind: Any) -> Any:
    """Take ``Annotated`` and ``| None`` off a type."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in {Union, types.UnionType}:
        members = [member for member in get_args(kind) if member is not type(None)]
        if len(members) == 1:
            return _bare(members[0])
    return kind


def _members(kind: Any) -> list[Any]:
    if get_origin(kind) not in {Union, types.UnionType}:
        return []
    return [member for member in get_args(kind) if member is not type(None)]


def _chosen(members: Sequence[Any], tag: str) -> Any:
    """Find the member of a union that pydantic names ``tag``."""
    for member in members:
        origin = get_origin(member) or member
        if tag == getattr(origin, "__name__", "") or tag.startswith(f"{getattr(origin, '__name__', '?')}["):
            return member
    return None


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "").replace(" ", "")
