"""Templates: JSON in which strings may hold ``{{ expression }}``.

A string that is one ``{{ }}`` and nothing else takes the value with its type; in any other string the values stand as
text (strings as they are, all else as JSON). Object keys may be templates as well. ``{{ '{{' }}`` writes two braces.
There are no statements: ``{% %}`` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from pytest_orchestra.data.expressions import Expression, compile_expression
from pytest_orchestra.data.faults import Fault
from pytest_orchestra.data.operators import check_length, literal, to_text
from pytest_orchestra.errors import EvaluationError, TemplateSyntaxError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.problem import Place

__all__ = ["Template", "compile_template", "split_text"]

_Render = Callable[[Mapping[str, object]], Any]

_STATEMENT: Final = re.compile(r"\{%.*?%\}", re.DOTALL)
_TOKENS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[\[({]|\}\}|[\])}]", re.DOTALL)


class Template:
    """A compiled template; immutable, may be shared.

    ``names`` are the dotted paths that it reads, ``required_names`` those that it does not guard itself
    (see :class:`~pytest_orchestra.data.expressions.Expression`).
    """

    __slots__ = ("_render", "expressions", "names", "place", "required_names", "value")

    def __init__(self, value: JsonValue, place: Place | None = None) -> None:
        self.value = value
        self.place = place
        try:
            compiled = _compile(value, place)
        except RecursionError:
            raise TemplateSyntaxError("the template is nested too deeply", place=place) from None
        self._render = compiled.render
        self.expressions = compiled.expressions
        self.names = frozenset[str]().union(*(e.names for e in self.expressions))
        self.required_names = frozenset[str]().union(*(e.required_names for e in self.expressions))

    def __repr__(self) -> str:
        return f"Template({self.value!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return compile_template, (self.value, self.place)

    @property
    def is_constant(self) -> bool:
        """Whether it has no expressions, so that rendering gives the value itself."""
        return self._render is None

    def render(self, names: Mapping[str, object]) -> JsonValue:
        """Give the value with all expressions evaluated. What holds no expression is shared, not copied.

        Raises ``UndefinedVariableError``, ``EvaluationError``.
        """
        if self._render is None:
            return self.value
        return cast("JsonValue", self._render(names))


def compile_template(value: JsonValue, place: Place | None = None) -> Template:
    """Give the compiled template; each string at the same place is compiled once.

    Raises ``TemplateSyntaxError``.
    """
    return _of_text(value, place) if type(value) is str else Template(value, place)


@lru_cache(maxsize=4096)
def _of_text(text: str, place: Place | None) -> Template:
    return Template(text, place)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """How a value is rendered; ``render`` is None where it stays as it is."""

    render: _Render | None = None
    expressions: tuple[Expression, ...] = ()


_CONSTANT: Final = _Compiled()


def _compile(value: JsonValue, place: Place | None) -> _Compiled:
    if isinstance(value, str):
        return _compile_text(value, place)
    if isinstance(value, Mapping):
        return _compile_object(value, place)
    if isinstance(value, Sequence):
        return _compile_list(value, place)
    return _CONSTANT


def _compile_list(values: Sequence[JsonValue], place: Place | None) -> _Compiled:
    found = [(index, _compile(value, place)) for index, value in enumerate(values)]
    moving = [(index, compiled.render) for index, compiled in found if compiled.render is not None]
    if not moving:
        return _CONSTANT
    still = list(values)

    def render(names: Mapping[str, object]) -> list[Any]:
        rendered = still.copy()
        for index, make in moving:
            rendered[index] = make(names)
        return rendered

    return _Compiled(render, tuple(e for _, compiled in found for e in compiled.expressions))


def _compile_object(value: Mapping[str, JsonValue], place: Place | None) -> _Compiled:
    found = [(key, _compile(str(key), place), _compile(entry, place)) for key, entry in value.items()]
    expressions = tuple(e for _, key, entry in found for e in (*key.expressions, *entry.expressions))
    if any(key.render for _, key, _ in found):
        return _Compiled(_with_keys(value, found, place), expressions)
    moving = [(key, entry.render) for key, _, entry in found if entry.render is not None]
    if not moving:
        return _CONSTANT
    still = dict(value)

    def render(names: Mapping[str, object]) -> dict[str, Any]:
        rendered = still.copy()
        for key, make in moving:
            rendered[key] = make(names)
        return rendered

    return _Compiled(render, expressions)


def _with_keys(
    value: Mapping[str, JsonValue], found: Sequence[tuple[str, _Compiled, _Compiled]], place: Place | None
) -> _Render:
    """Give how an object is rendered of which some keys are templates."""

    def render(names: Mapping[str, object]) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for written, key, entry in found:
            name = _as_text(key.render(names), written, place) if key.render else written
            if name in rendered:
                raise EvaluationError(f"two keys of an object are {literal(name)}", place=place)
            rendered[name] = entry.render(names) if entry.render else value[written]
        return rendered

    return render


def _compile_text(text: str, place: Place | None) -> _Compiled:
    if "{" not in text:
        return _CONSTANT
    pieces = [
        compile_expression(piece[2:-2], place) if is_expression else piece
        for piece, is_expression in split_text(text, place)
    ]
    expressions = tuple(piece for piece in pieces if isinstance(piece, Expression))
    if not expressions:
        return _CONSTANT
    if len(pieces) == 1:
        return _Compiled(expressions[0].evaluate, expressions)

    def render(names: Mapping[str, object]) -> str:
        texts = [
            piece if type(piece) is str else _as_text(cast("Expression", piece).evaluate(names), text, place)
            for piece in pieces
        ]
        try:
            check_length(sum(map(len, texts)))
        except Fault as fault:
            raise EvaluationError(fault.fact, place=place) from None
        return "".join(texts)

    return _Compiled(render, expressions)


def _as_text(value: object, source: str, place: Place | None) -> str:
    try:
        return to_text(value)
    except Fault as fault:
        raise EvaluationError(f"{fault.fact}, in {literal(source)}", place=place) from None
    except RecursionError:
        raise EvaluationError(f"a value is nested too deeply, in {literal(source)}", place=place) from None


def split_text(text: str, place: Place | None) -> Iterator[tuple[str, bool]]:
    """Give the pieces of a text in order, and of each whether it is a ``{{ expression }}``."""
    position = 0
    while (start := text.find("{{", position)) >= 0:
        if start > position:
            yield _plain(text[position:start], place), False
        end = _end(text, start, place)
        _check_sign(text[start:end], place)
        yield text[start:end], True
        position = end
    if position < len(text):
        yield _plain(text[position:], place), False


def _end(text: str, start: int, place: Place | None) -> int:
    """Find where the expression that begins at ``start`` ends: at the first ``}}`` outside of strings and brackets."""
    open_brackets = 0
    position = start + 2
    while (found := _TOKENS.search(text, position)) is not None:
        mark = found.group()
        position = found.end()
        if mark in ("(", "[", "{"):
            open_brackets += 1
        elif mark == "}}" and open_brackets == 0:
            return position
        elif mark in (")", "]", "}", "}}") and open_brackets:
            open_brackets -= 1
            position = found.start() + 1  # the second of two braces may belong to the end
    raise TemplateSyntaxError(
        f"'{{{{' has no '}}}}' in {literal(text)}", place=place, hint="write {{ '{{' }} for two braces as text"
    )


def _check_sign(expression: str, place: Place | None) -> None:
    """Refuse Jinja's signs for trimming: read as arithmetic, they would change the value unseen."""
    for sign in ("-", "+"):
        if expression[2] == sign or expression[-3] == sign:
            raise TemplateSyntaxError(
                f"'{sign}' stands at the braces of {literal(expression)}",
                place=place,
                hint=f"put a space between the braces and '{sign}'; text around them is never trimmed",
            )


def _plain(text: str, place: Place | None) -> str:
    statement = _STATEMENT.search(text)
    if statement:
        raise TemplateSyntaxError(
            f"{literal(statement.group())} is a statement, and templates hold expressions only",
            place=place,
            hint="write {{ VALUE if CONDITION else OTHER }}",
        )
    return text
