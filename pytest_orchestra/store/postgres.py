"""The store in PostgreSQL, shared or embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar, Final

import psycopg

from pytest_orchestra.engine.ports import Lease, StepIntent, StoredRun
from pytest_orchestra.errors import StoreError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunStatus, StepResult, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store.connection import StoreLink, describe_address
from pytest_orchestra.store.group_commit import GroupWriter
from pytest_orchestra.store.jsonb import dump_jsonb, escape_text
from pytest_orchestra.store.migration import update_schema
from pytest_orchestra.store.reference import MOST_RUNS, Candidate, ReferenceKind, choose_candidates
from pytest_orchestra.store.refusal import lease_lost, no_suite_run
from pytest_orchestra.store.rows import (
    Claim,
    StepWrite,
    claim_items,
    lease_items,
    run_items,
    stored_run_of,
    suite_run_of,
    write_items,
)

__all__ = ["PostgresStore"]

_PATIENCE_S: Final = 30.0


class PostgresStore:
    """A ``RunStore`` in a PostgreSQL database that any number of workers and tenants share.

    ``conninfo`` is a ``postgresql://`` URL or anything else that libpq reads. Writes of steps and claims that come
    while another batch is being committed are committed together. A lost connection is sought again for
    ``patience_s`` and the interrupted batch repeated; all statements are such that this does no harm.
    """

    keeps_runs: ClassVar[bool] = True

    def __init__(self, conninfo: str, tenant: str = "default", *, patience_s: float = _PATIENCE_S) -> None:
        self._conninfo = Secret(conninfo)
        self._link = StoreLink(self._address, tenant, patience_s)
        self._claims: GroupWriter[Claim, Lease | None] = GroupWriter(self._claim_all, lambda claim: claim.run_id)
        self._writes: GroupWriter[StepWrite, bool] = GroupWriter(self._write_all, lambda write: write.lease.run_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({describe_address(self._conninfo)!r})"

    async def open(self) -> None:
        """Connect and bring the schema up to date.

        Raises ``StoreUnavailableError``, ``SchemaVersionError``, and ``SettingsError`` for an address that is none.
        """
        try:
            await self._link.open(update_schema)
            await self._link.run("add_tenant")
        except BaseException:
            await self._link.close()
            raise

    async def close(self) -> None:
        """Write what is pending and disconnect."""
        await self._claims.flush()
        await self._writes.flush()
        await self._link.close()

    async def begin_suite_run(self, suite_run: SuiteRun) -> SuiteRun:
        """Create the SuiteRun, or take up the one of that key again: it is ``IN_PROGRESS`` from now on."""
        rows = await self._link.run(
            "begin_suite_run",
            {
                "suite_run_id": suite_run.id,
                "key": suite_run.key,
                "context": dump_jsonb(suite_run.context),
                "plugin_version": suite_run.plugin_version,
                "created_at": suite_run.created_at,
                "started_at": suite_run.started_at,
            },
        )
        return suite_run_of(rows[0])

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> None:
        """Set the final state."""
        await self._link.run("end_suite_run", {"suite_run_id": suite_run_id, "status": status})

    async def add_runs(self, runs: Sequence[TestRun]) -> None:
        """Create TestRuns in state ``PENDING``; those whose key the SuiteRun has already are left as they are."""
        items = {"items": run_items(runs)}
        try:
            await self._link.run_all([("add_process_versions", items), ("add_runs", items)])
        except StoreError as error:
            if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                raise no_suite_run({run.suite_run_id for run in runs}) from error
            raise

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run and set it ``IN_PROGRESS``; None if another worker holds it or it is final."""
        return await self._claims.submit(Claim(run_id, owner, ttl_s))

    async def heartbeat(self, leases: Sequence[Lease], ttl_s: float) -> Sequence[Lease]:
        """Prolong leases; give those that are still held."""
        if not leases:
            return ()
        rows = await self._link.run("prolong_leases", {"items": lease_items(leases), "ttl_s": ttl_s})
        until = {row["position"]: row["lock_until"] for row in rows}
        return tuple(replace(leases[position], until=until[position]) for position in sorted(until))

    async def begin_step(self, lease: Lease, intent: StepIntent) -> None:
        """Record that the first step of a run begins."""
        await self._write(StepWrite(lease, begun=intent))

    async def record_step(
        self,
        lease: Lease,
        result: StepResult,
        following: StepIntent | None,
        exported: JsonObject,
    ) -> None:
        """Record, in one transaction, a step's outcome, the intent of the next and what it exported to the suite."""
        await self._write(StepWrite(lease, (result,), ended=result.alias, begun=following, exported=exported))

    async def finish_run(
        self,
        lease: Lease,
        status: RunStatus,
        reason: str | None,
        skipped: Sequence[StepResult] = (),
    ) -> None:
        """Record the run's final state and its steps that were not reached, and give the lease back."""
        await self._write(StepWrite(lease, tuple(skipped), status=status, reason=reason))

    async def skip_run(self, run_id: str, status: RunStatus, reason: str) -> None:
        """Record that a run ends without having begun."""
        await self._link.run("skip_run", {"run_id": run_id, "status": status, "reason": escape_text(reason)})

    async def suite_context(self, suite_run_id: str) -> JsonObject:
        """Give what the scenarios of the SuiteRun exported so far."""
        rows = await self._link.run("read_suite_context", {"suite_run_id": suite_run_id})
        context: JsonObject = rows[0]["context"] if rows else {}
        return context

    async def history(self, limit: int = 20) -> Sequence[tuple[SuiteRun, Mapping[str, int]]]:
        """Give the latest SuiteRuns, newest first, each with the number of its TestRuns by state."""
        rows = await self._link.run("list_suite_runs", {"limit": limit})
        return tuple((suite_run_of(row), row["runs"]) for row in rows)

    async def load(self, reference: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun in their order, or the TestRuns of that id or key, newest first.

        An exact id or key goes before a beginning, a SuiteRun before TestRuns. Empty if there is none.
        """
        if not reference:
            return ()
        found = await self._link.run("find_reference", {"reference": reference, "limit": MOST_RUNS})
        chosen = choose_candidates(Candidate(ReferenceKind(row["kind"]), row["id"], row["exact"]) for row in found)
        if chosen and chosen[0].kind is ReferenceKind.SUITE_RUN:
            return await self._read_runs(chosen[0].id, ())
        ids = [candidate.id for candidate in chosen]
        runs = {stored.run.id: stored for stored in await self._read_runs(None, ids)}
        return tuple(runs[run_id] for run_id in ids if run_id in runs)

    async def _address(self) -> Secret:
        return self._conninfo

    async def _read_runs(self, suite_run_id: str | None, run_ids: Sequence[str]) -> tuple[StoredRun, ...]:
        rows = await self._link.run("read_runs", {"suite_run_id": suite_run_id, "run_ids": list(run_ids)})
        ids = [row["test_run_id"] for row in rows]
        steps = await self._link.run("read_steps", {"run_ids": ids})
        payloads = {
            run_id: [step["payload"] for step in group]
            for run_id, group in groupby(steps, key=lambda step: step["test_run_id"])
        }
        return tuple(stored_run_of(row, payloads.get(row["test_run_id"], ())) for row in rows)

    async def _write(self, write: StepWrite) -> None:
        if not await self._writes.submit(write):
            raise lease_lost(write.lease)

    async def _write_all(self, writes: Sequence[StepWrite]) -> Sequence[bool]:
        rows = await self._link.run("write_steps", {"items": write_items(writes)})
        held = {row["position"] for row in rows}
        return [position in held for position in range(len(writes))]

    async def _claim_all(self, claims: Sequence[Claim]) -> Sequence[Lease | None]:
        rows = {row["position"]: row for row in await self._link.run("claim_runs", {"items": claim_items(claims)})}
        return [
            Lease(claim.run_id, claim.owner, rows[position]["fence"], rows[position]["lock_until"])
            if position in rows
            else None
            for position, claim in enumerate(claims)
        ]
