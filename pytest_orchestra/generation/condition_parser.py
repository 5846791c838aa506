"""Read the condition languages that occur in BPMN files as one: JUEL, FEEL, XPath, Java, Groovy, JavaScript, Jinja.

Their comparisons, literals, variables and logical operators differ in spelling only. A part that is none of these is
opaque, and so is a text that does not parse at all.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pytest_orchestra.generation.conditions import (
    Arithmetic,
    Collection,
    Comparison,
    Dialect,
    Expression,
    Junction,
    Literal,
    Name,
    Negation,
    Opaque,
    Property,
)
from pytest_orchestra.generation.limits import MAX_CONDITION_DEPTH, MAX_CONDITION_LENGTH

__all__ = ["parse_condition"]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>===|!==|==|!=|<>|<=|>=|&&|\|\||\?\.|[=<>!()\[\],.:+\-*/%])
    )""",
    re.VERBOSE,
)
_COMPARATORS = {
    "==": "==", "===": "==", "=": "==", "eq": "==",
    "!=": "!=", "!==": "!=", "<>": "!=", "ne": "!=",
    "<": "<", "lt": "<", "<=": "<=", "le": "<=",
    ">": ">", "gt": ">", ">=": ">=", "ge": ">=",
    "in": "in",
}  # fmt: skip
_CONSTANTS = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    "null": None, "none": None, "None": None, "nil": None, "undefined": None,
}  # fmt: skip
_OPERATOR_WORDS = frozenset({"and", "or", "not", "in", "eq", "ne", "lt", "le", "gt", "ge"})
_OPAQUE_WORDS = frozenset({"some", "every", "if", "for", "between", "instanceof", "matches"})
_GETTERS = frozenset({"getVariable", "getDataObject", "getDataInput", "getDataProperty", "getProcessVariable"})
_PROPERTIES = {"none": "none", "null": "none", "defined": "defined"}


@lru_cache(maxsize=4_096)
def parse_condition(text: str, dialect: Dialect = Dialect.MODEL) -> Expression:
    """Give the condition of a text, ``Opaque`` where it is not understood."""
    bare = _unwrap(text.strip())
    tokens = _tokens(bare)
    if tokens is None:
        return Opaque(text)
    try:
        return _Parser(tokens, dialect).whole()
    except _NotUnderstoodError:
        return Opaque(text)


class _NotUnderstoodError(Exception):
    """The text is no expression of the common language."""


def _unwrap(text: str) -> str:
    for begin, end in (("${", "}"), ("#{", "}"), ("{{", "}}")):
        inner = text[len(begin) : -len(end)]
        if text.startswith(begin) and text.endswith(end) and "{" not in inner and "}" not in inner:
            return inner.strip()
    if text.startswith("=") and not text.startswith("=="):
        return text[1:].strip()
    if text.startswith("return ") and text.endswith(";"):
        return text[len("return ") : -1].strip()
    return text


def _tokens(text: str) -> list[tuple[str, str]] | None:
    if not text or len(text) > MAX_CONDITION_LENGTH:
        return None
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        found.append((str(token.lastgroup), token[str(token.lastgroup)]))
        position = token.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], dialect: Dialect) -> None:
        self._tokens = [*tokens, ("end", "")]
        self._dialect = dialect
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._alternatives()
        if self._tokens[self._at][0] != "end":
            raise _NotUnderstoodError
        return expression

    def _sees(self, *spellings: str) -> bool:
        kind, spelling = self._tokens[self._at]
        return kind in ("word", "sign") and spelling in spellings

    def _take(self, *spellings: str) -> str | None:
        if not self._sees(*spellings):
            return None
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _next(self) -> tuple[str, str]:
        kind, spelling = self._tokens[self._at]
        if kind == "end":
            raise _NotUnderstoodError
        self._at += 1
        return kind, spelling

    def _demand(self, spelling: str) -> None:
        if self._take(spelling) is None:
            raise _NotUnderstoodError

    def _alternatives(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_CONDITION_DEPTH:
            raise _NotUnderstoodError
        parts = [self._conjunction()]
        while self._take("or", "||") is not None:
            parts.append(self._conjunction())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Junction(conjunctive=False, parts=tuple(parts))

    def _conjunction(self) -> Expression:
        parts = [self._negation()]
        while self._take("and", "&&") is not None:
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Junction(conjunctive=True, parts=tuple(parts))

    def _negation(self) -> Expression:
        negations = 0
        while self._take("not") is not None:
            negations += 1
        expression = self._comparison()
        return Negation(expression) if negations % 2 else expression

    def _comparison(self) -> Expression:
        left = self._sum()
        if self._dialect is Dialect.TEMPLATE and self._take("is") is not None:
            return self._property(left)
        negated = self._sees("not") and self._tokens[self._at + 1] == ("word", "in")
        if negated:
            self._at += 1
        symbol = self._take(*_COMPARATORS)
        if symbol is None:
            return left
        right = self._sum()
        if self._sees(*_COMPARATORS):
            raise _NotUnderstoodError
        comparison = Comparison(_COMPARATORS[symbol], left, right)
        return Negation(comparison) if negated else comparison

    def _property(self, operand: Expression) -> Expression:
        negated = self._take("not") is not None
        name = self._take(*_PROPERTIES)
        if name is None:
            raise _NotUnderstoodError
        found = Property(_PROPERTIES[name], operand)
        return Negation(found) if negated else found

    def _sum(self) -> Expression:
        expression = self._product()
        while (symbol := self._take("+", "-")) is not None:
            expression = Arithmetic(symbol, expression, self._product())
        return expression

    def _product(self) -> Expression:
        expression = self._unary()
        while (symbol := self._take("*", "/", "%")) is not None:
            expression = Arithmetic(symbol, expression, self._unary())
        return expression

    def _unary(self) -> Expression:
        negations = 0
        while self._take("!") is not None:
            negations += 1
        if self._take("-") is not None:
            return Arithmetic("-", Literal(0), self._postfix())
        if self._dialect is Dialect.MODEL and self._sees("empty") and self._tokens[self._at + 1][0] == "word":
            self._at += 1
            expression: Expression = Property("empty", self._postfix())
        else:
            expression = self._postfix()
        return Negation(expression) if negations % 2 else expression

    def _postfix(self) -> Expression:
        expression = self._atom()
        while True:
            if self._take(".", "?.") is not None:
                kind, word = self._next()
                if kind != "word":
                    raise _NotUnderstoodError
                expression = self._method(expression, word) if self._sees("(") else _member(expression, word)
            elif self._take("[") is not None:
                kind, spelling = self._next()
                self._demand("]")
                expression = _member(expression, _index(kind, spelling))
            else:
                return expression

    def _atom(self) -> Expression:
        kind, spelling = self._tokens[self._at]
        if kind == "text":
            self._at += 1
            return Literal(_unquote(spelling))
        if kind == "number":
            self._at += 1
            return Literal(float(spelling) if re.search(r"[.eE]", spelling) else int(spelling))
        if kind == "word" and spelling not in _OPERATOR_WORDS | _OPAQUE_WORDS:
            return self._word()
        if self._take("(") is not None:
            return self._parenthesis()
        if self._take("[") is not None:
            return Collection(self._items("]"))
        raise _NotUnderstoodError

    def _parenthesis(self) -> Expression:
        items = self._items(")")
        return items[0] if len(items) == 1 else Collection(items)

    def _items(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        while self._take(end) is None:
            items.append(self._alternatives())
            if not self._sees(end):
                self._demand(",")
        return tuple(items)

    def _word(self) -> Expression:
        words = [self._tokens[self._at][1]]
        self._at += 1
        if self._sees(":") and self._tokens[self._at + 1][0] == "word":
            words = [self._tokens[self._at + 1][1]]
            self._at += 2
            if not self._sees("("):
                raise _NotUnderstoodError
        if self._sees("("):
            return self._call(words[0])
        if words[0] in _CONSTANTS:
            return Literal(_CONSTANTS[words[0]])
        while self._dialect is Dialect.MODEL and self._is_plain_word():
            words.append(self._tokens[self._at][1])
            self._at += 1
        return Name((" ".join(words),))

    def _is_plain_word(self) -> bool:
        kind, spelling = self._tokens[self._at]
        return kind == "word" and spelling not in _OPERATOR_WORDS | _OPAQUE_WORDS

    def _call(self, function: str) -> Expression:
        arguments = self._arguments()
        if function in _CONSTANTS and not arguments:
            return Literal(_CONSTANTS[function])
        return _variable(function, arguments) or Opaque(function)

    def _method(self, owner: Expression, method: str) -> Expression:
        arguments = self._arguments()
        if method == "equals" and len(arguments) == 1:
            return Comparison("==", owner, arguments[0])
        if method == "isEmpty" and not arguments:
            return Property("empty", owner)
        return _variable(method, arguments) or Opaque(method)

    def _arguments(self) -> tuple[Expression, ...]:
        self._demand("(")
        return self._items(")")


def _variable(function: str, arguments: tuple[Expression, ...]) -> Expression | None:
    if function in _GETTERS and len(arguments) == 1:
        argument = arguments[0]
        if isinstance(argument, Literal) and isinstance(argument.value, str) and argument.value:
            return Name((argument.value,))
    return None


def _member(owner: Expression, key: str | int) -> Expression:
    return Name((*owner.path, key)) if isinstance(owner, Name) else Opaque(str(key))


def _index(kind: str, spelling: str) -> str | int:
    if kind == "text":
        return _unquote(spelling)
    if kind == "number" and spelling.isdigit():
        return int(spelling)
    raise _NotUnderstoodError


def _unquote(spelling: str) -> str:
    return re.sub(r"\\(.)", r"\1", spelling[1:-1])
