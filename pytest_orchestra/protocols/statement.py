"""An SQL statement with named parameters, read by PostgreSQL's lexical rules (documentation, section 4.1). Pure.

Those of standard SQL are among them; MySQL's quotes for identifiers are read as well.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.protocols.suggestion import nearest_name

__all__ = ["Statement", "find_missing", "read_statement"]

_READING = ("select", "with", "values", "table", "show")
_EXECUTED = ("/*!", "/*M!")
_WRITING = {"insert": "into", "delete": "from", "merge": "into", "update": None}
_TEMPLATE = re.compile(r"\{\{\s*[^\W\d].*?\}\}", re.DOTALL)  # an array's text, '{{1,2},{3,4}}', begins otherwise
_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
    |(?P<block>/\*)
    |(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')
    |(?P<identifier>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<open>[eE]?'|")
    |(?P<dollar>\$(?:[^\W\d]\w*)?\$)
    |(?P<position>\$\d+)
    |(?P<cast>::|:=)
    |(?P<name>(?<![\w\])'"]):[^\W\d]\w*)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<end>;)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    ``parts`` is its text with the parameters' names at the odd places, ``names`` has the names, each once.
    ``faults`` are facts with hints: why it cannot be run, if so. ``doubts`` are such for databases whose read-only
    transactions do not refuse everything that PostgreSQL's do.
    """

    text: str
    parts: tuple[str, ...]
    names: tuple[str, ...]
    faults: tuple[tuple[str, str], ...] = ()
    doubts: tuple[tuple[str, str], ...] = ()

    @property
    def sent_text(self) -> str:
        """The text for the server: ``$1`` stands for the first of ``names``."""
        return self.filled(lambda name: f"${self.names.index(name) + 1}")

    def literal_text(self, values: JsonObject) -> str:
        """Write the statement with values in place of its parameters, safely quoted: for people, not for the server."""
        return self.filled(lambda name: _literal(values[name]))

    def place_of(self, position: int) -> tuple[int, int]:
        """Give line and column in ``text`` of a position in ``sent_text``; all count from 1."""
        sent = written = 0
        for index, part in enumerate(self.parts):
            replaced = f"${self.names.index(part) + 1}" if index % 2 else part
            original = f":{part}" if index % 2 else part
            if sent + len(replaced) >= position:
                offset = written + (0 if index % 2 else position - 1 - sent)
                break
            sent += len(replaced)
            written += len(original)
        else:
            offset = len(self.text)
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    def with_names(self, text: str) -> str:
        """Give what the server says with the parameters' own names: ``:orderId`` for ``$1``."""

        def name(found: re.Match[str]) -> str:
            number = int(found[1])
            return f":{self.names[number - 1]}" if 0 < number <= len(self.names) else found[0]

        return re.sub(r"\$(\d+)", name, text)

    def filled(self, fill: Callable[[str], str], text: Callable[[str], str] = str) -> str:
        """Write the statement with what ``fill`` makes of each parameter's name, and ``text`` of all else."""
        return "".join(fill(part) if index % 2 else text(part) for index, part in enumerate(self.parts))


@lru_cache(maxsize=512)
def read_statement(sql: str) -> Statement:
    """Read one reading statement; a single ``;`` at its end is dropped.

    ``:name`` is a parameter, except in texts, quoted identifiers, comments and dollar quotes, and where it follows a
    name, number or bracket without a space: that is a slice, as in ``a[1:n]``.
    """
    parts: list[str] = [""]
    tokens: list[tuple[str, str]] = []
    faults: list[tuple[str, str]] = []
    doubts: list[tuple[str, str]] = []
    before_end = ""
    for kind, token in _tokens(sql):
        if kind == "end":
            before_end = parts[-1]
        if kind == "name":
            parts += [token[1:], ""]
        else:
            parts[-1] += token
        if kind == "open":
            fact = f"the SQL has a quote or comment that is not closed: '{token[:20]}'"
            faults.append((fact, "close it"))
        elif kind == "position":
            faults.append((f"the SQL has a parameter by position, '{token}'", "name it, as in ':orderId'"))
        elif kind == "space" and token.startswith(_EXECUTED):
            doubts.append((f"the SQL has a comment that MySQL executes: '{token[:20]}'", "take it away"))
        elif kind == "word" and token.lower() == "into":
            doubts.append(("the SQL has 'into', but a step only reads", "take it away"))
        if kind != "space":
            tokens.append((kind, token.lower() if kind == "word" else token))
    if tokens and tokens[-1][0] == "end":
        tokens.pop()
        parts[-1] = before_end
    faults += _find_statement_faults(tokens)
    template = _TEMPLATE.search(sql)
    if template is not None:
        faults.append((f"the SQL holds a template, '{template[0]}'", "write ':name', and the template in 'parameters'"))
    names = tuple(dict.fromkeys(parts[1::2]))
    return Statement(sql, tuple(parts), names, tuple(faults), tuple(doubts))


def find_missing(statement: Statement, given: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give a fact and a hint for each parameter of the statement that has no value."""
    unused = [name for name in given if name not in statement.names]
    for name in statement.names:
        if name not in given:
            meant = nearest_name(name, unused)
            hint = f"'{meant}' may be meant for it" if meant else f"add '{name}' to 'parameters'"
            yield f"the SQL needs parameter ':{name}'", hint


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        assert match is not None  # the last alternative takes any character
        kind, end = str(match.lastgroup), match.end()
        if kind == "block":
            kind, end = "space", _end_of_comment(sql, end)
        elif kind == "dollar":
            closing = sql.find(match[0], end)
            kind, end = ("text", closing + len(match[0])) if closing >= 0 else ("open", -1)
        if kind == "open" or end < 0:
            yield "open", sql[position:]
            return
        yield kind, sql[position:end]
        position = end


def _end_of_comment(sql: str, position: int) -> int:
    """Give where the comment ends whose inside begins at ``position``; comments nest. -1 where it does not end."""
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(sql, position):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return -1


def _find_statement_faults(tokens: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    hint = "write one 'select', 'with', 'values', 'table' or 'show'"
    if any(kind == "end" for kind, _ in tokens):
        yield "the SQL has more than one statement", hint
        return
    first = next((word for _, word in tokens if word != "("), None)
    if first is None:
        yield "the SQL is empty", hint
    elif first not in _READING:
        yield f"the SQL begins with '{first}', but a step only reads", hint
    padded = [("other", "("), *tokens, ("other", ""), ("other", "")]
    for (_, before), (kind, word), (next_kind, after) in zip(padded, padded[1:], padded[2:], strict=False):
        if kind != "word" or word not in _WRITING or before not in {"(", ")"} or word == first:
            continue
        wanted = _WRITING[word]
        if after == wanted or (wanted is None and next_kind in {"word", "identifier"}):
            yield f"the SQL has an inner '{word}', but a step only reads", hint


def _literal(value: JsonValue) -> str:
    """Write a value as an SQL literal that means what the bound value means."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            return f"'{value}'::float8"
        return f"({value!r})" if value < 0 else repr(value)  # "1--1" would be a comment
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping) or any(isinstance(item, Mapping) for item in value):
        return f"{_quoted(json.dumps(value, ensure_ascii=False))}::jsonb"
    return f"array[{', '.join(map(_literal, value))}]" if value else "'{}'"


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    if "\\" not in text:
        return f"'{doubled}'"
    return " E'" + doubled.replace("\\", "\\\\") + "'"  # whatever 'standard_conforming_strings' is
