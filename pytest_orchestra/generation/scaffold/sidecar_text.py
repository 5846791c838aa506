"""A sketch as the text of a sidecar, and its data as the text of a data file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from pytest_orchestra.generation.scaffold.sketch import ElementSketch, ProcessSketch, StepSketch
from pytest_orchestra.generation.scaffold.stubs import find_stubs, stub_text
from pytest_orchestra.generation.scaffold.yaml_text import as_comment, block, key_text, scalar
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.process import Process
from pytest_orchestra.problem import Place

__all__ = ["data_text", "sidecar_text"]

_LONGEST: Final = 160
_LONGEST_NAME: Final = 200


def sidecar_text(model: str, specs: Mapping[str, str], sketches: Sequence[ProcessSketch], data: str | None) -> str:
    """Give the sidecar of the model's file; ``specs`` are the paths of specifications, ``data`` that of the data."""
    lines = [
        f"# What the elements of {_comment(model)} stand for in tests. Written by 'orchestra init'; now it is yours."
    ]
    lines += ["", *_specs(specs), "", "coverage: [edge]"]
    lines += ["", *_bindings(sketches)]
    lines += _decisions(model, sketches)
    if data is not None:
        lines += ["", f"# what the steps read as data.* is in {_comment(data)}"]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def data_text(model: str, sets: Mapping[str, Mapping[str, JsonValue]], possible: Mapping[str, JsonValue]) -> str:
    """Give a data file with these data sets; ``possible`` are fields of steps that are only suggested."""
    lines = [f"# Data for the scenarios of {_comment(model)}. The values are examples: put your own."]
    lines.append("dataSets:")
    for name, values in sets.items():
        lines.append(f"  - name: {scalar(name)}")
        lines.append("    data:" if values else "    data: {}")
        lines += block(dict(values), 6) if values else ()
    if possible:
        instead = "" if all(sets.values()) else ", in place of {}"
        lines.append(f"      # for the steps that are only suggested{instead}")
        lines += as_comment(list(block(dict(possible), 6)), 6)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _specs(specs: Mapping[str, str]) -> Iterator[str]:
    if specs:
        yield "specs:"
        yield from block(dict(specs), 2)
    else:
        yield "# specs:  # service to the path of its OpenAPI document"
        yield "#   orders: specs/orders.openapi.yaml"


def _bindings(sketches: Sequence[ProcessSketch]) -> Iterator[str]:
    keys = _Keys([sketch.process for sketch in sketches])
    written: list[str] = []
    for sketch in sketches:
        own: list[str] = []
        for element in sketch.elements:
            key = keys.of(sketch.process, element)
            if key is not None:
                own += _element(key, element)
        if own and len(sketches) > 1:
            written += [f"  # {_comment(sketch.process.label)}"]
        written += own
    has_entries = any(line.strip() and not line.lstrip().startswith("#") for line in written)
    if has_entries:
        yield "bindings:"
    else:
        yield "bindings: {}  # what is put to use below stands in place of {}" if written else "bindings: {}"
    yield from written


class _Keys:
    """What elements are called in a sidecar: by their names where these are unique, else by their ids."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._names = Counter(node.name for process in processes for node in process.nodes)
        self._ids = Counter(node.id for process in processes for node in process.nodes)
        self._used: set[str] = set()

    def of(self, process: Process, element: ElementSketch) -> str | None:
        """Give the key of an element, None if it has been written for another process already."""
        node = process.node[element.node.id]
        is_plain = bool(node.name) and len(node.name) <= _LONGEST_NAME
        name = node.name if is_plain and self._names[node.name] == 1 and node.name not in self._ids else node.id
        if name in self._used:
            return None
        self._used.add(name)
        return name


def _element(key: str, element: ElementSketch) -> Iterator[str]:
    """Give the entry of an element: its steps; or an empty list, if something must be said; or comments only."""
    header = key_text(key).replace("\n", "\n  ")
    if element.steps:
        yield f"  # {_comment(element.reason)}"
        yield f"  {header}"
        for step in element.steps:
            yield from _step(step)
        yield from _effect(element)
        return
    comments = [*_suggestion(element), *_effect(element)]
    if element.must_be_bound:
        if element.reason:
            yield f"  # {_comment(element.reason)}"
        elif not element.suggested:
            yield "  # no operation found"
        yield f"  {header} []"
        yield from comments
    elif comments:
        yield from as_comment([f"  {header}"], 2)
        yield "    # an event, which need not be bound"
        yield from comments


def _step(step: StepSketch) -> Iterator[str]:
    yield from (f"    # {_comment(note)}" for note in step.notes)
    yield from block([dict(step.fields)], 4)


def _suggestion(element: ElementSketch) -> Iterator[str]:
    """Give the best suggestion as a step in a comment, with the others by name."""
    if element.suggested is None:
        return
    best, *others = element.suggestions
    also = "; or ".join(f"{each.endpoint} ({each.score:.2f})" for each in others)
    instead = "in place of []" if element.must_be_bound else "as its step"
    yield f"    # suggested {instead}, {best.score:.2f} of 1: {_comment(best.endpoint)}{'; or ' + also if also else ''}"
    yield from (f"    # {_comment(note)}" for note in element.suggested.notes)
    yield from as_comment(list(block([dict(element.suggested.fields)], 4)), 4)


def _effect(element: ElementSketch) -> Iterator[str]:
    """Give the assertion for what should have happened there, in a comment."""
    if element.effect is None:
        return
    notes = f": {'; '.join(element.effect.notes)}" if element.effect.notes else ""
    yield f"    # {_comment(f'to wait for the effect{notes}')}"
    yield from as_comment(list(block([dict(element.effect.fields)], 4)), 4)


def _decisions(model: str, sketches: Iterable[ProcessSketch]) -> Iterator[str]:
    """Give, in comments, what ``verify`` asks for too: which data leads where, for branches that have only names."""
    stubs = [stub for each in sketches for stub in find_stubs(each.process, None, each.process.place or Place(model))]
    if stubs:
        yield ""
        yield "# which data leads where; the model has only names for these branches"
        yield from as_comment(stub_text(stubs).splitlines())


def _comment(text: str) -> str:
    """Give a text as it can stand in a comment: in one line, not too long, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split(" ")).strip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
