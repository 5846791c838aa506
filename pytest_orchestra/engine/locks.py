"""Which runs of a session may have what they want for themselves: first come, first served, all or nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["LockQueue"]


@dataclass
class LockQueue:
    """The locks of one session's runs, by key.

    A run gets all of its locks at once or waits for them without holding any, so that no two wait for each other; and
    it waits behind those that came before it and want one of the same, so that nobody waits for ever.
    """

    _held: dict[str, str] = field(default_factory=dict)
    _waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def enter(self, key: str, names: Sequence[str]) -> tuple[str, str] | None:
        """Give a run its locks; if that cannot be, the lock it waits for, and the run that has it or is to have it."""
        if not names:
            return None
        obstacle = self._obstacle(key, names)
        if obstacle is not None:
            self._waiting.setdefault(key, tuple(names))
            return obstacle
        self._waiting.pop(key, None)
        self._held.update(dict.fromkeys(names, key))
        return None

    def leave(self, key: str) -> list[str]:
        """Take a run's locks, or its place in the queue, back; give those that could enter now."""
        had = [name for name, holder in self._held.items() if holder == key]
        for name in had:
            del self._held[name]
        was_waiting = self._waiting.pop(key, None) is not None
        if not had and not was_waiting:
            return []
        return [other for other, names in self._waiting.items() if self._obstacle(other, names) is None]

    def forget(self, keys: Iterable[str]) -> None:
        """Let runs wait no longer."""
        for key in keys:
            self._waiting.pop(key, None)

    def _obstacle(self, key: str, names: Sequence[str]) -> tuple[str, str] | None:
        for name in sorted(names):
            if self._held.get(name, key) != key:
                return name, self._held[name]
        for other, wanted in self._waiting.items():
            if other == key:
                break
            common = set(wanted) & set(names)
            if common:
                return min(common), other
        return None
