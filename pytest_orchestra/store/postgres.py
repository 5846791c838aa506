"""The store in PostgreSQL, shared or embedded."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar, Final

import psycopg
from psycopg.rows import DictRow

from pytest_orchestra.engine.ports import (
    MOST_CLAIMS,
    MOST_MEASUREMENTS,
    MOST_UNFINISHED,
    WISH_S,
    Lease,
    LockHolder,
    RunState,
    SignOfLife,
    StepIntent,
    StoredRun,
    Unfinished,
)
from pytest_orchestra.engine.settling import SettlingProfile
from pytest_orchestra.errors import LeaseLostError, StoreError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunAttempt, RunStatus, StepResult, SuiteRun, SuiteRunStatus, TestRun
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
    version_items,
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
    _is_direct: ClassVar[bool] = False
    """Whether there can be no pooler between this store and its server."""

    def __init__(self, conninfo: str, tenant: str = "default", *, patience_s: float = _PATIENCE_S) -> None:
        self._conninfo = Secret(conninfo)
        self._link = StoreLink(self._address, tenant, patience_s, is_direct=self._is_direct)
        self._claims: GroupWriter[Claim, Lease | None] = GroupWriter(self._claim_all, lambda claim: claim.run_id)
        self._writes: GroupWriter[StepWrite, None] = GroupWriter(self._write_all, lambda write: write.lease.run_id)

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
                "priority": suite_run.priority,
                "created_at": suite_run.created_at,
                "started_at": suite_run.started_at,
            },
        )
        return suite_run_of(rows[0])

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> SuiteRunStatus | None:
        """Set the final state, unless another session holds runs of it; give the state that it has."""
        rows = await self._link.run("end_suite_run", {"suite_run_id": suite_run_id, "status": status})
        return SuiteRunStatus(rows[0]["status"]) if rows else None

    async def reap_runs(self, after_s: float, suite_run_id: str | None = None) -> Sequence[str]:
        """Set runs ``FAILED_STUCK`` whose workers died, and with which nobody went on; give their keys."""
        parameters = {"after_s": after_s, "most_claims": MOST_CLAIMS, "suite_run_id": suite_run_id}
        return tuple(row["key"] for row in await self._link.run("reap_runs", parameters))

    async def adopt_run(self, run_id: str, ended_by: str | None, owner: str) -> bool:
        """Take over the report of a run from the worker that ended it; False if another has done so meanwhile."""
        return bool(await self._link.run("adopt_run", {"run_id": run_id, "ended_by": ended_by, "owner": owner}))

    async def set_quota(self, max_parallel_runs: int | None) -> None:
        """Set how many runs of the tenant go on at once, in all sessions; None for any number."""
        await self._link.run("set_quota", {"most": max_parallel_runs})

    async def quota(self) -> int | None:
        """Give how many runs of the tenant may go on at once; None for any number."""
        most: int | None = (await self._link.run("read_quota"))[0]["most"]
        return most

    async def add_runs(self, runs: Sequence[TestRun]) -> None:
        """Create TestRuns in state ``PENDING``; those whose key the SuiteRun has already are left as they are."""
        items = {"items": run_items(runs)}
        try:
            await self._link.run_all([("add_process_versions", items), ("add_runs", items)])
        except StoreError as error:
            if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                raise no_suite_run({run.suite_run_id for run in runs}) from error
            raise

    async def supersede_runs(self, runs: Sequence[TestRun]) -> None:
        """Let TestRuns of the same keys and other ids give up their keys; they are ``CANCELLED`` if not final."""
        await self._link.run("supersede_runs", {"items": run_items(runs)})

    async def find_unfinished(self, versions: Mapping[str, str]) -> Sequence[Unfinished]:
        """Find the newest SuiteRuns without an end that have any of these scenarios, version by run key."""
        parameters = {"items": version_items(versions), "most": MOST_UNFINISHED}
        rows = await self._link.run("find_unfinished", parameters)
        return tuple(Unfinished(suite_run_of(row), row["superseded_by"], tuple(row["environments"])) for row in rows)

    async def list_runs(self, suite_run_id: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun without their steps."""
        rows = await self._link.run("list_runs", {"suite_run_id": suite_run_id})
        return tuple(stored_run_of(row, ()) for row in rows)

    async def read_runs(self, run_ids: Sequence[str]) -> Sequence[StoredRun]:
        """Give TestRuns by id with their steps; those that there are not are left out."""
        ids = {"run_ids": list(run_ids)}
        runs, steps, attempts = await self._link.run_all(
            [("read_runs", ids), ("read_steps", ids), ("read_attempts", ids)]
        )
        return _with_steps(runs, steps, attempts)

    async def read_states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        """Give the states of TestRuns by id; those that there are not are left out."""
        rows = await self._link.run("read_states", {"run_ids": list(run_ids)})
        return tuple(
            RunState(row["test_run_id"], RunStatus(row["status"]), row["locked_by"], row["is_leased"]) for row in rows
        )

    async def reopen_runs(self, suite_run_id: str) -> None:
        """Make the ``CANCELLED`` TestRuns of a SuiteRun ``PENDING`` again."""
        await self._link.run("reopen_runs", {"suite_run_id": suite_run_id})

    async def release_leases(self, owners: Sequence[str]) -> None:
        """End the leases of workers that are known to be dead."""
        await self._link.run("release_leases", {"owners": list(owners)})

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run and set it ``IN_PROGRESS``; None if another worker holds it or it is final."""
        return await self._claims.submit(Claim(run_id, owner, ttl_s))

    async def sign_in(self, suite_run_id: str, owner: str, ttl_s: float) -> None:
        """Show that a worker of a SuiteRun is alive for so long; asked again, from now on."""
        await self._link.run("sign_in", {"suite_run_id": suite_run_id, "owner": owner, "ttl_s": ttl_s})

    async def sign_out(self, suite_run_id: str, owner: str) -> None:
        """Let a worker leave a SuiteRun, having reported all runs that it ended."""
        await self._link.run("sign_out", {"suite_run_id": suite_run_id, "owner": owner})

    async def read_signs(self, suite_run_id: str) -> Sequence[SignOfLife]:
        """Give the workers that have not left a SuiteRun, in the order in which they came."""
        rows = await self._link.run("read_signs", {"suite_run_id": suite_run_id})
        return tuple(SignOfLife(row["owner"], row["alive_until"], row["is_alive"]) for row in rows)

    async def take_lock(self, lease: Lease, name: str) -> LockHolder | None:
        """Take a lock for a run; give who has it, None if it is the run's by now."""
        of_lock = {"name": name}
        of_run = {**of_lock, "run_id": lease.run_id, "fence": lease.fence}
        # each statement sees what was committed before it got the row, which one statement alone would not
        *_, rows = await self._link.run_all(
            [("open_lock", of_lock), ("hold_lock_owner", of_lock), ("fence_lock_owner", of_run), ("take_lock", of_run)]
        )
        if not rows:
            raise lease_lost(lease)
        return None if rows[0]["is_taken"] else LockHolder(rows[0]["key"], rows[0]["locked_by"])

    async def free_locks(self, lease: Lease) -> None:
        """Forget the locks of a run that has ended."""
        await self._link.run("free_locks", {"run_id": lease.run_id, "fence": lease.fence})

    async def heartbeat(self, leases: Sequence[Lease], ttl_s: float) -> Sequence[Lease]:
        """Prolong leases; give those that are still held."""
        if not leases:
            return ()
        rows = await self._link.run("prolong_leases", {"items": lease_items(leases), "ttl_s": ttl_s})
        until = {row["position"]: row["lock_until"] for row in rows}
        return tuple(replace(leases[position], until=until[position]) for position in sorted(until))

    def begin_step(self, lease: Lease, intent: StepIntent, data: JsonObject | None = None) -> Awaitable[None]:
        """Record that a step begins; with the first one, what data the run begins with."""
        return self._writes.submit(StepWrite(lease, begun=intent, data=data))

    def record_step(
        self,
        lease: Lease,
        result: StepResult,
        following: StepIntent | None,
        exported: JsonObject,
    ) -> Awaitable[None]:
        """Record, in one transaction, a step's outcome, the intent of the next and what it exported to the suite."""
        return self._writes.submit(StepWrite(lease, (result,), ended=result.alias, begun=following, exported=exported))

    def finish_run(
        self,
        lease: Lease,
        status: RunStatus,
        reason: str | None,
        results: Sequence[StepResult] = (),
    ) -> Awaitable[None]:
        """Record the run's final state, and with it its last step and those not reached, and give the lease back."""
        return self._writes.submit(StepWrite(lease, tuple(results), status=status, reason=reason))

    async def restart_run(self, lease: Lease, failed: RunAttempt, correlation_id: str) -> None:
        """Record, in one transaction, that an attempt of the run failed and that the next one begins, without steps."""
        parameters = {
            "run_id": lease.run_id,
            "fence": lease.fence,
            "attempt": failed.number,
            "correlation_id": correlation_id,
            "payload": dump_jsonb(failed),
        }
        if not await self._link.run("restart_run", parameters):
            raise lease_lost(lease)

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

    async def settling(
        self, environment: str | None = None, process_id: str | None = None, *, without: str | None = None
    ) -> Sequence[SettlingProfile]:
        """Give how long effects took to settle, of that environment and process if given, without that SuiteRun."""
        rows = await self._link.run(
            "measure_settling",
            {"environment": environment, "process_id": process_id, "without": without, "most": MOST_MEASUREMENTS},
        )
        return tuple(SettlingProfile(**row) for row in rows)

    async def load(self, reference: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun in their order, or the TestRuns of that id or key, newest first.

        An exact id or key goes before a beginning, a SuiteRun before TestRuns. Empty if there is none.
        """
        if not reference:
            return ()
        found = await self._link.run("find_reference", {"reference": reference, "limit": MOST_RUNS})
        chosen = choose_candidates(Candidate(ReferenceKind(row["kind"]), row["id"], row["exact"]) for row in found)
        if chosen and chosen[0].kind is ReferenceKind.SUITE_RUN:
            rows = await self._link.run("list_runs", {"suite_run_id": chosen[0].id})
            ids = [row["test_run_id"] for row in rows]
            steps, attempts = await self._link.run_all(
                [("read_steps", {"run_ids": ids}), ("read_attempts", {"run_ids": ids})]
            )
            return _with_steps(rows, steps, attempts)
        ids = [candidate.id for candidate in chosen]
        runs = {stored.run.id: stored for stored in await self.read_runs(ids)}
        return tuple(runs[run_id] for run_id in ids if run_id in runs)

    async def _address(self) -> Secret:
        return self._conninfo

    async def _write_all(self, writes: Sequence[StepWrite]) -> Sequence[LeaseLostError | None]:
        rows = await self._link.run("write_steps", {"items": write_items(writes)})
        held = {row["position"] for row in rows}
        return [None if position in held else lease_lost(write.lease) for position, write in enumerate(writes)]

    async def _claim_all(self, claims: Sequence[Claim]) -> Sequence[Lease | None]:
        items = {"items": claim_items(claims)}
        _, taken, _ = await self._link.run_all(
            [("hold_quota", {}), ("claim_runs", items), ("renew_wishes", {**items, "wish_s": WISH_S})]
        )
        rows = {row["position"]: row for row in taken}
        return [
            Lease(claim.run_id, claim.owner, rows[position]["fence"], rows[position]["lock_until"])
            if position in rows
            else None
            for position, claim in enumerate(claims)
        ]


def _with_steps(
    runs: Sequence[DictRow], steps: Sequence[DictRow], attempts: Sequence[DictRow]
) -> tuple[StoredRun, ...]:
    of_steps, of_attempts = _payloads(steps), _payloads(attempts)
    return tuple(
        stored_run_of(row, of_steps.get(row["test_run_id"], ()), of_attempts.get(row["test_run_id"], ()))
        for row in runs
    )


def _payloads(rows: Sequence[DictRow]) -> dict[str, list[JsonObject]]:
    return {
        run_id: [row["payload"] for row in group] for run_id, group in groupby(rows, key=lambda row: row["test_run_id"])
    }
