"""Names for scenarios: from the branches that tell them apart."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.generation.control_flow.decisions import NORMAL, Decision
from pytest_orchestra.generation.control_flow.repetitions import ONCE
from pytest_orchestra.generation.limits import MAX_KEY_LENGTH
from pytest_orchestra.generation.token_game.game import Choice
from pytest_orchestra.generation.wording import slug

__all__ = ["MAIN", "ScenarioName", "companion_key", "name_scenarios"]

MAIN = "main"
"""The key of a scenario that nothing tells apart: the only one, or the one without any boundary event."""

_HASH_LENGTH = 6
_LONGEST_ID = 20
"""Ids that some modellers write have 40 characters, which tell a reader no more than the first."""
_LONGEST_NAME = 120
_BARE_ANSWERS = frozenset(
    (
        *("yes", "no", "y", "n", "true", "false", "ok", "nok", "not-ok", "else", "otherwise", "default"),
        *("ja", "nein", "nej", "nee", "oui", "non", "sí", "si", "sim", "não", "nao", "tak", "nie", "да", "нет"),
        *("是", "否"),
    )
)
"""Labels that say nothing without the question that they answer."""


@dataclass(frozen=True, slots=True)
class ScenarioName:
    """The key of a scenario, and its name in words."""

    key: str
    name: str


def name_scenarios(
    choices: Sequence[Sequence[Choice]],
    neighbours: Sequence[Sequence[Choice]],
    decisions: Mapping[int, Decision],
    taken: Collection[str],
    main_name: str,
) -> tuple[ScenarioName, ...]:
    """Give for each scenario, by what it decided, a key that none of the others and none of the ``taken`` has.

    Scenarios that have decided alike so far, the ``neighbours`` (which have names already) among them, are told apart
    by the first decision in which they differ. Only such branches make the key, so that a change elsewhere leaves it
    alone. A key that is too long or not unique ends in a hash of all decisions.
    """
    telling = _telling_choices((*choices, *neighbours))[: len(choices)]
    plain = ["-".join(part for part in (_part(choice, decisions) for choice in own) if part) for own in telling]
    plain = [key or MAIN for key in plain]
    seen = Counter(plain)
    used = set(taken)
    names: list[ScenarioName] = []
    for number, own in enumerate(telling):
        key = plain[number]
        if len(key) > MAX_KEY_LENGTH or seen[key] > 1 or key in used:
            key = _hashed(key, choices[number], decisions, used)
        used.add(key)
        words = _cut(", ".join(_words(choice, decisions) for choice in own), _LONGEST_NAME)
        names.append(ScenarioName(key, words or main_name))
    return tuple(_told_apart(names))


def companion_key(base: str, manner: str, taken: Collection[str]) -> str:
    """Give the key of a scenario that does what another one does, in another manner: ``reordered``, ``at-once``."""
    key = f"{base}-{manner}"
    number = 1
    while key in taken:
        number += 1
        key = f"{base}-{manner}-{number}"
    return key


def _telling_choices(choices: Sequence[Sequence[Choice]]) -> list[list[Choice]]:
    """Give for each scenario the choices at which it parts from others that had decided alike until then."""
    found: list[list[Choice]] = [[] for _ in choices]
    groups: list[tuple[list[int], int]] = [(list(range(len(choices))), 0)]
    while groups:
        members, depth = groups.pop()
        while len(members) > 1 and all(len(choices[member]) > depth for member in members):
            parts: dict[tuple[int, tuple[str, ...]], list[int]] = {}
            for member in members:
                choice = choices[member][depth]
                parts.setdefault((choice.point, choice.branches), []).append(member)
            depth += 1
            if len(parts) > 1:
                for part in parts.values():
                    for member in part:
                        found[member].append(choices[member][depth - 1])
                groups.extend((part, depth) for part in parts.values())
                break
    return found


def _part(choice: Choice, decisions: Mapping[int, Decision]) -> str:
    decision = decisions[choice.point]
    labels = [slug(label) or slug(branch) or "branch" for branch, label in _labels(choice, decision)]
    joined = "-and-".join(labels)
    bare = joined in _BARE_ANSWERS or joined.isdigit() or len(joined) == 1
    prefix = slug(decision.name) if decision.name != decision.element else ""
    return f"{prefix}-{joined}" if bare and prefix else joined


def _words(choice: Choice, decisions: Mapping[int, Decision]) -> str:
    """Say what was taken. A decision without a name is called by its id only where its branches say too little."""
    decision = decisions[choice.point]
    labels = _labels(choice, decision)
    taken = " and ".join(_cut(label, _LONGEST_ID) if label == branch else label for branch, label in labels) or NORMAL
    if decision.name != decision.element:
        return f"{decision.name} {taken}" if decision.name.endswith("?") else f"{decision.name}: {taken}"
    bare = slug(taken) in _BARE_ANSWERS or taken.isdigit() or len(taken) == 1 or taken == NORMAL
    if labels and not bare and all(label != branch for branch, label in labels):
        return taken
    others = [branch for branch in decision.branches if branch.id not in choice.branches]
    if len(others) == 1 and all(label == branch for branch, label in labels) and not decision.is_repetition:
        other = others[0].name or others[0].target_name
        if other and slug(other) not in _BARE_ANSWERS and others[0].id != NORMAL:
            return f"without {other}"
    return f"{_cut(decision.element, _LONGEST_ID)}: {taken}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip(' ,')}\N{HORIZONTAL ELLIPSIS}"


def _told_apart(names: Sequence[ScenarioName]) -> Iterator[ScenarioName]:
    """Put the key behind names that several have: what was left out of them may be what told them apart."""
    seen = Counter(each.name for each in names)
    for each in names:
        yield each if seen[each.name] == 1 else ScenarioName(each.key, f"{each.name} ({each.key})")


def _labels(choice: Choice, decision: Decision) -> list[tuple[str, str]]:
    """Give the branches of a choice with their labels; a normal end and a single instance go without saying."""
    return [
        (branch.id, branch.name or branch.target_name or branch.id)
        for branch in decision.branches
        if branch.id in choice.branches and branch.id != (ONCE if decision.is_repetition else NORMAL)
    ]


def _hashed(key: str, choices: Sequence[Choice], decisions: Mapping[int, Decision], used: Collection[str]) -> str:
    text = "\n".join(f"{decisions[choice.point].element}:{','.join(choice.branches)}" for choice in choices)
    digest = hashlib.sha256(text.encode()).hexdigest()
    for length in range(_HASH_LENGTH, len(digest)):
        candidate = f"{key[: MAX_KEY_LENGTH - length - 1].rstrip('-')}-{digest[:length]}"
        if candidate not in used:
            return candidate
    return digest
