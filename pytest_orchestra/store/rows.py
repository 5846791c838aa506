"""Model values as rows of the store and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_orchestra.engine.ports import Lease, StepIntent, StoredRun
from pytest_orchestra.model.json import JsonObject, from_json, to_json
from pytest_orchestra.model.run import RunAttempt, RunStatus, StepResult, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.store.jsonb import dump_jsonb, unescape_text

__all__ = [
    "Claim",
    "StepWrite",
    "claim_items",
    "lease_items",
    "run_items",
    "stored_run_of",
    "suite_run_of",
    "version_items",
    "write_items",
]


@dataclass(frozen=True, slots=True)
class Claim:
    """The wish of a worker to run a TestRun for ``ttl_s``."""

    run_id: str
    owner: str
    ttl_s: float


@dataclass(frozen=True, slots=True)
class StepWrite:
    """What one transaction changes in one run: results, intents ended and begun, exports, a final state."""

    lease: Lease
    results: tuple[StepResult, ...] = ()
    ended: str | None = None
    begun: StepIntent | None = None
    exported: JsonObject = field(default_factory=dict)
    status: RunStatus | None = None
    reason: str | None = None
    data: JsonObject | None = None


def claim_items(claims: Sequence[Claim]) -> str:
    """Give the items of ``claim_runs``."""
    return _items({"run_id": claim.run_id, "owner": claim.owner, "ttl_s": claim.ttl_s} for claim in claims)


def lease_items(leases: Sequence[Lease]) -> str:
    """Give the items of ``prolong_leases``."""
    return _items({"run_id": lease.run_id, "fence": lease.fence} for lease in leases)


def run_items(runs: Sequence[TestRun]) -> str:
    """Give the items of ``add_runs`` and ``add_process_versions``."""
    return _items(_fields_of(run) for run in runs)


def version_items(versions: Mapping[str, str]) -> str:
    """Give the items of ``find_unfinished``."""
    return _items({"key": key, "version": version} for key, version in versions.items())


def write_items(writes: Sequence[StepWrite]) -> str:
    """Give the items of ``write_steps``."""
    return _items(
        {
            "run_id": write.lease.run_id,
            "fence": write.lease.fence,
            "ended": write.ended,
            "intents": {write.begun.alias: write.begun} if write.begun else {},
            "results": [_step_row(result) for result in write.results],
            "exported": write.exported,
            "status": write.status,
            "reason": write.reason,
            "data": write.data,
        }
        for write in writes
    )


def suite_run_of(row: Mapping[str, Any]) -> SuiteRun:
    """Give the SuiteRun of a row."""
    return SuiteRun(
        id=row["suite_run_id"],
        key=row["key"],
        tenant=row["tenant_id"],
        status=SuiteRunStatus(row["status"]),
        context=row["context"],
        plugin_version=row["plugin_version"],
        priority=row["priority"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def stored_run_of(
    row: Mapping[str, Any], payloads: Sequence[JsonObject], attempts: Sequence[JsonObject] = ()
) -> StoredRun:
    """Give the TestRun of a row, with the results of its steps and its earlier attempts."""
    intents = [from_json(StepIntent, raw) for raw in row["execution_context"].get("intents", {}).values()]
    run = TestRun(
        id=row["test_run_id"],
        suite_run_id=row["suite_run_id"],
        key=row["key"],
        process_id=row["process_id"],
        process_hash=row["process_hash"],
        scenario_key=row["scenario_key"],
        scenario_version=row["scenario_version"],
        data_set=row["data_set"],
        environment=row["environment"],
        mode=row["mode"],
        correlation_id=row["correlation_id"],
        status=RunStatus(row["status"]),
        reason=None if row["reason"] is None else unescape_text(row["reason"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        attempt=row["attempt"],
    )
    return StoredRun(
        run=run,
        steps=tuple(from_json(StepResult, payload) for payload in payloads),
        intents=tuple(sorted(intents, key=lambda intent: intent.order_index)),
        fence=row["fence"],
        owner=row["locked_by"],
        is_leased=row["is_leased"],
        data=row["data"],
        ended_by=row["ended_by"],
        attempts=tuple(from_json(RunAttempt, attempt) for attempt in attempts),
    )


def _step_row(result: StepResult) -> Mapping[str, object]:
    return {
        "alias": result.alias,
        "order_index": result.order_index,
        "status": result.status,
        "duration_ms": result.duration_ms,
        # taken over from an earlier run, it was measured there
        "settling_time_ms": None if result.reused_from else result.settling_time_ms,
        "attempts": len(result.attempts) + 1,
        "timeout_ms": result.timeout_ms,
        "payload": result,
    }


def _fields_of(run: TestRun) -> JsonObject:
    raw = to_json(run)
    assert isinstance(raw, Mapping)
    return raw


def _items(objects: Iterable[Mapping[str, object]]) -> str:
    return dump_jsonb([{**item, "position": position} for position, item in enumerate(objects)])
