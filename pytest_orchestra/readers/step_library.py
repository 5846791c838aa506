"""Files of custom steps and assertions, and the places of those that a sidecar defines itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.definition import CustomStep, StepDefinition, StepLibrary
from pytest_orchestra.problem import Place
from pytest_orchestra.readers.source_file import KeyPath, Source
from pytest_orchestra.readers.validation import find_field, validation_problems
from pytest_orchestra.readers.yaml_source import read_source

__all__ = ["place_custom_steps", "read_step_libraries"]


def read_step_libraries(files: Mapping[Path, Place | None]) -> list[StepLibrary]:
    """Read files of custom steps and all that they include, each once; who includes a file has the place beside it.

    Raises ``DefinitionError`` and ``UnreadableFileError``.
    """
    found: dict[Path, StepLibrary] = {}
    waiting = [(path.resolve(), place) for path, place in files.items()]
    while waiting:
        path, place = waiting.pop(0)
        if path in found:
            continue
        if not path.is_file():
            fact = f"the file of custom steps '{path.name}' is missing"
            raise DefinitionError(
                fact, place=place, hint=f"put it at '{path.parent.name}/{path.name}', or mend 'include'"
            )
        library = found[path] = _read(_from_here(path))
        waiting += [((path.parent / more).resolve(), library.place) for more in library.include]
    return list(found.values())


def place_custom_steps(steps: Mapping[str, CustomStep], source: Source) -> dict[str, CustomStep]:
    """Give custom steps whose steps have their places in the file."""
    found = find_field(source.value, StepLibrary, "custom_steps") if steps else None
    if found is None:
        return dict(steps)
    placed = {}
    for name, custom in steps.items():
        paths = _step_paths(source, (*found, name, "steps"))
        own = [_placed(step, source.place(path)) for step, path in zip(custom.steps, paths, strict=True)]
        placed[name] = custom.model_copy(update={"steps": own})
    return placed


def _from_here(path: Path) -> Path:
    """Give an absolute path as messages show it: from where the user is, unless it is elsewhere."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _read(path: Path) -> StepLibrary:
    source = read_source(path)
    if source.problems:
        raise DefinitionError.from_problems(tuple(source.problems))
    try:
        library = StepLibrary.model_validate(source.value if source.value is not None else {})
    except ValidationError as error:
        raise DefinitionError.from_problems(validation_problems(error, source, StepLibrary)) from None
    custom = place_custom_steps(library.custom_steps, source)
    return library.model_copy(update={"place": source.place(), "custom_steps": custom})


def _step_paths(source: Source, path: KeyPath) -> Iterator[KeyPath]:
    value = source.value
    for key in path:
        value = value[key]
    if isinstance(value, dict):
        yield path
    else:
        yield from ((*path, index) for index in range(len(value)))


def _placed(step: StepDefinition, place: Place) -> StepDefinition:
    inner = [each.model_copy(update={"place": place}) for each in step.clean_up]
    return step.model_copy(update={"place": place, "clean_up": inner})
