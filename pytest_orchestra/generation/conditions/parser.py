"""Read the condition languages that occur in BPMN files as one: JUEL, FEEL, XPath, Java, Groovy, JavaScript, Python ...

Their comparisons, literals, variables and logical operators differ in spelling only. A part that is none of these is
opaque, and so is a text that does not parse at all.

FEEL: OMG DMN 1.5, chapter 10. JUEL: Jakarta Expression Language 5.0. XPath: W3C, version 1.0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from pytest_orchestra.generation.conditions.expressions import (
    Collection,
    Comparison,
    Conditional,
    Dialect,
    Expression,
    Junction,
    Literal,
    Name,
    Negation,
    Opaque,
    Property,
)
from pytest_orchestra.generation.conditions.functions import CONSTANTS, compared
from pytest_orchestra.generation.conditions.operands import OPAQUE_OPERATORS, PROPERTIES, OperandReader
from pytest_orchestra.generation.conditions.tokens import (
    Language,
    NotUnderstoodError,
    Token,
    language_of,
    tokens_of,
)
from pytest_orchestra.generation.limits import MAX_CONDITION_DEPTH

__all__ = ["parse_condition"]

_COMPARATORS = {
    "==": "==", "===": "==", "=": "==", "eq": "==",
    "!=": "!=", "!==": "!=", "<>": "!=", "ne": "!=",
    "<": "<", "lt": "<", "<=": "<=", "le": "<=",
    ">": ">", "gt": ">", ">=": ">=", "ge": ">=",
}  # fmt: skip
_ANSWERS = frozenset(
    (
        *("yes", "no", "y", "n", "ok", "nok", "else", "otherwise", "default", "_undefined"),
        *("ja", "nein", "nej", "nee", "oui", "non", "si", "sim", "tak", "nie"),
    )
)
"""Words that answer a question in prose, and are no variables."""


@lru_cache(maxsize=4_096)
def parse_condition(text: str, dialect: Dialect = Dialect.MODEL, language: str | None = None) -> Expression:
    """Give the condition of a text, ``Opaque`` where it is not understood.

    ``language`` is what the file states for this very condition; the text goes before it.
    """
    kind = Language.OTHER if dialect is Dialect.TEMPLATE else language_of(text, language)
    tokens = tokens_of(text, kind)
    if tokens is None:
        return Opaque(text)
    try:
        found = _Parser(tokens, dialect, kind).whole()
    except NotUnderstoodError:
        return Opaque(text)
    return Opaque(text) if isinstance(found, Opaque) or _is_prose(found, tokens, kind) else found


def _is_prose(expression: Expression, tokens: list[Token], language: Language) -> bool:
    """Whether a text is what people read: words without any sign, though it could be a name with spaces."""
    if not isinstance(expression, Name) or language is Language.FEEL or any(token.kind != "word" for token in tokens):
        return False
    return (len(tokens) > 1 and tokens[0].text != "return") or tokens[0].text.casefold() in _ANSWERS


class _Parser(OperandReader):
    def whole(self) -> Expression:
        if any(token == Token("word", "return", token.glued) for token in self._tokens) and not self._is_template:
            self._declarations()
        expression = self._test(Opaque("?")) if self._sees(*_COMPARATORS) else self._expression()
        while self._take(";") is not None:
            pass
        if self._tokens[self._at].kind != "end":
            raise NotUnderstoodError
        return expression

    def _declarations(self) -> None:
        """Read ``Integer i = (Integer) kcontext.getVariable("i"); return`` up to the returned expression."""
        while self._take("return") is None:
            words = 0
            while self._tokens[self._at].kind == "word" or self._sees(".", "<", ">", ","):
                words += self._tokens[self._at].kind == "word"
                self._at += 1
            name = self._tokens[self._at - 1].text
            if not words or self._take("=") is None:
                raise NotUnderstoodError
            self._locals[name] = self._expression()
            self._demand(";")

    def _expression(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_CONDITION_DEPTH:
            raise NotUnderstoodError
        found = self._conditional()
        self._depth -= 1
        return found

    def _conditional(self) -> Expression:
        if self._take("if") is not None:
            test = self._expression()
            self._demand("then")
            then = self._expression()
            self._demand("else")
            return Conditional(test, then, self._expression())
        first = self._alternatives()
        if self._take("?") is not None:
            self._ternaries += 1
            then = self._expression()
            self._ternaries -= 1
            self._demand(":")
            return Conditional(first, then, self._expression())
        if self._take("if") is not None:
            test = self._alternatives()
            self._demand("else")
            return Conditional(test, first, self._expression())
        return first

    def _alternatives(self) -> Expression:
        parts = [self._conjunction()]
        while self._take("or", "||") is not None:
            parts.append(self._conjunction())
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
        if self._sees("is") and self._is_property():
            return self._property(left)
        negated = self._sees("not") and self._sees_next("in", "between")
        if negated:
            self._at += 1
        found = self._related(left)
        return Negation(found) if negated else found

    def _related(self, left: Expression) -> Expression:
        if self._take("between") is not None:
            return self._between(left)
        if self._take("in") is not None:
            return self._membership(left)
        if self._sees(*OPAQUE_OPERATORS) or (self._sees("instance") and self._sees_next("of")):
            return self._opaque_relation()
        symbol = self._take(*_COMPARATORS)
        if symbol is None:
            return left
        right = self._sum()
        if self._sees(*_COMPARATORS):
            return self._chain(left, symbol, right)
        if isinstance(left, Collection) and len(left.items) == 1 and not isinstance(right, Collection):
            left = left.items[0]  # FEEL: a list of one equals its item
        return compared(_COMPARATORS[symbol], left, right)

    def _chain(self, left: Expression, symbol: str, right: Expression) -> Expression:
        """Read ``1 < x < 5`` where that means both."""
        if not self._is_template and self._language is not Language.PYTHON:
            raise NotUnderstoodError
        parts = [compared(_COMPARATORS[symbol], left, right)]
        while (symbol_on := self._take(*_COMPARATORS)) is not None:
            left, right = right, self._sum()
            parts.append(compared(_COMPARATORS[symbol_on], left, right))
        return Junction(conjunctive=True, parts=tuple(parts))

    def _opaque_relation(self) -> Expression:
        operator = self._next().text
        self._take("of")
        self._sum()
        return Opaque(operator)

    def _property(self, operand: Expression) -> Expression:
        self._at += 1
        negated = self._take("not") is not None
        found: Expression
        if self._sees("True", "False", "true", "false"):
            found = Comparison("==", operand, Literal(CONSTANTS[self._next().text]))
        else:
            name = self._take(*PROPERTIES)
            if name is None or (name == "empty" and self._is_template):
                raise NotUnderstoodError
            found = Property(PROPERTIES[name], operand)
        return Negation(found) if negated else found

    def _between(self, left: Expression) -> Expression:
        low = self._sum()
        self._demand("and")
        high = self._sum()
        return Junction(conjunctive=True, parts=(Comparison(">=", left, low), Comparison("<=", left, high)))

    def _membership(self, left: Expression) -> Expression:
        if self._is_template:
            return Comparison("in", left, self._sum())
        found = self._tried(lambda: self._range(left))
        if found is None and self._sees("("):
            found = self._tried(lambda: self._tests(left))
        if found is None and self._sees(*_COMPARATORS):
            found = self._test(left)
        return Comparison("in", left, self._sum()) if found is None else found

    def _tried(self, rule: Callable[[], Expression]) -> Expression | None:
        at, depth = self._at, self._depth
        try:
            return rule()
        except NotUnderstoodError:
            self._at, self._depth = at, depth
            return None

    def _range(self, left: Expression) -> Expression:
        """Read what follows in ``x in [1..5]``; a bracket turned away from the range, or round, leaves its end out."""
        opening = self._take("[", "(", "]")
        if opening is None:
            raise NotUnderstoodError
        low = self._sum()
        self._demand("..")
        high = self._sum()
        closing = self._take("]", ")", "[")
        if closing is None:
            raise NotUnderstoodError
        at_least = Comparison(">=" if opening == "[" else ">", left, low)
        return Junction(conjunctive=True, parts=(at_least, Comparison("<=" if closing == "]" else "<", left, high)))

    def _tests(self, left: Expression) -> Expression:
        """Read what follows in ``x in (1, > 5, [7..9])``: whether one of the tests holds for ``x``."""
        self._demand("(")
        values: list[Expression] = []
        tests: list[Expression] = []
        while self._take(")") is None:
            found = self._tried(lambda: self._range(left))
            if found is None and self._sees(*_COMPARATORS):
                found = self._test(left)
            if found is None:
                values.append(self._expression())
            else:
                tests.append(found)
            if not self._sees(")"):
                self._demand(",")
        if len(values) == 1 and not isinstance(values[0], Literal) and not tests:
            return Comparison("in", left, values[0])
        if values or not tests:
            tests.append(Comparison("in", left, Collection(tuple(values))))
        return tests[0] if len(tests) == 1 else Junction(conjunctive=False, parts=tuple(tests))

    def _test(self, left: Expression) -> Expression:
        symbol = self._next().text
        return Comparison(_COMPARATORS[symbol], left, self._sum())
