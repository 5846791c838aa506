"""Static shards: every scenario in exactly one, together with what it depends on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.collection.shards import Shard
from pytest_orchestra.errors import SettingsError

IDS = st.lists(st.text(min_size=1), unique=True, max_size=40)


@given(IDS, st.integers(1, 7), st.data())
def test_shards_are_a_partition_that_keeps_dependants_together(ids: list[str], count: int, data: st.DataObject) -> None:
    """Each node id is in one shard, and in the same one as all that it depends on."""
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), max_size=30)) if ids else []
    needs: dict[str, list[str]] = {}
    for node_id, needed in pairs:
        needs.setdefault(node_id, []).append(needed)
    shards = [Shard(number, count).choose(ids, needs) for number in range(1, count + 1)]
    assert sorted(node_id for shard in shards for node_id in shard) == sorted(ids)
    for node_id, needed in pairs:
        assert any({node_id, needed} <= shard for shard in shards)


def test_shard_of_a_scenario_does_not_change_with_the_others() -> None:
    """A new scenario moves nobody else."""
    ids = [f"order.bpmn::s{n}" for n in range(50)]
    before = Shard(2, 3).choose(ids, {})
    assert Shard(2, 3).choose([*ids, "order.bpmn::new"], {}) - {"order.bpmn::new"} == before
    assert 5 < len(before) < 30


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
