"""Static shards: which part of the scenarios a session runs, the same on every machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_orchestra.errors import SettingsError

__all__ = ["Shard"]

_WRITTEN = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Shard:
    """The ``number``-th of ``count`` parts, counted from 1."""

    number: int
    count: int

    @classmethod
    def read(cls, text: str) -> Shard | None:
        """Read ``2/5``; None where nothing is written. Raises ``SettingsError``."""
        if not text:
            return None
        found = _WRITTEN.fullmatch(text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise SettingsError(f"--orchestra-shard: '{text}' is no part of a whole", hint="for example 2/5")
        return cls(int(found[1]), int(found[2]))

    def choose(self, node_ids: Iterable[str], needs: Mapping[str, Iterable[str]]) -> set[str]:
        """Choose the node ids of this shard. ``needs`` says which others each one depends on.

        What depends on each other, directly or not, falls into one shard, so that no shard waits for another; which one
        is decided by a hash of the first of its node ids, and so does not change when other scenarios are added.
        """
        ids = list(node_ids)
        leader = {node_id: node_id for node_id in ids}

        def find(node_id: str) -> str:
            while leader[node_id] != node_id:
                leader[node_id] = leader[leader[node_id]]
                node_id = leader[node_id]
            return node_id

        for node_id, needed in needs.items():
            for other in needed:
                if node_id in leader and other in leader:
                    first, second = sorted((find(node_id), find(other)))
                    leader[second] = first
        return {node_id for node_id in ids if self._has(find(node_id))}

    def _has(self, node_id: str) -> bool:
        digest = hashlib.sha256(node_id.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1
