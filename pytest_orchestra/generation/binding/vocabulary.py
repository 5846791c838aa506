"""English verbs of business, what they mean to HTTP, and words that mean nothing here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

from pytest_orchestra.generation.binding.words import stem

__all__ = ["agreement", "is_of_notation", "is_participle", "is_stopped", "verb_of"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VERBS: Final[Mapping[str, frozenset[str]]] = {
    "POST": _words(
        """add accept answer approve apply ask assign authorize begin book bill buy calculate cancel capture charge
        check complete confirm create decide deliver dispatch enter file fulfill inform initiate insert invite invoice
        issue launch log make notify open order pay perform pick place post prepare process publish record refund
        register reject release report request reserve return run schedule send ship sign start store submit take
        trigger upload validate verify write"""
    ),
    "GET": _words(
        """await check collect determine download fetch find get inspect list load look monitor poll query read receive
        retrieve review search see show verify view wait watch"""
    ),
    "PUT": _words("change complete confirm edit modify put rename replace set store update upload"),
    "PATCH": _words("adjust cancel change complete confirm correct edit modify patch set update"),
    "DELETE": _words("abort cancel clear close delete discard drop free remove release revoke undo withdraw"),
}
_ALL: Final = frozenset().union(*_VERBS.values())
_SAME: Final = (
    _words("add create insert make new open place register submit"),
    _words("fetch find get load query read retrieve search show view"),
    _words("change edit modify patch put set update"),
    _words("delete discard drop erase remove"),
    _words("bill charge collect debit pay take"),
    _words("deliver dispatch send ship"),
    _words("allocate book hold reserve"),
    _words("abort cancel revoke withdraw"),
    _words("approve confirm decide reject"),
    _words("check validate verify"),
    _words("check get inspect look monitor review see show view"),
    _words("inform notify"),
)
_IRREGULAR: Final[Mapping[str, str]] = {
    "found": "find",
    "made": "make",
    "paid": "pay",
    "sent": "send",
    "taken": "take",
    "withdrawn": "withdraw",
}
_BPMN: Final = _words("activity end event gateway process start step subprocess task")
_STOPPED: Final = _words("a an and at by for from if in into is it its of on or the their to up via with")
_UNSAID: Final = 0.4
_LIKE: Final = 0.9
_ALMOST_LIKE: Final = 0.7
_FITTING: Final = 0.6
_OTHER: Final = 0.2


def is_stopped(word: str) -> bool:
    """Tell whether a word says nothing about what is meant."""
    return word in _STOPPED


def is_of_notation(word: str) -> bool:
    """Tell whether a word, or a number, names elements of a drawing and not what they are about: ``Task 1``."""
    return word in _BPMN or len(word) == 1 or word.isdecimal()


def is_participle(word: str) -> bool:
    """Tell whether a word says what has been done: ``placed``."""
    return (word.endswith("ed") or word in _IRREGULAR) and verb_of(word) is not None


@lru_cache(maxsize=20_000)
def verb_of(word: str) -> str | None:
    """Give the infinitive of a verb that is known: ``place`` for ``placed``, ``placing`` and ``places``."""
    candidates = [word, stem(word), _IRREGULAR.get(word, "")]
    for ending in ("ed", "ing"):
        if word.endswith(ending):
            base = word.removesuffix(ending)
            candidates += [base, f"{base}e", base[:-1] if base[-1:] == base[-2:-1] else ""]
    if word.endswith("ied"):
        candidates.append(f"{word[:-3]}y")
    return next((each for each in candidates if each in _ALL), None)


def agreement(verb: str | None, verbs: Collection[str], method: str) -> float:
    """Give how well a verb agrees with an operation, from 0 to 1.

    Best if it is one of the operation's own ``verbs``, then if one of these means the same, then if the method fits
    and it has no verb that means something else.
    """
    if verb is None:
        return _UNSAID
    if verb in verbs:
        return 1.0
    fits = verb in _VERBS.get(method.upper(), ())
    if any(verb in group and not group.isdisjoint(verbs) for group in _SAME):
        return _LIKE if fits else _ALMOST_LIKE
    if not fits:
        return 0.0
    return _OTHER if verbs else _FITTING
