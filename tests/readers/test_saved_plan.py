"""Saved plans: read with places, and rubbish refused with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.readers.plan_file import plan_path, read_saved_plan

SCENARIO: dict[str, Any] = {
    "key": "main",
    "name": "Order",
    "nodes": ["a"],
    "flows": ["f"],
    "decisions": [],
    "conditions": [],
    "data": ["d"],
    "steps": [{"alias": "s", "element": "a", "kind": "ACTION", "definition": "0" * 16}],
}
PLAN: dict[str, Any] = {
    "format": "orchestra-plan",
    "version": 1,
    "file": "order.bpmn",
    "processes": [
        {
            "id": "order",
            "name": "Order",
            "hash": "",
            "coverage": {"edge": {"covered": 1, "total": 1}},
            "elements": [{"id": "a", "kind": "task"}],
            "flows": [{"id": "f", "source": "a", "target": "a"}],
            "scenarios": [SCENARIO],
        }
    ],
    "operations": {},
    "definitions": {"0" * 16: {"fields": {}}},
    "dataSets": {"d": {"digest": "1" * 16, "fields": []}},
}
ANEW = "save it anew with 'orchestra plan FILE --save'"


def refused(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DefinitionError) as raised:
        read_saved_plan(path)
    return [f"{problem.place}: {problem.message} | {problem.hint}" for problem in raised.value.problems]


def test_plan_that_is_one_is_read(tmp_path: Path) -> None:
    """What was written is what is read."""
    path = tmp_path / "order.plan.json"
    path.write_text(json.dumps(PLAN))
    plan = read_saved_plan(path)
    assert plan.processes[0].scenarios[0].key == "main"


@pytest.mark.parametrize("name", ["order.bpmn", "order.bpmn20.xml", "order.BPMN", "order.mmd"])
def test_plan_lies_beside_its_model(name: str) -> None:
    """As the sidecar does."""
    assert plan_path(Path("models") / name) == Path("models/order.plan.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", f"p.json:1:1: is no saved plan | {ANEW}"),
        ("[1]", f"p.json:1:1: is no saved plan | {ANEW}"),
        (
            json.dumps({"file": "x", "scenarios": [], "coverage": {}}),
            f"p.json:1:1: is the output of '--format json', which is no saved plan | {ANEW}",
        ),
        (
            json.dumps({"format": "orchestra-plan", "version": 2}),
            (
                "p.json:1:41: the plan has format version 2, and this version of pytest-orchestra reads 1"
                " | update pytest-orchestra, or save the plan anew"
            ),
        ),
        (
            json.dumps({"format": "orchestra-plan", "version": "1"}),
            f"p.json:1:41: the plan has no format version that is known | {ANEW}",
        ),
        (
            json.dumps({"format": "orchestra-plan"}),
            f"p.json:1:1: the plan has no format version that is known | {ANEW}",
        ),
    ],
)
def test_other_file_is_refused_with_place_and_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """Another file, another version: told at its place."""
    monkeypatch.chdir(tmp_path)
    assert refused(Path("p.json"), text) == [message]


def test_text_that_is_no_json_is_told_with_line_and_column(tmp_path: Path) -> None:
    """A conflict that nobody resolved, for one."""
    (message,) = refused(tmp_path / "p.json", "{\n<<<<<<< HEAD\n}")
    assert f"{tmp_path / 'p.json'}:2:1: " in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"key": 7}, "'key' takes a text, not the number 7"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"nodes": ["a", "b"]}, "the plan has no element 'b'"),
        ({"flows": ["g"]}, "the plan has no flow 'g'"),
        ({"data": ["e"]}, "the plan has no data set 'e'"),
        (
            {"steps": [{"alias": "s", "element": "a", "kind": "ACTION", "definition": "f" * 16}]},
            f"the plan has no definition '{'f' * 16}'",
        ),
        ({"steps": [{"alias": "s", "element": "a", "kind": "ACT", "definition": "0" * 16}]}, "'ACT'"),
    ],
)
def test_change_by_hand_is_told_where_it_stands(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    """Every finding has line and column."""
    wrong = {**PLAN, "processes": [{**PLAN["processes"][0], "scenarios": [{**SCENARIO, **change}]}]}
    path = tmp_path / "p.json"
    found = refused(path, json.dumps(wrong, indent=1))
    assert any(expected in message for message in found), found
    assert all(message.startswith(f"{path}:") for message in found)


def test_repeated_key_is_told(tmp_path: Path) -> None:
    """A merge that kept both sides."""
    twice = {**PLAN, "processes": [{**PLAN["processes"][0], "scenarios": [SCENARIO, SCENARIO]}]}
    (message,) = refused(tmp_path / "p.json", json.dumps(twice))
    assert "two scenarios have the key 'main'" in message
