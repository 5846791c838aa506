"""Keys are readable, unique, and stable under changes elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from process_text import process_of
from suites import explicit, paths, plan

from pytest_orchestra.generation.limits import MAX_KEY_LENGTH
from pytest_orchestra.generation.wording import alias_of, slug


def test_branch_labels_make_the_key() -> None:
    """Only decisions that tell scenarios apart are named, in the order in which they are taken."""
    process = process_of(
        "start > xor1; xor1 -Large> a > xor2; xor1 -Small> end; xor2 -Express> b > end; xor2 -Standard> c > end"
    )
    assert sorted(paths(plan(process))) == ["large-express", "large-standard", "small"]


@pytest.mark.parametrize(("label", "key"), [("yes", "approved-yes"), ("Ja", "approved-ja"), ("2", "approved-2")])
def test_bare_answer_has_the_question_before_it(label: str, key: str) -> None:
    """A yes says nothing without the gateway's name."""
    process = process_of(f"start > xor; xor -{label}> a > end; xor -later> b > end", xor={"name": "Approved?"})
    assert sorted(paths(plan(process))) == sorted([key, "later"])


def test_unnamed_branch_is_called_by_its_target() -> None:
    """A flow without a name is known by what it leads to, an unnamed target by the flow's id."""
    process = process_of("start > xor; xor > a > end; xor > xorm > end", a={"name": "Ship goods"})
    assert sorted(paths(plan(process))) == ["ship-goods", "xor-xorm"]


def test_letters_of_every_script_are_kept() -> None:
    """Labels are in the language of their authors."""
    process = process_of("start > xor; xor -Größe L> a > end; xor -больше> b > end; xor -大口> c > end")
    assert sorted(paths(plan(process))) == sorted(["größe-l", "больше", "大口"])


def test_long_key_is_cut_with_a_hash() -> None:
    """A key has at most sixty characters."""
    process = process_of(f"start > xor; xor -{'a' * 90}> a > end; xor -{'a' * 89}b> b > end")
    keys = list(paths(plan(process)))
    assert [len(key) for key in keys] == [MAX_KEY_LENGTH, MAX_KEY_LENGTH]
    assert all(re.fullmatch(r"a{53}-[0-9a-f]{6}", key) for key in keys)
    assert len(set(keys)) == 2


def test_same_labels_are_told_apart_by_a_hash() -> None:
    """Two branches of one name give two keys."""
    keys = list(paths(plan(process_of("start > xor; xor -Same> a > end; xor -same> b > end"))))
    assert all(re.fullmatch(r"same-[0-9a-f]{6}", key) for key in keys)
    assert len(set(keys)) == 2


def test_generated_key_yields_to_the_user_s() -> None:
    """A key that the user has given away is not given again."""
    process = process_of("start > xor; xor -a> x > end; xor -b> y > end")
    keys = list(paths(plan(process, explicit("b", xor="a"))))
    assert keys[0] == "b"
    assert re.fullmatch(r"b-[0-9a-f]{6}", keys[1])


def test_generated_key_names_what_the_user_s_scenario_does_not_do() -> None:
    """One generated scenario beside one of the user's is called by its branch."""
    process = process_of("start > xor; xor -a> x > end; xor -b> y > end")
    assert list(paths(plan(process, explicit("mine", xor="a")))) == ["mine", "b"]


def test_hundred_decisions_in_a_row_leave_the_key_short() -> None:
    """Two scenarios cover two to the hundred paths; the first decision tells them apart."""
    text = ";".join(
        f"xor{i} -a{i}> m{i}; xor{i} -b{i}> m{i}; m{i} > {f'xor{i + 1}' if i < 99 else 'end'}" for i in range(100)
    )
    suite = plan(process_of(f"start > xor0; {text}"))
    assert sorted(paths(suite)) == ["a0", "b0"]
    assert suite.coverage[0].covered == suite.coverage[0].total


def test_key_is_stable_when_an_unrelated_part_changes() -> None:
    """A new task, a new name elsewhere and a decision further on that splits nothing leave the keys alone."""
    before = process_of("start > xor; xor -large> a > m; xor -small> b > m; m > c > end")
    after = process_of("start > check > xor; xor -large> a > m; xor -small> b > z > m; m > c > xor2; xor2 > d > end")
    assert sorted(paths(plan(before))) == sorted(paths(plan(after))) == ["large", "small"]


def test_version_changes_with_what_a_scenario_does_and_only_then() -> None:
    """The version is the hash of nodes, decisions and steps."""
    process = process_of("start > xor; xor -large> a > end; xor -small> b > end")
    renamed = replace(process, name="Other", documentation="now with a text")
    longer = process_of("start > xor; xor -large> a > z > end; xor -small> b > end")
    versions = {scenario.key: scenario.version for scenario in plan(process).scenarios}
    assert {scenario.key: scenario.version for scenario in plan(renamed).scenarios} == versions
    changed = {scenario.key: scenario.version for scenario in plan(longer).scenarios}
    assert changed["large"] != versions["large"]
    assert changed["small"] == versions["small"]
    assert all(re.fullmatch(r"[0-9a-f]{64}", version) for version in versions.values())


@given(st.text(max_size=30))
def test_slug_and_alias_are_always_usable(text: str) -> None:
    """Whatever a label says, a key has no character that node ids could not have, and an alias is an identifier."""
    part = slug(text)
    assert not set(part) & set("/:[] \t\n")
    assert part == part.strip("-")
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", alias_of(text, "fallback"))


_LABELS = st.text(alphabet="ab/:? é", min_size=1, max_size=4)


@given(st.lists(_LABELS, min_size=2, max_size=5))
def test_keys_are_unique_whatever_the_labels(labels: list[str]) -> None:
    """However alike branches are called, every scenario has a key of its own."""
    text = ";".join(f"xor -{label}> t{number} > end" for number, label in enumerate(labels))
    keys = [scenario.key for scenario in plan(process_of(f"start > xor; {text}")).scenarios]
    assert len(set(keys)) == len(labels)
    assert all(key and not set(key) & set("/:[]") for key in keys)


def _names(process) -> dict[str, str]:
    return {scenario.key: scenario.name for scenario in plan(process).scenarios}


def test_name_leaves_out_the_id_of_a_nameless_gateway_where_its_branches_say_enough() -> None:
    """People read what is done; the id of a gateway is there only where a branch says too little."""
    told = "start > xor; xor > a > end; xor -no> b > end"
    assert _names(process_of(told, a={"name": "Ship goods"})) == {"ship-goods": "Ship goods", "no": "xor: no"}
    long = told.replace("xor", "xor_0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    assert sorted(_names(process_of(long, a={"name": "Ship goods"})).values()) == [
        "Ship goods",
        "xor_0f1e2d3c4b5a697…: no",
    ]


def test_way_round_a_task_is_named_after_what_it_leaves_out() -> None:
    """A flow without a name that leads to a gateway without one is known by the way that it is not."""
    process = process_of("start > xor; xor > a > xorm; xor > xorm > end", a={"name": "Ship goods"})
    assert _names(process) == {"ship-goods": "Ship goods", "xor-xorm": "without Ship goods"}


def test_names_stay_short_and_are_told_apart_by_the_key() -> None:
    """Ids of forty characters are cut; where that makes two names alike, each has its key behind it."""
    gateway = "xor5F3A6E1C8B2A4F0E9C3D1A2B3C4D5E6F"
    process = process_of(f"start > {gateway}; {gateway} -{'a' * 200}x> a > end; {gateway} -{'a' * 200}y> b > end")
    names = _names(process)
    assert set(names.values()) == {f"{'a' * 119}… ({key})" for key in names}
    assert all(len(key) <= MAX_KEY_LENGTH for key in names)
