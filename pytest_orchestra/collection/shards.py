"""Static shards: which part of the scenarios a session runs, the same on every machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

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

        What depends on each other, directly or not, falls into one shard, so that no shard waits for another; and each
        shard gets its share of the node ids, rounded up, as far as that allows. Every session has to ask with the same.

        A group goes to the shard that its first node id ranks highest among those that have room for it, larger groups
        before smaller ones. So most stay where they are when others are added. After rendezvous hashing (Thaler and
        Ravishankar, 1998) with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2018).
        """
        groups = sorted(_groups(list(node_ids), needs), key=lambda group: (-len(group), _rank(group[0], -1)))
        room = [-(-sum(map(len, groups)) // self.count)] * self.count
        ours: set[str] = set()
        for group in groups:
            fitting = [shard for shard in range(self.count) if room[shard] >= len(group)]
            ranked = sorted(fitting, key=partial(_rank, group[0]))
            chosen = ranked[0] if ranked else room.index(max(room))
            room[chosen] -= len(group)
            if chosen == self.number - 1:
                ours.update(group)
        return ours


def _groups(ids: Sequence[str], needs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Give what depends on each other, directly or not, each group in order and with its first node id first."""
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
    groups: dict[str, list[str]] = {}
    for node_id in sorted(leader):
        groups.setdefault(find(node_id), []).append(node_id)
    return list(groups.values())


def _rank(node_id: str, shard: int) -> bytes:
    return hashlib.sha256(f"{shard} {node_id}".encode("utf-8", "surrogatepass")).digest()
