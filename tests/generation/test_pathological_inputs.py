"""Inputs that no modeller draws: none takes long or much memory, and what is cut is said with its limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pathological import INPUTS

HERE = Path(__file__).parent
SECONDS, MEGABYTES = 10.0, 500.0
PATIENCE = 600.0
"""Seconds of wall time after which a process is not waited for any longer, however busy the machine is."""

EXPECTED: dict[str, int] = {
    "10,000 nodes in a row": 1,
    "3,000 parallel branches": 1,
    "10,000 disconnected nodes": 1,
    "5,000 exclusive gateways in a row": 2,
    "500 boundary events on one task": 500,
}
"""How many scenarios edge and node coverage take, where that is plain to see."""

CUT: dict[str, str] = {
    "2,000 nested sub-processes": "elements are nested deeper than 100 levels",
    "5,000-way gateway": "limit of 1000 scenarios",
    "5,000-way gateway without a join": "limit of 1000 scenarios",
    "40 doublings of the tokens": "limit",
}
"""What is too large, with what the problem must say."""

CRITERIA = ("edge,node", "all")


def planned(name: str, folder: Path) -> list[dict[str, Any]]:
    """Give what a process of its own, which may have no more memory, says of an input under each of the criteria."""
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    command = [sys.executable, str(HERE / "pathological.py"), name, str(folder / "odd.bpmn"), *CRITERIA]
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-2_000:])
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", INPUTS)
def test_odd_input_is_planned_within_bounds(name: str, tmp_path: Path) -> None:
    """Ten seconds and 500 MB at most; every goal is covered or has a reason, and a limit that was reached is named."""
    for criteria, found in zip(CRITERIA, planned(name, tmp_path), strict=True):
        assert found["seconds"] < SECONDS, found
        assert found["megabytes"] < MEGABYTES, found
        assert all(reason.strip() for reason in found["reasons"])
        if any("its limit" in reason for reason in found["reasons"]):
            assert any("limit" in problem for problem in found["problems"]), found["problems"]
        if name in CUT:
            assert any(CUT[name] in problem for problem in found["problems"]), found["problems"]
        if name in EXPECTED and criteria != "all":
            assert (found["scenarios"], found["missing"]) == (EXPECTED[name], 0)
