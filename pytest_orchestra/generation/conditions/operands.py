"""Operands of conditions: constants, names, calls, parts of things, casts, lists, statements about lists."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from pytest_orchestra.generation.conditions.expressions import (
    Arithmetic,
    Collection,
    Dialect,
    Expression,
    Literal,
    Name,
    Negation,
    Opaque,
    Property,
    Quantifier,
)
from pytest_orchestra.generation.conditions.functions import CONSTANTS, function_of, method_of
from pytest_orchestra.generation.conditions.tokens import Language, NotUnderstoodError, Token, TokenReader, unquote
from pytest_orchestra.generation.limits import MAX_CONDITION_CHAIN

__all__ = ["OPAQUE_OPERATORS", "PROPERTIES", "OperandReader"]

_FACTORS = {"*": "*", "/": "/", "%": "%", "div": "/", "mod": "%"}
_OPERATOR_WORDS = frozenset({"and", "or", "not", "in", "eq", "ne", "lt", "le", "gt", "ge", "div", "mod"})
_STOP_WORDS = _OPERATOR_WORDS | {
    *("between", "instanceof", "instance", "matches", "then", "else", "satisfies", "return", "if", "for", "as"),
}
OPAQUE_OPERATORS = frozenset({"instanceof", "matches", "soundslike", "memberOf"})
_PRIMITIVES = frozenset({"int", "long", "double", "float", "boolean", "bool", "string", "object"})
_WRAPPERS = frozenset({"Integer", "Long", "Double", "BigDecimal", "BigInteger", "String", "Boolean"})
PROPERTIES = {"none": "none", "null": "none", "defined": "defined", "None": "none", "empty": "empty"}
"""Words behind ``is``, with what they ask."""

_MANY = 9
"""More arguments than any known function has, so that none is taken for known."""

_TRUTHS: dict[tuple[str | int, ...], bool] = {("TRUE",): True, ("FALSE",): False}


class OperandReader(TokenReader, ABC):
    """Reads sums of operands; what stands between them and in parentheses is a subclass's to read."""

    def __init__(self, tokens: list[Token], dialect: Dialect, language: Language) -> None:
        super().__init__(tokens)
        self._is_template = dialect is Dialect.TEMPLATE
        self._language = language
        self._depth = 0
        self._ternaries = 0
        self._locals: dict[str, Expression] = {}

    @abstractmethod
    def _expression(self) -> Expression:
        """Read a whole condition, as in parentheses."""

    def _is_property(self) -> bool:
        following = self._tokens[self._at + 1]
        if following.text == "not":
            following = self._tokens[self._at + 2]
        return following.kind == "word" and (self._is_template or following.text in PROPERTIES | CONSTANTS.keys())

    def _sum(self) -> Expression:
        expression = self._product()
        for _ in range(MAX_CONDITION_CHAIN):
            symbol = self._take("+", "-")
            if symbol is None:
                return expression
            expression = Arithmetic(symbol, expression, self._product())
        raise NotUnderstoodError

    def _product(self) -> Expression:
        expression = self._unary()
        for _ in range(MAX_CONDITION_CHAIN):
            if self._language is Language.XPATH and self._sees("/", "*", "%"):
                raise NotUnderstoodError
            symbol = self._take(*_FACTORS)
            if symbol is None:
                return expression
            expression = Arithmetic(_FACTORS[symbol], expression, self._unary())
        raise NotUnderstoodError

    def _unary(self) -> Expression:
        negations = 0
        while self._take("!") is not None:
            negations += 1
        if self._take("-") is not None:
            return Arithmetic("-", Literal(0), self._postfix())
        if self._is_emptiness():
            self._at += 1
            expression: Expression = Property("empty", self._postfix())
        else:
            expression = self._postfix()
        return Negation(expression) if negations % 2 else expression

    def _is_emptiness(self) -> bool:
        if self._is_template or not self._sees("empty"):
            return False
        following = self._tokens[self._at + 1]
        return following.kind in ("word", "text") or following.text == "("

    def _postfix(self) -> Expression:
        expression = self._atom()
        while True:
            if self._take(".", "?.") is not None:
                token = self._next()
                if token.kind not in ("word", "name"):
                    raise NotUnderstoodError
                if self._sees("("):
                    expression = method_of(expression, token.text, self._arguments())
                else:
                    expression = self._constant(_member(expression, self._more_words(token.text)))
            elif self._language is Language.XPATH and self._sees("/", "//"):
                expression = self._step(expression)
            elif self._sees("[") and not (self._language is Language.FEEL and not self._tokens[self._at].glued):
                self._at += 1
                expression = self._item(expression)
            elif self._take("as") is not None:
                self._type()
            else:
                return expression

    def _type(self) -> None:
        while self._next().kind == "word":
            if self._take(".") is None:
                return
        raise NotUnderstoodError

    @staticmethod
    def _constant(expression: Expression) -> Expression:
        if isinstance(expression, Name) and expression.path[0] == "Boolean" and expression.path[1:] in _TRUTHS:
            return Literal(_TRUTHS[expression.path[1:]])
        return expression

    def _item(self, owner: Expression) -> Expression:
        negative = self._sees("-") and self._tokens[self._at + 1].kind == "number"
        self._at += negative
        token = self._tokens[self._at]
        if self._sees_next("]"):
            if token.kind == "text":
                self._at += 2
                return _member(owner, unquote(token.text))
            if token.kind == "number" and token.text.isdigit():
                self._at += 2
                index = -int(token.text) if negative else int(token.text)
                counts_from_one = self._language in (Language.FEEL, Language.XPATH)
                return _member(owner, index - 1 if counts_from_one and index > 0 else index)
        self._skip("]")
        return Opaque("[]")

    def _step(self, owner: Expression) -> Expression:
        """Read one step of an XPath: ``/name`` or ``/@name``; what ``//`` finds is not known."""
        anywhere = self._next().text == "//"
        self._take("@")
        token = self._next()
        if token.kind != "word":
            raise NotUnderstoodError
        name = token.text
        if self._take(":") is not None:
            name = self._next().text
        if self._sees("("):
            self._skip_arguments()
            return owner if name == "text" else Opaque(name)
        return Opaque("//") if anywhere else _member(owner, name)

    def _atom(self) -> Expression:
        token = self._tokens[self._at]
        if token.kind == "text":
            self._at += 1
            return Literal(unquote(token.text))
        if token.kind == "number":
            self._at += 1
            return Literal(_number(token.text))
        if token.kind == "name":
            self._at += 1
            return Name((" ".join(token.text.split()),))
        sign = self._take("$", "#", "@")
        if sign is not None:
            if self._tokens[self._at].kind != "word":
                raise NotUnderstoodError
            found = self._word()
            # mef.dev: #Previous is what the activity before gave, another value each time
            return Name(found.path, is_call=True) if sign == "#" and isinstance(found, Name) else found
        if self._language is Language.XPATH and self._sees("/") and self._tokens[self._at + 1].kind == "word":
            self._at += 1
            return self._word()
        if token.kind == "word":
            return self._keyword_or_word()
        if self._take("(") is not None:
            return self._parenthesis()
        if self._take("[") is not None:
            return Collection(self._items("]"))
        raise NotUnderstoodError

    def _keyword_or_word(self) -> Expression:
        following = self._tokens[self._at + 1]
        if self._sees("some", "every") and following.kind in ("word", "name"):
            return self._quantifier()
        if self._sees("for") and following.kind == "word":
            while self._take("return") is None:
                self._next()
            self._expression()
            return Opaque("for")
        if self._sees("new") and following.kind == "word":
            return self._created()
        if self._sees("exists", "forall") and following.kind == "word":
            self._at += 1
            self._postfix()
            return Opaque("exists")
        if self._sees(*_STOP_WORDS):
            raise NotUnderstoodError
        return self._word()

    def _quantifier(self) -> Expression:
        every = self._next().text == "every"
        variable = self._next().text
        self._demand("in")
        collection = self._expression()
        if self._take(",") is not None:  # several variables: known to be a statement, and no more
            while self._take("satisfies") is None:
                self._next()
            self._expression()
            return Opaque("satisfies")
        self._demand("satisfies")
        return Quantifier(every, variable, collection, self._expression())

    def _created(self) -> Expression:
        self._at += 1
        kind = self._next().text
        while self._take(".") is not None:
            kind = self._next().text
        arguments = self._arguments()
        return arguments[0] if kind in _WRAPPERS and len(arguments) == 1 else Opaque(kind)

    def _parenthesis(self) -> Expression:
        start, depth = self._at, self._depth
        try:
            items = self._items(")")
        except NotUnderstoodError:
            if self._is_template:
                raise
            self._at, self._depth = start, depth
            self._skip(")")
            return Opaque("()")
        if len(items) != 1:
            return Collection(items)
        if isinstance(items[0], Name) and self._is_cast(items[0]):
            return self._unary()
        return items[0]

    def _is_cast(self, item: Name) -> bool:
        """Whether ``(Integer)`` was read, with an operand after it."""
        last = item.path[-1]
        if self._is_template or not isinstance(last, str) or not (last[:1].isupper() or last in _PRIMITIVES):
            return False
        token = self._tokens[self._at]
        return (token.kind == "word" and token.text not in _STOP_WORDS) or token.kind == "text" or token.text == "("

    def _items(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        while self._take(end) is None:
            items.append(self._expression())
            if not self._sees(end):
                self._demand(",")
        return tuple(items)

    def _word(self) -> Expression:
        token = self._next()
        prefix = ""
        if self._is_prefix():
            prefix = token.text
            self._at += 1
            token = self._next()
        if self._sees("("):
            return self._called(prefix, token.text)
        if prefix and self._language is not Language.XPATH:
            raise NotUnderstoodError
        if token.text in self._locals:
            return self._locals[token.text]
        if token.text in CONSTANTS:
            return Literal(CONSTANTS[token.text])
        name = self._more_words(token.text)
        return self._called("", name) if self._sees("(") else Name((name,))

    def _is_prefix(self) -> bool:
        """Whether ``var:`` of ``var:eq(x, 1)`` was read, and not the middle of ``a ? b : f(c)``."""
        if not self._sees(":") or self._tokens[self._at + 1].kind != "word":
            return False
        is_tight = self._tokens[self._at].glued and self._tokens[self._at + 1].glued
        return is_tight and not self._ternaries and (self._tokens[self._at + 2].text == "(" or self._is_xpath)

    @property
    def _is_xpath(self) -> bool:
        return self._language is Language.XPATH

    def _more_words(self, first: str) -> str:
        """Give a name with the words that follow it: in models, names may have spaces."""
        words = [first]
        while not self._is_template and self._is_plain_word():
            words.append(self._next().text)
        return " ".join(words)

    def _is_plain_word(self) -> bool:
        token = self._tokens[self._at]
        if token.kind != "word" or token.text in _STOP_WORDS or token.text in OPAQUE_OPERATORS:
            return False
        return not (token.text == "is" and self._is_property())

    def _called(self, prefix: str, function: str) -> Expression:
        return function_of(prefix, function, self._arguments())

    def _arguments(self) -> tuple[Expression, ...]:
        start, depth = self._at, self._depth
        self._demand("(")
        try:
            return self._items(")")
        except NotUnderstoodError:
            if self._is_template:
                raise
            self._at, self._depth = start, depth
            self._skip_arguments()
            return (Opaque("()"),) * _MANY

    def _skip_arguments(self) -> None:
        self._demand("(")
        self._skip(")")


def _member(owner: Expression, key: str | int) -> Expression:
    return Name((*owner.path, key), owner.is_call) if isinstance(owner, Name) else Opaque(str(key))


def _number(spelling: str) -> int | float:
    return float(spelling) if re.search(r"[.eE]", spelling) else int(spelling)
