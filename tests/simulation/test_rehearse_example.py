"""The example's process is rehearsed on all channels with nothing running but the rehearsal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="needs 'grpcio': the example's prices are asked by gRPC")

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
NOWHERE = {"SHOP_DATABASE_URL": "postgresql://127.0.0.1:9/shop", "SHOP_KAFKA_SERVERS": "127.0.0.1:9"}


def test_example_is_rehearsed_before_any_environment_exists(tmp_path):
    """Every assertion looks at something, but for those that ask the database, for which nobody stands in."""
    folder = tmp_path / "shop"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    environment = {**os.environ, **NOWHERE, "SHOP_AMQP_URL": "amqp://127.0.0.1:9"}
    # nothing that is meant for the real stage is set, neither its domain nor its secrets
    command = [sys.executable, "-m", "pytest_orchestra", "rehearse", "order.bpmn", "--environment", "stage"]
    command += ["--format", "json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    facts = json.loads(done.stdout)
    assert [each["alias"] for each in facts["assertions"] if each["vacuous"]] == []
    looking = {each["alias"]: each["failsBy"] for each in facts["assertions"]}
    assert {"place", "payment", "price", "announced", "shipped", "parcel", "cancelled", "answered"} <= looking.keys()
    assert "prices.Prices.GetPrice:numbers" in looking["price"]
    assert "orders.messages:numbers" in looking["announced"]
    assert "warehouse.messages:lost" in looking["answered"]
    reason = "not rehearsed: nobody simulates database 'shop'"
    left_out = {(each["alias"], each["reason"]) for each in facts["leftOut"]}
    assert left_out == {(alias, reason) for alias in ("reservation", "charged_once", "released", "not_charged")}
