"""Test data from YAML, JSON and CSV files."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, JsonValue, TypeAdapter, ValidationError, model_validator

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.dataset import DataSetOrigin, DataSetScope, TestDataSet
from pytest_orchestra.model.definition import Definition
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.readers.source_file import Source
from pytest_orchestra.readers.source_text import read_text
from pytest_orchestra.readers.validation import nearest, validation_problems
from pytest_orchestra.readers.yaml_source import parse_source

__all__ = ["DataFile", "DataSetDefinition", "data_file_adapter", "read_data_sets"]

_NAME: Final = re.compile(r"[^\s\[\]][^\[\]\x00-\x1f]{0,119}")


def _checked_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("a data set's name has at most 120 characters, none of them '[', ']' or a line break")
    return name


DataSetName = Annotated[
    str, AfterValidator(_checked_name), Field(json_schema_extra={"pattern": f"^{_NAME.pattern}$", "minLength": 1})
]
"""A name that node ids can use."""


class DataSetDefinition(Definition):
    """One data set as a user writes it."""

    name: DataSetName
    """How scenarios and node ids call it."""
    tags: list[str] = Field(default_factory=list)
    """Scenarios choose data sets by `tag:NAME`."""
    scope: DataSetScope = DataSetScope.SUITE
    """Who may use it; `SCENARIO` is inferred from `scenario`."""
    suite: str | None = None
    """The owner of scope `SUITE`: a process id or file; the suite that reads the file if absent."""
    scenario: str | None = None
    """The owner of scope `SCENARIO`: a scenario's key."""
    origin: DataSetOrigin = DataSetOrigin.MANUAL
    """Where it came from."""
    data: dict[str, JsonValue] = Field(default_factory=dict)
    """What templates read as `{{data.*}}`."""

    @model_validator(mode="before")
    @classmethod
    def _infer_scope(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("scenario") is not None:
            return {"scope": DataSetScope.SCENARIO, **value}
        return value

    @model_validator(mode="after")
    def _is_owned(self) -> DataSetDefinition:
        if self.scope is DataSetScope.SCENARIO and self.scenario is None:
            raise ValueError("scope 'SCENARIO' needs 'scenario'")
        return self


class DataFile(Definition):
    """A file of test data: `dataSets`, or just their list."""

    data_sets: list[DataSetDefinition]


@cache
def data_file_adapter() -> TypeAdapter[DataFile | list[DataSetDefinition]]:
    """Give what describes a data file."""
    return TypeAdapter(DataFile | list[DataSetDefinition])


def read_data_sets(files: Iterable[Path]) -> tuple[TestDataSet, ...]:
    """Read the data sets of all files, in order; a file that is given twice is read once.

    Raises ``DefinitionError`` with the problems of all files; a name that occurs twice, in one or two files, is one.
    """
    found: list[TestDataSet] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(files):
        try:
            found += _read_file(path)
        except DefinitionError as error:
            problems += error.problems
    problems += _repeated_names(found)
    if problems:
        raise DefinitionError.from_problems(tuple(problems))
    return tuple(found)


def _read_file(path: Path) -> Sequence[TestDataSet]:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        kind = f"'{path.suffix}'" if path.suffix else "without extension"
        problem = Problem(
            Severity.ERROR, Place(str(path)), f"unknown kind of data file {kind}", "use .yaml, .yml, .json or .csv"
        )
        raise DefinitionError.from_problems((problem,))
    return read(read_text(path), str(path))


def _repeated_names(data_sets: Iterable[TestDataSet]) -> list[Problem]:
    first: dict[str, Place] = {}
    problems = []
    for data_set in data_sets:
        place = data_set.place or Place("")
        before = first.setdefault(data_set.name, place)
        if before is not place:
            fact = f"data set '{data_set.name}' is at {before} already"
            problems.append(Problem(Severity.ERROR, place, fact, "rename one of them"))
    return problems


def _read_tree(text: str, file: str) -> Sequence[TestDataSet]:
    """Read the data sets of a YAML or JSON file."""
    source = parse_source(text, file)
    problems = list(source.problems)
    definitions: Sequence[DataSetDefinition] = ()
    in_list = isinstance(source.value, list)
    kind: Any = list[DataSetDefinition] if in_list else DataFile
    try:
        validated = _adapter(in_list).validate_python(source.value if source.value is not None else {})
        definitions = validated.data_sets if isinstance(validated, DataFile) else validated
    except ValidationError as error:
        problems += validation_problems(error, source, kind)
    if problems:
        raise DefinitionError.from_problems(tuple(sorted(problems, key=lambda problem: problem.place)))
    at = () if in_list else (_list_key(source),)
    return [
        TestDataSet(
            name=definition.name,
            data=definition.data,
            scope=definition.scope,
            suite=definition.suite,
            scenario=definition.scenario,
            tags=tuple(definition.tags),
            origin=definition.origin,
            place=source.place((*at, index)),
        )
        for index, definition in enumerate(definitions)
    ]


@cache
def _adapter(in_list: bool) -> TypeAdapter[Any]:
    return TypeAdapter(list[DataSetDefinition] if in_list else DataFile)


def _list_key(source: Source) -> str:
    return "dataSets" if "dataSets" in source.value else "data_sets"


_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


def _read_csv(text: str, file: str) -> Sequence[TestDataSet]:
    """Read the data sets of a CSV file (RFC 4180): a header row, then one data set a row.

    The columns ``name`` and, if there, ``tags`` are the data set's own; all others are data, nested at the dots of
    their names. A cell that reads as a JSON number, ``true``, ``false`` or ``null`` has that value; any other is text.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    problems: list[Problem] = []
    found: list[TestDataSet] = []
    line = 1
    try:
        header = next((row for row in reader if row), [])
        columns = [column.strip() for column in header]
        problems += _header_problems(columns, Place(file, max(reader.line_num, 1)))
        if problems:
            raise DefinitionError.from_problems(tuple(problems))
        name_at = columns.index("name")
        tags_at = columns.index("tags") if "tags" in columns else None
        nest = _nesting(columns)
        line = reader.line_num + 1
        for row in reader:
            place = Place(file, line)
            line = reader.line_num + 1
            if not row:
                continue
            if len(row) != len(columns):
                problems.append(_ragged(row, columns, place))
                continue
            name = row[name_at].strip()
            if (problem := _name_problem(name, place)) is not None:
                problems.append(problem)
                continue
            tags = tuple(row[tags_at].replace(";", " ").split()) if tags_at is not None else ()
            found.append(TestDataSet(name=name, data=nest(row), tags=tags, place=place))
    except csv.Error as error:
        fact = "a quote is not closed" if str(error) == "unexpected end of data" else str(error)
        problems.append(Problem(Severity.ERROR, Place(file, line), f"malformed CSV: {fact}", _CSV_HINTS.get(fact)))
    if problems:
        raise DefinitionError.from_problems(tuple(problems))
    return found


_CSV_HINTS: Final = {
    "a quote is not closed": "close the quote",
    "',' expected after '\"'": 'write a quote within quotes twice: ""',
}


def _ragged(row: Sequence[str], columns: Sequence[str], place: Place) -> Problem:
    fact = f"row has {len(row)} cells, the header has {len(columns)}"
    hint = "put a cell that holds a comma in quotes" if len(row) > len(columns) else "add the missing cells"
    return Problem(Severity.ERROR, place, fact, hint)


def _name_problem(name: str, place: Place) -> Problem | None:
    if not name:
        return Problem(Severity.ERROR, place, "data set has no name", "fill the column 'name'")
    try:
        _checked_name(name)
    except ValueError as error:
        return Problem(Severity.ERROR, place, f"{error}, not '{name[:60]}'")
    return None


def _header_problems(columns: Sequence[str], place: Place) -> list[Problem]:
    def problem(fact: str, hint: str | None = None) -> Problem:
        return Problem(Severity.ERROR, place, fact, hint)

    if not columns:
        return [problem("the file is empty", "begin with a header row: name,tags,...")]
    problems = []
    if "name" not in columns:
        meant = nearest("name", columns)
        if meant:
            hint = f"rename '{meant}'"
        elif len(columns) == 1 and re.search(r"[;\t|]", columns[0]):
            hint = "separate the columns with commas"
        else:
            hint = "begin the header row with 'name'"
        problems.append(problem("no column 'name'", hint))
    seen: set[str] = set()
    for column in columns:
        if not all(part.strip() for part in column.split(".")):
            problems.append(
                problem(
                    f"column {columns.index(column) + 1} has no name"
                    if not column
                    else f"column '{column}' has an empty part",
                    "name it, or remove it",
                )
            )
        elif column in seen:
            problems.append(problem(f"column '{column}' occurs twice", "rename one of them"))
        seen.add(column)
    for column in columns:
        parts = column.split(".")
        outer = next((head for n in range(1, len(parts)) if (head := ".".join(parts[:n])) in seen), None)
        if outer is not None and outer not in _OWN:
            problems.append(
                problem(f"column '{outer}' is a value and column '{column}' a part of it", "rename one of them")
            )
    return problems


_OWN: Final = frozenset({"name", "tags"})


def _nesting(columns: Sequence[str]) -> Callable[[Sequence[str]], dict[str, Any]]:
    """Give what makes data of a row."""
    cells = [(index, column.split(".")) for index, column in enumerate(columns) if column not in _OWN]
    if all(len(path) == 1 for _, path in cells):
        flat = [(index, path[0]) for index, path in cells]
        return lambda row: {name: _cell(row[index]) for index, name in flat}

    def nested(row: Sequence[str]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for index, path in cells:
            here = data
            for part in path[:-1]:
                here = here.setdefault(part, {})
            here[path[-1]] = _cell(row[index])
        return data

    return nested


def _cell(text: str) -> str | int | float | bool | None:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text and text[0] in "-0123456789" and _NUMBER.fullmatch(text):
        number: int | float = json.loads(text)
        return text if math.isinf(number) else number
    return text


_READERS: Final[dict[str, Callable[[str, str], Sequence[TestDataSet]]]] = {
    ".yaml": _read_tree,
    ".yml": _read_tree,
    ".json": _read_tree,
    ".csv": _read_csv,
}
