"""YAML and JSON files as plain values, with the place of each of them.

YAML is read by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): of the words, only ``true``,
``false`` and ``null`` mean something else than themselves, so that branches may be called ``yes`` and ``no``; a
date is text. Keys of mappings are always text, as they are written. ``<<`` merges, as in YAML 1.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.readers.json_source import parse_json
from pytest_orchestra.readers.source_file import MAX_DEPTH, Source, Spot, Spots
from pytest_orchestra.readers.source_text import read_text, unreadable

__all__ = ["parse_source", "parse_yaml", "read_source"]

MAX_ALIASED: Final = 1_000_000
"""How many values a file may repeat by aliases; more is an alias bomb."""

_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMERIC: Final = frozenset("+-.0123456789")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASED: Final = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TAG: Final = "tag:yaml.org,2002:"
_CONTAINER_TAGS: Final = {"map": dict, "seq": list}
_TEMPLATE: Final = re.compile(r"\{\{[^}]*\}\}")
_NOT_CLOSED: Final = ("found unexpected end of stream", "did not find expected ',' or")
_UNQUOTED_TEMPLATE: Final = re.compile(r"(?:^|[-:,\[{])\s*(\{\{[^}]*\}\})")


def read_source(path: Path) -> Source:
    """Read a file: JSON if it is named ``.json``, else YAML.

    Raises ``UnreadableFileError``, with file, line and column, if it is missing or malformed.
    """
    return parse_source(read_text(path), str(path))


def parse_source(text: str, file: str) -> Source:
    """Read text as :func:`read_source` does; ``file`` is its name."""
    return parse_json(text, file) if file.lower().endswith(".json") else parse_yaml(text, file)


def parse_yaml(text: str, file: str) -> Source:
    """Read one YAML document.

    Duplicate keys and unknown tags are problems of the result. Raises ``UnreadableFileError`` where the text is
    malformed, nested too deeply or an alias bomb, and for a second document or a key that is no text.
    """
    builder = _Builder(text, file)
    for event in _events(text, file):
        builder.take(event)
    value, spots = builder.root
    return Source(file, value, spots, tuple(builder.problems))


def _events(text: str, file: str) -> Iterator[Any]:
    import yaml  # noqa: PLC0415  only who reads YAML pays for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # built without libyaml, PyYAML has only the latter
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if error.context_mark and (error.problem or "").startswith(_NOT_CLOSED):
            mark = error.context_mark  # where the quote or bracket was opened, not where the file ends
        fact, hint = _explain(error.problem or str(error.context), text, mark)
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise unreadable(place, f"malformed YAML: {fact}", hint) from None
    except yaml.reader.ReaderError as error:
        offset = max(text.find(chr(int(error.character))), 0)
        line = text.count("\n", 0, offset) + 1
        place = Place(file, line, offset - text.rfind("\n", 0, offset))
        raise unreadable(
            place, f"malformed YAML: character '\\x{int(error.character):02x}' is not allowed", "remove it"
        ) from None


def _explain(problem: str, text: str, mark: Any) -> tuple[str, str | None]:
    """Say what the parser says, and what to do about it."""
    lines = text.split("\n")
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if (template := _UNQUOTED_TEMPLATE.search(line)) is not None:
        return problem, f'put the template in quotes: "{template[1]}"'
    if problem == "mapping values are not allowed in this context":
        return problem, "put a text that holds ': ' in quotes, or mend the indentation"
    if problem == "found character that cannot start any token":
        if line[mark.column : mark.column + 1] == "\t":
            return "a tab cannot indent", "indent with spaces"
        return f"a text cannot begin with '{line[mark.column : mark.column + 1]}'", "put the text in quotes"
    if problem == "found unexpected end of stream":
        return "a quote is not closed", "close the quote"
    if problem.startswith(_NOT_CLOSED):
        return "a bracket is not closed", "close the bracket, or put the text in quotes"
    return problem, None


class _ScalarSpots(Spots):
    """The spot of a value without parts."""

    __slots__ = ("_spot",)

    def __init__(self, spot: Spot) -> None:
        self._spot = spot

    @property
    def spot(self) -> Spot:
        return self._spot

    def key_spot(self, key: str) -> Spot | None:  # noqa: ARG002  there are no keys
        return None

    def part(self, key: str | int) -> Spots | None:  # noqa: ARG002  there are no parts
        return None


class _YamlSpots(Spots):
    """The spots of a mapping or list and its parts; a scalar's are kept as a bare :data:`Spot`, there are many."""

    __slots__ = ("_spot", "keys", "parts")

    def __init__(self, spot: Spot) -> None:
        self._spot = spot
        self.keys: dict[str, Spot] = {}
        self.parts: dict[str | int, _YamlSpots | Spot] = {}

    @property
    def spot(self) -> Spot:
        return self._spot

    def key_spot(self, key: str) -> Spot | None:
        return self.keys.get(key)

    def part(self, key: str | int) -> Spots | None:
        part = self.parts.get(key)
        return _ScalarSpots(part) if isinstance(part, tuple) else part

    def moved(self, spot: Spot) -> _YamlSpots:
        """Give the spots of an alias: it stands elsewhere, its parts stand where the anchor is."""
        copy = _YamlSpots(spot)
        copy.keys, copy.parts = self.keys, self.parts
        return copy


class _Extent(NamedTuple):
    """How many values a value is, and how many levels deep, each alias counted in full."""

    size: int
    depth: int


_SCALAR: Final = _Extent(1, 0)


class _Open:
    """A mapping or list whose end has not been met."""

    __slots__ = ("anchor", "depth", "key", "merging", "size", "spots", "to_merge", "value")

    def __init__(self, value: Any, spots: _YamlSpots, anchor: str | None) -> None:
        self.value = value
        self.spots = spots
        self.anchor = anchor
        self.key: str | None = None
        self.merging = False
        self.to_merge: list[tuple[dict[str, Any], _YamlSpots]] = []
        self.size = 1
        self.depth = 1


class _Anchored(NamedTuple):
    """What an anchor names; ``text`` is how a scalar is written."""

    value: Any
    spots: _YamlSpots | Spot
    text: str | None
    extent: _Extent


class _Builder:
    """Makes values of parser events, with a stack of its own: no file can exhaust Python's."""

    def __init__(self, text: str, file: str) -> None:
        import yaml  # noqa: PLC0415  as above

        self._text = text
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._aliased = 0
        self._documents = 0
        self._root: Any = None
        self._root_spots: _YamlSpots | Spot = (1, 1)
        self.problems: list[Problem] = []
        self._actions = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start_mapping,
            yaml.SequenceStartEvent: self._start_sequence,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._start_document,
        }

    @property
    def root(self) -> tuple[Any, Spots]:
        """The document's value; None for an empty file."""
        spots = self._root_spots
        return self._root, _ScalarSpots(spots) if isinstance(spots, tuple) else spots

    def take(self, event: Any) -> None:
        action = self._actions.get(type(event))
        if action is not None:
            action(event)

    def _place(self, event: Any) -> Place:
        return Place(self._file, *_spot(event))

    def _problem(self, event: Any, message: str, hint: str) -> None:
        self.problems.append(Problem(Severity.ERROR, self._place(event), message, hint))

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise unreadable(self._place(event), "a second document begins here", "keep one document in a file")

    def _start_mapping(self, event: Any) -> None:
        self._start(event, {}, "map")

    def _start_sequence(self, event: Any) -> None:
        self._start(event, [], "seq")

    def _start(self, event: Any, value: Any, kind: str) -> None:
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.key is None and isinstance(parent.value, dict):
            raise self._key_is_no_text(event)
        if len(self._open) >= MAX_DEPTH:
            raise self._too_deep(event)
        if event.tag not in {None, "!", _TAG + kind}:
            self._unknown_tag(event)
        self._open.append(_Open(value, _YamlSpots(_spot(event)), event.anchor))
        if event.anchor:
            self._anchors[event.anchor] = None

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        for merged, spots in done.to_merge:
            for key, value in merged.items():
                if key not in done.value:
                    done.value[key] = value
                    done.spots.keys[key] = spots.keys[key]
                    done.spots.parts[key] = spots.parts[key]
        extent = _Extent(done.size, done.depth)
        if done.anchor:
            self._anchors[done.anchor] = _Anchored(done.value, done.spots, None, extent)
        self._add(event, done.value, done.spots, extent)

    def _scalar(self, event: Any) -> None:
        parent = self._open[-1] if self._open else None
        spot = _spot(event)
        if parent is not None and parent.key is None and isinstance(parent.value, dict):
            if event.anchor:
                self._anchors[event.anchor] = _Anchored(event.value, spot, event.value, _SCALAR)
            self._add_key(event, parent, event.value, merging=event.value == "<<" and event.implicit[0])
            return
        value = self._resolved(event)
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, spot, event.value, _SCALAR)
        self._add(event, value, spot, _SCALAR)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name not in self._anchors:
            raise unreadable(self._place(event), f"alias '*{name}' has no anchor '&{name}' before it")
        anchored = self._anchors[name]
        if anchored is None:
            raise unreadable(self._place(event), f"anchor '&{name}' contains itself")
        self._aliased += anchored.extent.size
        if self._aliased > MAX_ALIASED:
            raise unreadable(self._place(event), f"aliases repeat more than {MAX_ALIASED:,} values")
        if len(self._open) + anchored.extent.depth > MAX_DEPTH:
            raise self._too_deep(event)
        parent = self._open[-1]
        if parent.key is None and isinstance(parent.value, dict):
            if anchored.text is None:
                raise self._key_is_no_text(event)
            self._add_key(event, parent, anchored.text, merging=False)
            return
        spots = anchored.spots
        here = _spot(event)
        self._add(event, anchored.value, here if isinstance(spots, tuple) else spots.moved(here), anchored.extent)

    def _add_key(self, event: Any, parent: _Open, key: str, *, merging: bool) -> None:
        parent.key = key
        parent.merging = merging
        if merging:
            return
        if key in parent.spots.keys:
            line, _ = parent.spots.keys[key]
            self._problem(event, f"key '{key}' occurs twice, first in line {line}", "remove one of the two")
        parent.spots.keys[key] = _spot(event)

    def _add(self, event: Any, value: Any, spots: _YamlSpots | Spot, extent: _Extent) -> None:
        """Put a finished value where it belongs."""
        if not self._open:
            self._root, self._root_spots = value, spots
            return
        parent = self._open[-1]
        parent.size += extent.size
        parent.depth = max(parent.depth, extent.depth + 1)
        container = parent.value
        if isinstance(container, list):
            parent.spots.parts[len(container)] = spots
            container.append(value)
            return
        key, parent.key = parent.key, None
        if parent.merging:
            self._merge(event, parent, value, spots)
        elif key is not None:
            container[key] = value
            parent.spots.parts[key] = spots

    def _merge(self, event: Any, parent: _Open, value: Any, spots: _YamlSpots | Spot) -> None:
        merged = [(value, spots)]
        if isinstance(value, list) and isinstance(spots, _YamlSpots):
            merged = [(item, spots.parts[index]) for index, item in enumerate(value)]
        for item, item_spots in merged:
            if not isinstance(item, dict) or not isinstance(item_spots, _YamlSpots):
                self._problem(event, "'<<' takes a mapping, or a list of mappings", "refer to a mapping: '<<: *anchor'")
                return
            parent.to_merge.append((item, item_spots))

    def _resolved(self, event: Any) -> Any:
        """Give a scalar's value by the core schema."""
        text, tag = event.value, event.tag
        if tag is None or tag == "!":
            if not event.implicit[0] or tag == "!":
                return text
            if text in _WORDS:
                return _WORDS[text]
            return self._number(event) if text[0] in _NUMERIC else text
        if tag == _TAG + "str":
            return text
        if tag in {_TAG + "int", _TAG + "float"}:
            value = self._number(event)
            if tag.endswith("float") and isinstance(value, int):
                return float(value)
            if not isinstance(value, str):
                return value
        elif tag in {_TAG + "bool", _TAG + "null"} and text in _WORDS:
            return _WORDS[text]
        self._unknown_tag(event)
        return text

    def _number(self, event: Any) -> Any:
        """Give the number that a text reads as, else the text."""
        text: str = event.value
        try:
            if _INTEGER.fullmatch(text):
                return int(text)
            if (based := _BASED.fullmatch(text)) is not None:
                return int(based[1], 8) if based[1] else int(based[2], 16)
            number = float(text) if _FLOAT.fullmatch(text) else None
        except ValueError:  # int() has a limit on digits
            number = math.inf
        if number is None and not _NOT_FINITE.fullmatch(text):
            return text
        if number is None or math.isinf(number):
            self._problem(event, f"'{text[:40]}' is no number that JSON can hold", f'put it in quotes: "{text[:40]}"')
            return text
        return number

    def _too_deep(self, event: Any) -> Exception:
        return unreadable(self._place(event), f"nested deeper than {MAX_DEPTH} levels")

    def _unknown_tag(self, event: Any) -> None:
        tag = event.tag.replace(_TAG, "!!", 1)
        self._problem(event, f"tag '{tag}' cannot be used here", "remove the tag")

    def _key_is_no_text(self, event: Any) -> Exception:
        line, column = _spot(event)
        written = self._text.split("\n")[line - 1]
        template = _TEMPLATE.match(written, max(column - 2, 0))
        if template is not None:
            place = Place(self._file, line, column - 1)
            return unreadable(place, "a template must stand in quotes", f'write it as "{template[0]}"')
        return unreadable(self._place(event), "a key must be a text", "put the key in quotes")


def _spot(event: Any) -> Spot:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
