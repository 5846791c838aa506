"""Operations that an element may stand for, ranked. A suggestion is shown to people and never used by itself.

The score, from 0 to 1, weighs how many of the element's words the operation has (where: operationId, path, summary,
tags, names of parameters and fields, in falling weight), how many of the operation's words the element has, and whether
the element's verb means the operation's method.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pytest_orchestra.generation.binding.matching import Match
from pytest_orchestra.generation.binding.schemas import Schemas, json_media_type, success_response
from pytest_orchestra.generation.binding.vocabulary import agreement, is_of_notation, is_participle, is_stopped, verb_of
from pytest_orchestra.generation.binding.words import stem, words_of
from pytest_orchestra.model.specification import Operation, ProtocolSpec

__all__ = ["Suggestion", "Suggestions"]

LEAST: Final = 0.5
"""The lowest score that is worth a reader's time."""

MOST: Final = 3
"""How many operations are suggested for one element."""

_COVERED: Final = 0.45
_EXACT: Final = 0.2
_VERB: Final = 0.35
_DEPRECATED: Final = 0.9


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An operation that an element may stand for: ``service.operation``, with a score from 0 to 1."""

    match: Match
    score: float

    @property
    def endpoint(self) -> str:
        """The operation as ``endpointRef`` names it."""
        return self.match.label

    def __str__(self) -> str:
        return f"'{self.endpoint}' ({self.score:.2f})"


@dataclass(frozen=True)
class _Profile:
    """What the words of an operation are, each with the weight of its best place."""

    match: Match
    weights: Mapping[str, float]
    own: frozenset[str]
    verbs: frozenset[str]


class Suggestions:
    """Suggests operations of some specifications; their words are looked at once, when first asked."""

    def __init__(self, specs: Iterable[ProtocolSpec]) -> None:
        self._specs = tuple(specs)
        self._known: dict[str, tuple[Suggestion, ...]] = {}

    def of(self, name: str) -> tuple[Suggestion, ...]:
        """Give the operations that an element of that name may stand for, the best first."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._rank(name)
        return known

    @cached_property
    def _profiles(self) -> tuple[_Profile, ...]:
        return tuple(profile for spec in self._specs for profile in _profiles_of(spec))

    @cached_property
    def _by_word(self) -> Mapping[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {}
        for index, profile in enumerate(self._profiles):
            for word in profile.weights:
                found.setdefault(word, []).append(index)
        return {word: tuple(indexes) for word, indexes in found.items()}

    def _rank(self, name: str) -> tuple[Suggestion, ...]:
        words = [word for word in words_of(name) if not is_stopped(word)]
        if all(map(is_of_notation, words)):
            return ()
        acting = words[-1] if is_participle(words[-1]) else words[0]
        verb = verb_of(acting)
        nouns = list(dict.fromkeys(stem(word) for word in words if verb is None or word != acting))
        candidates = {index for word in (nouns or [verb or ""]) for index in self._by_word.get(word, ())}
        ranked = [
            Suggestion(profile.match, score)
            for profile in (self._profiles[index] for index in sorted(candidates))
            if (score := _score(nouns, verb, profile)) >= LEAST
        ]
        return tuple(sorted(ranked, key=lambda each: -each.score)[:MOST])


def _score(nouns: list[str], verb: str | None, profile: _Profile) -> float:
    weights = profile.weights
    sought = nouns or ([verb] if verb else [])
    covered = sum(weights.get(word, 0.0) for word in sought) / len(sought)
    if covered == 0:
        return 0.0
    mine = {*nouns, *([verb] if verb else [])}
    exact = len(mine & profile.own) / len(profile.own) if profile.own else 0.0
    score = _COVERED * covered + _EXACT * exact + _VERB * agreement(verb, profile.verbs, profile.match.operation.method)
    return round(score * (_DEPRECATED if profile.match.operation.deprecated else 1.0), 2)


def _profiles_of(spec: ProtocolSpec) -> Iterator[_Profile]:
    schemas = Schemas(spec)
    for operation in spec.operations:
        weights: dict[str, float] = {}
        for weight, words in _words(operation, schemas):
            for word in words:
                weights[word] = max(weights.get(word, 0.0), weight)
        named = operation.name if operation.name != operation.signature else operation.path
        own = [stem(word) for word in words_of(_without_parameters(named)) if not is_stopped(word)]
        verbs = [base for word in words_of(f"{named} {operation.summary}") if (base := verb_of(word)) is not None]
        yield _Profile(Match(spec, operation), weights, frozenset(own), frozenset(verbs))


def _words(operation: Operation, schemas: Schemas) -> Iterator[tuple[float, Iterable[str]]]:
    """Give the words of an operation by the weight of the place where they are."""
    yield 1.0, _stems(operation.name if operation.name != operation.signature else "")
    yield 0.9, _stems(_without_parameters(operation.path))
    yield 0.85, _stems(operation.summary)
    yield 0.6, _stems(" ".join(operation.tags))
    yield 0.4, _stems(" ".join(parameter.name for parameter in operation.parameters))
    request = json_media_type(operation.request_bodies)
    response = success_response(operation)
    reply = json_media_type(response.media_types) if response is not None else None
    for media_type, weight in ((request, 0.4), (reply, 0.3)):
        if media_type is not None:
            fields = schemas.at(media_type.schema).get("properties")
            yield weight, _stems(" ".join(fields) if isinstance(fields, Mapping) else "")
            yield weight, _stems(media_type.schema.uri.rpartition("/")[2] if media_type.schema is not None else "")


def _stems(text: str) -> Iterable[str]:
    return [stem(word) for word in words_of(text) if not is_stopped(word)]


def _without_parameters(path: str) -> str:
    return " ".join(part for part in path.split("/") if not part.startswith("{"))
