"""What functions and methods of condition languages mean, as far as it is the same in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from pytest_orchestra.generation.conditions.expressions import (
    Call,
    Comparison,
    Expression,
    Junction,
    Literal,
    Name,
    Negation,
    Opaque,
    Property,
)

__all__ = ["CONSTANTS", "compared", "function_of", "method_of"]

CONSTANTS: Mapping[str, bool | None] = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    "null": None, "none": None, "None": None, "nil": None, "undefined": None,
}  # fmt: skip

_Arguments: TypeAlias = tuple[Expression, ...]
_Meaning: TypeAlias = Callable[[_Arguments], Expression]

_GETTERS = frozenset(
    (
        *("getVariable", "getVariableLocal", "getProcessVariable", "getDataObject", "getDataInput", "getDataOutput"),
        *("getProcessProperty", "getActivityProperty", "getDataProperty"),
    )
)
_GETTERS_OF_PARTS = frozenset({"getActivityProperty", "getDataProperty"})
_VARIABLE_PREFIXES = frozenset({"var", "vars", "variables"})
_WRAPPERS = frozenset({"Integer", "Long", "Double", "Float", "Short", "BigDecimal", "BigInteger", "String", "Boolean"})


def _comparing(symbol: str) -> _Meaning:
    return lambda arguments: compared(symbol, arguments[0], arguments[1])


def _same(arguments: _Arguments) -> Expression:
    return arguments[0]


def _call(function: str) -> _Meaning:
    return lambda arguments: _folded(Call(function, arguments))


def _within(arguments: _Arguments) -> Expression:
    return Comparison("in", arguments[1], arguments[0])


def _equal_but_case(arguments: _Arguments) -> Expression:
    left, right = (_folded(Call("lower", (argument,))) for argument in arguments)
    return Comparison("==", left, right)


def _not_empty(arguments: _Arguments) -> Expression:
    return Negation(Property("empty", arguments[0]))


def _null(arguments: _Arguments) -> Expression:
    return Comparison("==", arguments[0], Literal(None))


def _is(value: bool) -> _Meaning:
    return lambda arguments: arguments[0] if value else Negation(arguments[0])


def _between(arguments: _Arguments) -> Expression:
    value, low, high = arguments
    return Junction(conjunctive=True, parts=(Comparison(">=", value, low), Comparison("<=", value, high)))


def _one_of(arguments: _Arguments) -> Expression:
    parts = tuple(Comparison("in", argument, arguments[0]) for argument in arguments[1:])
    return parts[0] if len(parts) == 1 else Junction(conjunctive=False, parts=parts)


def _all_of(arguments: _Arguments) -> Expression:
    parts = tuple(Comparison("in", argument, arguments[0]) for argument in arguments[1:])
    return parts[0] if len(parts) == 1 else Junction(conjunctive=True, parts=parts)


_FUNCTIONS: dict[tuple[str, int], _Meaning] = {
    ("not", 1): lambda arguments: Negation(arguments[0]),
    ("eval", 1): _same,
    ("boolean", 1): _same, ("number", 1): _same, ("string", 1): _same, ("str", 1): _same, ("int", 1): _same,
    ("float", 1): _same, ("bool", 1): _same, ("Number", 1): _same, ("String", 1): _same, ("Boolean", 1): _same,
    ("parseInt", 1): _same, ("parseFloat", 1): _same,
    ("list contains", 2): _within, ("contains", 2): _within,
    ("starts with", 2): _call("starts"), ("starts-with", 2): _call("starts"),
    ("ends with", 2): _call("ends"), ("ends-with", 2): _call("ends"),
    ("upper case", 1): _call("upper"), ("lower case", 1): _call("lower"),
    ("upper-case", 1): _call("upper"), ("lower-case", 1): _call("lower"),
    ("normalize-space", 1): _call("trim"),
    ("string length", 1): _call("length"), ("string-length", 1): _call("length"), ("len", 1): _call("size"),
    ("abs", 1): _call("absolute"),
    ("is empty", 1): lambda arguments: Property("empty", arguments[0]),
    ("IsNull", 1): _null, ("isNull", 1): _null, ("is null", 1): _null,
}  # fmt: skip

# https://docs.jboss.org/jbpm: KieFunctions; Flowable: "Expressions", the functions of the prefix "var"
_COMPARING = {
    "equals": "==", "equalsTo": "==", "eq": "==",
    "notEquals": "!=", "ne": "!=",
    "lowerThan": "<", "lessThan": "<", "lt": "<",
    "lowerThanOrEquals": "<=", "lessOrEqualThan": "<=", "lte": "<=",
    "greaterThan": ">", "gt": ">",
    "greaterThanOrEquals": ">=", "greaterOrEqualThan": ">=", "gte": ">=",
}  # fmt: skip
_OF_VARIABLES: dict[tuple[str, int], _Meaning] = {
    **{(name, 2): _comparing(symbol) for name, symbol in _COMPARING.items()},
    ("get", 1): _same,
    ("isTrue", 1): _is(True), ("isFalse", 1): _is(False),
    ("isNull", 1): _null,
    **dict.fromkeys([("exists", 1), ("exist", 1)], lambda arguments: Negation(_null(arguments))),
    ("empty", 1): lambda arguments: Property("empty", arguments[0]),
    ("isEmpty", 1): lambda arguments: Property("empty", arguments[0]),
    ("notEmpty", 1): _not_empty, ("isNotEmpty", 1): _not_empty,
    ("between", 3): _between,
    ("startsWith", 2): _call("starts"), ("endsWith", 2): _call("ends"),
}  # fmt: skip

_METHODS: dict[tuple[str, int], _Meaning] = {
    ("equals", 1): _comparing("=="), ("Equals", 1): _comparing("=="),
    ("equalsIgnoreCase", 1): _equal_but_case,
    ("compareTo", 1): _call("compare"), ("CompareTo", 1): _call("compare"),
    ("isEmpty", 0): lambda arguments: Property("empty", arguments[0]),
    ("isBlank", 0): lambda arguments: Property("empty", arguments[0]),
    ("contains", 1): _within, ("Contains", 1): _within, ("includes", 1): _within, ("containsKey", 1): _within,
    ("startsWith", 1): _call("starts"), ("StartsWith", 1): _call("starts"), ("startswith", 1): _call("starts"),
    ("endsWith", 1): _call("ends"), ("EndsWith", 1): _call("ends"), ("endswith", 1): _call("ends"),
    ("toLowerCase", 0): _call("lower"), ("ToLower", 0): _call("lower"), ("lower", 0): _call("lower"),
    ("toUpperCase", 0): _call("upper"), ("ToUpper", 0): _call("upper"), ("upper", 0): _call("upper"),
    ("trim", 0): _call("trim"), ("Trim", 0): _call("trim"), ("strip", 0): _call("trim"),
    ("length", 0): _call("length"), ("size", 0): _call("size"), ("Count", 0): _call("size"),
    **dict.fromkeys(
        [(name, 0) for name in ("toString", "ToString", "intValue", "longValue", "doubleValue", "booleanValue")], _same
    ),
    **dict.fromkeys(
        [(name, 0) for name in ("asText", "stringValue", "numberValue", "boolValue", "textValue", "value")], _same
    ),
}  # fmt: skip
_STATIC: dict[tuple[str, str, int], _Meaning] = {
    ("string", "IsNullOrEmpty", 1): lambda arguments: Property("empty", arguments[0]),
    ("String", "IsNullOrEmpty", 1): lambda arguments: Property("empty", arguments[0]),
    ("Objects", "equals", 2): _comparing("=="),
    ("Math", "abs", 1): _call("absolute"),
    **{(owner, "valueOf", 1): _same for owner in sorted(_WRAPPERS)},
    ("Integer", "parseInt", 1): _same, ("Long", "parseLong", 1): _same, ("Double", "parseDouble", 1): _same,
    ("Boolean", "parseBoolean", 1): _same,
}  # fmt: skip
_FOLDING: Mapping[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "trim": str.strip}


def compared(symbol: str, left: Expression, right: Expression) -> Expression:
    """Give a comparison; that of ``a.compareTo(b)`` with 0 is one of ``a`` with ``b``."""
    if isinstance(left, Call) and left.function == "compare" and right == Literal(0):
        return Comparison(symbol, *left.arguments)
    return Comparison(symbol, left, right)


def function_of(prefix: str, function: str, arguments: _Arguments) -> Expression:
    """Give what a call means; ``prefix`` is what stands before a colon, as in ``var:eq(x, 1)``. Opaque if unknown."""
    count = len(arguments)
    if prefix in _VARIABLE_PREFIXES and arguments:
        arguments = (_variable(arguments[0]), *arguments[1:])
        if function in ("contains", "containsAny") and count > 1:
            return (_all_of if function == "contains" else _one_of)(arguments)
        meaning = _OF_VARIABLES.get((function, count))
        return meaning(arguments) if meaning else Opaque(function)
    if function in CONSTANTS and not arguments:
        return Literal(CONSTANTS[function])
    if function in _GETTERS:
        return _got(function, arguments)
    meaning = _FUNCTIONS.get((function, count))
    return meaning(arguments) if meaning else Opaque(function)


def method_of(owner: Expression, method: str, arguments: _Arguments) -> Expression:
    """Give what a method call means, ``Opaque`` if that is not known."""
    if method in _GETTERS:
        return _got(method, arguments)
    path = owner.path if isinstance(owner, Name) else ()
    if path == ("KieFunctions",):
        meaning = _OF_VARIABLES.get((method, len(arguments)))
        if method == "contains" and len(arguments) > 1:
            meaning = _all_of
        return meaning(arguments) if meaning else Opaque(method)
    if path and isinstance(path[-1], str):
        meaning = _STATIC.get((path[-1], method, len(arguments)))
        if meaning is not None:
            return meaning(arguments)
        if len(path) == 1 and path[0] in ("variables", "vars") and method == "get":
            return _got(method, arguments)
    meaning = _METHODS.get((method, len(arguments)))
    if meaning is not None:
        return meaning((owner, *arguments))
    if method == "get" and len(arguments) == 1 and isinstance(owner, Name):
        return _item(owner, arguments[0])
    return _property(owner, method) if not arguments and isinstance(owner, Name) else Opaque(method)


def _property(owner: Name, method: str) -> Expression:
    """Read ``getAmount()`` and ``isPaid()`` as the properties ``amount`` and ``paid``, which beans mean by them."""
    for prefix in ("get", "is"):
        rest = method.removeprefix(prefix)
        if rest != method and rest[:1].isupper():
            return Name((*owner.path, rest[0].lower() + rest[1:]), is_call=True)
    return Opaque(method)


def _item(owner: Name, key: Expression) -> Expression:
    if isinstance(key, Literal) and isinstance(key.value, str | int) and not isinstance(key.value, bool):
        return Name((*owner.path, key.value), owner.is_call)
    return Opaque("get")


def _got(function: str, arguments: _Arguments) -> Expression:
    """Read ``getVariable('x')`` as the variable ``x``; those that take two names read a part of a thing."""
    texts = [
        argument.value for argument in arguments if isinstance(argument, Literal) and isinstance(argument.value, str)
    ]
    path = texts if function in _GETTERS_OF_PARTS else texts[:1]
    return Name(tuple(path)) if path and len(texts) == len(arguments) and all(path) else Opaque(function)


def _variable(argument: Expression) -> Expression:
    return Name((argument.value,)) if isinstance(argument, Literal) and isinstance(argument.value, str) else argument


def _folded(call: Call) -> Expression:
    """Compute the functions of constant texts, so that a comparison with them has a constant side."""
    [first, *_] = call.arguments
    if call.function in _FOLDING and isinstance(first, Literal) and isinstance(first.value, str):
        return Literal(_FOLDING[call.function](first.value))
    return call
