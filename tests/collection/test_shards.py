"""Static shards: every scenario in exactly one, together with what it depends on, and none with too many."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.collection.shards import Shard
from pytest_orchestra.errors import SettingsError

IDS = st.lists(st.text(min_size=1), unique=True, max_size=40)


def shards_of(ids: list[str], count: int, needs: dict[str, list[str]] | None = None) -> dict[str, int]:
    """Give the shard of each node id; each has exactly one."""
    found = [(node_id, n) for n in range(1, count + 1) for node_id in Shard(n, count).choose(ids, needs or {})]
    assert Counter(node_id for node_id, _ in found) == Counter(ids)
    return dict(found)


@given(IDS, st.integers(1, 7), st.data())
def test_shards_are_a_partition_that_keeps_dependants_together(ids: list[str], count: int, data: st.DataObject) -> None:
    """Each node id is in one shard, and in the same one as all that it depends on; what is absent binds nobody."""
    pairs = data.draw(st.lists(st.tuples(st.sampled_from([*ids, ""]), st.sampled_from([*ids, ""])), max_size=30))
    needs: dict[str, list[str]] = {}
    for node_id, needed in pairs:
        needs.setdefault(node_id, []).append(needed)
    shards = shards_of(ids, count, needs)
    assert all(shards[node_id] == shards[needed] for node_id, needed in pairs if node_id and needed)


@given(IDS, st.integers(1, 9), st.data())
def test_shards_of_independent_scenarios_have_no_more_than_their_share(
    ids: list[str], count: int, data: st.DataObject
) -> None:
    """No shard has more than its share, rounded up, and the order of collection does not matter."""
    shards = shards_of(ids, count)
    assert all(size <= -(-len(ids) // count) for size in Counter(shards.values()).values())
    assert shards_of(data.draw(st.permutations(ids)), count) == shards


def test_shards_are_filled_beside_a_large_group() -> None:
    """A group that cannot be divided takes the room of others, which go to the shards that are left."""
    ids = [f"s{n:02}" for n in range(30)]
    needs = {node_id: ["s00"] for node_id in ids[1:15]}
    sizes = Counter(shards_of(ids, 3, needs).values())
    assert sorted(sizes.values()) == [5, 10, 15]


def test_most_scenarios_stay_in_their_shard_when_others_are_added() -> None:
    """What a machine keeps of its scenarios, settling times for example, stays of use."""
    ids = [f"order.bpmn::path-{n}" for n in range(100)]
    before, after = shards_of(ids, 5), shards_of([*ids, "order.bpmn::new-1", "order.bpmn::new-2"], 5)
    assert sum(before[node_id] != after[node_id] for node_id in ids) <= 10


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_wrong_shard_is_told(text: str) -> None:
    """Only a part of a whole is one."""
    with pytest.raises(SettingsError) as caught:
        Shard.read(text)
    assert str(caught.value) == f"--orchestra-shard: '{text}' is no part of a whole\nhint: for example 2/5"


def test_no_shard_is_none() -> None:
    """Without the option everything runs."""
    assert Shard.read("") is None
    assert Shard.read("2/5") == Shard(2, 5)
