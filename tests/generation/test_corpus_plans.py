"""Every file of the corpus, planned under all criteria in a process of its own: time, memory, coverage, same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CORPUS = HERE.parents[2] / "shared" / "corpus" / "bpmn"
FILES = sorted(str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*") if path.is_file()) if CORPUS.is_dir() else []
SECONDS, MEGABYTES = 5.0, 300.0


def run(wanted: str, seed: str) -> list[dict[str, Any]]:
    """Run the script in an interpreter with this hash seed."""
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths}
    command = [sys.executable, str(HERE / "planning_script.py"), wanted]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outputs() -> list[dict[str, dict[str, Any]]]:
    """Give what two interpreters say of each file."""
    if not FILES:
        pytest.skip("the corpus is not beside this repository")
    return [{one["name"]: one for one in run(str(CORPUS), seed)} for seed in ("1", "4711")]


@pytest.mark.parametrize("file", FILES or ["the corpus"])
def test_corpus_file_is_planned_within_bounds_and_explained(
    outputs: list[dict[str, dict[str, Any]]], file: str
) -> None:
    """Quickly, in little memory, with a reason for every flow, node and branch that no scenario takes."""
    one, other = (output[file] for output in outputs)
    assert one["seconds"] < SECONDS
    assert one["megabytes"] < MEGABYTES
    assert one["cuts"] == []
    assert one["digest"] == one["again"] == other["digest"]
    assert all(reason.strip() for _, _, reason in one["missing"])
    assert not [reason for _, _, reason in one["missing"] if "not searched" in reason]
    for _, covered, total in one["covered"]:
        assert 0 <= covered <= total
    missed = sum(1 for criterion, _, _ in one["missing"] if criterion == "edge")
    assert missed == sum(total - covered for criterion, covered, total in one["covered"] if criterion == "edge")


def test_most_flows_of_the_corpus_are_covered(outputs: list[dict[str, dict[str, Any]]]) -> None:
    """All but those that lead from or to what is unreachable, broken or deadlocked."""
    counts = [coverage for one in outputs[0].values() for coverage in one["covered"] if coverage[0] == "edge"]
    covered, total = sum(count[1] for count in counts), sum(count[2] for count in counts)
    assert total > 800
    assert covered / total > 0.88


def test_drawn_processes_have_the_same_plans_in_every_interpreter() -> None:
    """No order of hashes shows in the plan, its text, or the suite."""
    first, second, third = (run("drawn", seed) for seed in ("0", "1", "4711"))
    assert first == second == third
    assert len(first) == 40
