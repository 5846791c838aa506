"""The examples that hints give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from pytest_orchestra.model.definition import Bindings, StepLibrary
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.readers.data_files import DataFile
from pytest_orchestra.readers.field_examples import WRITTEN_EXAMPLES, example_of, file_example
from pytest_orchestra.readers.yaml_source import parse_yaml


def _models(kind: Any, known: dict[str, type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind.__name__ in known:
            return
        known[kind.__name__] = kind
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation, known)
    for part in get_args(kind):
        yield from _models(part, known)


MODELS: dict[str, type[BaseModel]] = {}
FIELDS = [
    (model, name)
    for root in (Bindings, StepLibrary, DataFile, Environment)
    for model in list(_models(root, MODELS))
    for name, field in model.model_fields.items()
    if not field.exclude
]


def _read(text: str) -> Any:
    return parse_yaml(text, "example.yaml").value


def _refused(model: type[BaseModel], value: Any) -> list[tuple[int | str, ...]]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        return [detail["loc"] for detail in error.errors()]
    return []


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda each: getattr(each, "__name__", each))
def test_example_of_a_field_is_one_that_the_field_takes(model: type[BaseModel], name: str) -> None:
    """Who copies the example of a hint has something that is read without an error."""
    example = _read(example_of(model, name))
    assert list(example) == [model.model_fields[name].alias or name]
    assert [place for place in _refused(model, example) if place[:1] == tuple(example)] == [], "others may be missing"


def test_every_written_example_belongs_to_a_field() -> None:
    """No example is left over from a field that was renamed."""
    known = {f"{model.__name__}.{model.model_fields[name].alias or name}" for model, name in FIELDS}
    assert set(WRITTEN_EXAMPLES) <= known


@pytest.mark.parametrize("model", [Bindings, StepLibrary, DataFile])
def test_example_of_a_file_can_be_read(model: type[BaseModel]) -> None:
    """So can the beginning of a file."""
    model.model_validate(_read(file_example(model) or ""))


def test_example_of_an_environments_file_can_be_read() -> None:
    """A mapping of models has the example of its models."""
    kind = dict[str, Environment]
    TypeAdapter(kind).validate_python(_read(file_example(kind) or ""))
    assert file_example(int) is None
