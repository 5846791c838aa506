"""Which of an environment's profiles a step means: the one that it names, or the only one there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pytest_orchestra.errors import UnknownAliasError
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["ProfileWords", "choose_profile"]

_Profile = TypeVar("_Profile")


@dataclass(frozen=True, slots=True)
class ProfileWords:
    """How messages call a profile, several of them, the field that lists them, and the step's field that names one."""

    one: str
    several: str
    listed_in: str
    named_by: str


def choose_profile(
    known: Mapping[str, _Profile], alias: object, environment: str, words: ProfileWords
) -> tuple[str, _Profile]:
    """Give the profile of that alias, the only one if it is None, with its name. Raises ``UnknownAliasError``."""
    if alias is None:
        if len(known) == 1:
            return next(iter(known.items()))
        if not known:
            raise UnknownAliasError(
                f"environment '{environment}' has no {words.one}", hint=f"add one to its '{words.listed_in}'"
            )
        named = ", ".join(f"'{name}'" for name in known)
        raise UnknownAliasError(
            f"environment '{environment}' has several {words.several}: {named}",
            hint=f"say which one with '{words.named_by}'",
        )
    name = str(alias)
    profile = known.get(name)
    if profile is None:
        raise UnknownAliasError(
            f"environment '{environment}' has no {words.one} '{name}'",
            hint=suggest(name, known, f"add '{name}' to its '{words.listed_in}'"),
        )
    return name, profile
