"""The store in the memory of this process, for those who want no durability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

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
from pytest_orchestra.errors import StoreError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunAttempt, RunStatus, StepResult, StepStatus, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.store.reference import MOST_RUNS, Candidate, ReferenceKind, choose_candidates
from pytest_orchestra.store.refusal import lease_lost, no_suite_run

__all__ = ["MemoryStore"]


_BAD = (RunStatus.FAILED, RunStatus.ERROR, RunStatus.FAILED_STUCK)


@dataclass(slots=True)
class _Record:
    run: TestRun
    steps: dict[str, StepResult] = field(default_factory=dict)
    intents: dict[str, StepIntent] = field(default_factory=dict)
    fence: int = 0
    owner: str | None = None
    until: datetime | None = None
    data: JsonObject | None = None
    ended_by: str | None = None
    attempts: tuple[RunAttempt, ...] = ()

    def is_free(self, now: datetime) -> bool:
        return not self.run.status.is_final and (self.until is None or self.until < now)

    def stored(self, now: datetime) -> StoredRun:
        def by_order(step: StepResult | StepIntent) -> int:
            return step.order_index

        return StoredRun(
            run=self.run,
            steps=tuple(sorted(self.steps.values(), key=by_order)),
            intents=tuple(sorted(self.intents.values(), key=by_order)),
            fence=self.fence,
            owner=self.owner,
            is_leased=self.until is not None and self.until >= now,
            data=self.data,
            ended_by=self.ended_by,
            attempts=self.attempts,
        )


class MemoryStore:
    """A ``RunStore`` whose runs end with the process; fences and leases hold as in PostgreSQL.

    ``clock`` gives the moment in UTC.
    """

    keeps_runs: ClassVar[bool] = False

    def __init__(self, tenant: str = "default", *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._tenant = tenant
        self._clock = clock
        self._suite_runs: dict[str, SuiteRun] = {}
        self._records: dict[str, _Record] = {}
        self._quota: int | None = None
        self._locks: dict[str, tuple[str, int]] = {}
        self._wishes: dict[str, datetime] = {}
        self._signs: dict[tuple[str, str], datetime] = {}

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing: the runs stay as long as this object."""

    async def begin_suite_run(self, suite_run: SuiteRun) -> SuiteRun:
        """Create the SuiteRun, or take up the one of that key again: it is ``IN_PROGRESS`` from now on."""
        known = next((found for found in self._suite_runs.values() if found.key == suite_run.key), None)
        if known is None and suite_run.id in self._suite_runs:
            raise StoreError(f"store: there is a suite run '{suite_run.id}' already, of another key")
        base = known or replace(suite_run, tenant=self._tenant, created_at=suite_run.created_at or self._clock())
        begun = replace(
            base,
            status=SuiteRunStatus.IN_PROGRESS,
            priority=suite_run.priority,
            started_at=base.started_at or self._clock(),
            finished_at=None,
        )
        self._suite_runs[begun.id] = begun
        return begun

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> SuiteRunStatus | None:
        """Set the final state, unless another session holds runs of it; give the state that it has."""
        known, now = self._suite_runs.get(suite_run_id), self._clock()
        records = self._records_of(suite_run_id)
        is_held = any(record.until is not None and record.until >= now for record in records)
        if status is SuiteRunStatus.PASSED and any(record.run.status in _BAD for record in records):
            status = SuiteRunStatus.FAILED
        if known is None or is_held:
            return None if known is None else known.status
        self._suite_runs[suite_run_id] = replace(known, status=status, finished_at=self._clock())
        self._wishes.pop(suite_run_id, None)
        return status

    async def reap_runs(self, after_s: float, suite_run_id: str | None = None) -> Sequence[str]:
        """Set runs ``FAILED_STUCK`` whose workers died, and with which nobody went on; give their keys."""
        now, reaped = self._clock(), []
        for record in self._records.values():
            run = record.run
            if run.status is not RunStatus.IN_PROGRESS or record.until is None or record.until >= now:
                continue
            is_deadly = record.fence >= MOST_CLAIMS and suite_run_id in (None, run.suite_run_id)
            if not is_deadly and record.until >= now - timedelta(seconds=after_s):
                continue
            reason = f"every worker that took it died: {record.fence} did"
            if record.fence < MOST_CLAIMS:
                reason = "its worker died, and nobody went on with it"
            record.fence += 1
            record.owner = record.until = record.ended_by = None  # whoever asks tells of it
            record.run = replace(run, status=RunStatus.FAILED_STUCK, reason=reason, finished_at=now)
            reaped.append(run.key)
        return tuple(reaped)

    async def adopt_run(self, run_id: str, ended_by: str | None, owner: str) -> bool:
        """Take over the report of a run from the worker that ended it; False if another has done so meanwhile."""
        record = self._records.get(run_id)
        if record is None or record.ended_by not in (ended_by, owner):
            return False
        record.ended_by = owner
        return True

    async def set_quota(self, max_parallel_runs: int | None) -> None:
        """Set how many runs go on at once; None for any number."""
        self._quota = max_parallel_runs

    async def quota(self) -> int | None:
        """Give how many runs may go on at once; None for any number."""
        return self._quota

    async def add_runs(self, runs: Sequence[TestRun]) -> None:
        """Create TestRuns in state ``PENDING``; those whose key the SuiteRun has already are left as they are."""
        unknown = {run.suite_run_id for run in runs} - self._suite_runs.keys()
        if unknown:
            raise no_suite_run(unknown)
        present = {(record.run.suite_run_id, record.run.key) for record in self._records.values()}
        for run in runs:
            if (run.suite_run_id, run.key) in present:
                continue
            if run.id in self._records:
                raise StoreError(f"store: there is a run '{run.id}' already, of another key")
            present.add((run.suite_run_id, run.key))
            created = run.created_at or self._clock()
            self._records[run.id] = _Record(replace(run, status=RunStatus.PENDING, created_at=created))

    async def supersede_runs(self, runs: Sequence[TestRun]) -> None:
        """Let TestRuns of the same keys and other ids give up their keys; they are ``CANCELLED`` if not final."""
        ids = {(run.suite_run_id, run.key): run.id for run in runs}
        for record in self._records.values():
            run = record.run
            if ids.get((run.suite_run_id, run.key), run.id) == run.id:
                continue
            record.fence += 1
            record.owner = record.until = None
            changes: dict[str, Any] = {
                "key": f"{run.key}@{run.id[:8]}",
                "finished_at": run.finished_at or self._clock(),
            }
            if not run.status.is_final:
                changes |= {"status": RunStatus.CANCELLED, "reason": "its scenario has changed; it was started anew"}
            record.run = replace(run, **changes)

    async def find_unfinished(self, versions: Mapping[str, str]) -> Sequence[Unfinished]:
        """Find the newest SuiteRuns without an end that have any of these scenarios, version by run key."""
        having: dict[str, set[tuple[str, str]]] = {}
        for record in self._records.values():
            run = record.run
            if versions.get(run.key) == run.scenario_version and run.status is not RunStatus.CANCELLED:
                having.setdefault(run.suite_run_id, set()).add((run.key, run.environment))
        found: list[Unfinished] = []
        ended: list[SuiteRun] = []
        for suite_run in reversed(self._suite_runs.values()):
            if suite_run.status in (SuiteRunStatus.PASSED, SuiteRunStatus.FAILED):
                ended.append(suite_run)
                continue
            asked = {
                (record.run.key, record.run.environment)
                for record in self._records_of(suite_run.id)
                if versions.get(record.run.key) == record.run.scenario_version
            }
            if asked:
                later = (each.key for each in ended if asked <= having.get(each.id, set()))
                environments = tuple(sorted({environment for _, environment in asked}))
                found.append(Unfinished(suite_run, next(later, None), environments))
        return tuple(found[:MOST_UNFINISHED])

    async def list_runs(self, suite_run_id: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun without their steps."""
        now = self._clock()
        records = self._records_of(suite_run_id)
        return tuple(replace(record.stored(now), steps=()) for record in records)

    async def read_runs(self, run_ids: Sequence[str]) -> Sequence[StoredRun]:
        """Give TestRuns by id with their steps; those that there are not are left out."""
        now = self._clock()
        return tuple(self._records[run_id].stored(now) for run_id in run_ids if run_id in self._records)

    async def read_states(self, run_ids: Sequence[str]) -> Sequence[RunState]:
        """Give the states of TestRuns by id; those that there are not are left out."""
        stored = await self.read_runs(run_ids)
        return tuple(RunState(each.run.id, each.run.status, each.owner, each.is_leased) for each in stored)

    async def reopen_runs(self, suite_run_id: str) -> None:
        """Make the ``CANCELLED`` TestRuns of a SuiteRun ``PENDING`` again."""
        for record in self._records.values():
            if record.run.suite_run_id == suite_run_id and record.run.status is RunStatus.CANCELLED:
                record.run = replace(record.run, status=RunStatus.PENDING, reason=None, finished_at=None)

    async def release_leases(self, owners: Sequence[str]) -> None:
        """End the leases of workers that are known to be dead."""
        now = self._clock()
        for record in self._records.values():
            if record.owner in owners and record.until is not None and record.until >= now:
                record.until = now - timedelta(seconds=1)

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run and set it ``IN_PROGRESS``; None if another worker holds it or it is final."""
        record = self._records.get(run_id)
        if record is None or record.run.status.is_final:
            return None
        now = self._clock()
        if record.owner not in (None, owner) and record.until is not None and record.until >= now:
            self._forget_wish(record.run.suite_run_id, now)
            return None
        if self._quota is not None and not self._has_place(record, self._quota, now):
            self._wishes[record.run.suite_run_id] = now + timedelta(seconds=WISH_S)
            return None
        record.fence += 1
        record.owner = owner
        record.until = now + timedelta(seconds=ttl_s)
        record.run = replace(record.run, status=RunStatus.IN_PROGRESS, started_at=record.run.started_at or now)
        self._forget_wish(record.run.suite_run_id, now)
        return Lease(run_id, owner, record.fence, record.until)

    def _forget_wish(self, suite_run_id: str, now: datetime) -> None:
        """Let a SuiteRun wait no more of which no run is left without a worker."""
        if self._quota is not None and not any(each.is_free(now) for each in self._records_of(suite_run_id)):
            self._wishes.pop(suite_run_id, None)

    def _has_place(self, record: _Record, quota: int, now: datetime) -> bool:
        others = (each for each in self._records.values() if each is not record)
        if sum(each.until is not None and each.until >= now for each in others) >= quota:
            return False
        priority = self._suite_runs[record.run.suite_run_id].priority
        waiting = (self._suite_runs[suite_run_id] for suite_run_id, until in self._wishes.items() if until >= now)
        return all(suite_run.priority <= priority for suite_run in waiting)

    def _records_of(self, suite_run_id: str) -> list[_Record]:
        return [record for record in self._records.values() if record.run.suite_run_id == suite_run_id]

    async def sign_in(self, suite_run_id: str, owner: str, ttl_s: float) -> None:
        """Show that a worker of a SuiteRun is alive for so long; asked again, from now on."""
        self._signs[suite_run_id, owner] = self._clock() + timedelta(seconds=ttl_s)

    async def sign_out(self, suite_run_id: str, owner: str) -> None:
        """Let a worker leave a SuiteRun, having reported all runs that it ended."""
        self._signs.pop((suite_run_id, owner), None)

    async def read_signs(self, suite_run_id: str) -> Sequence[SignOfLife]:
        """Give the workers that have not left a SuiteRun, in the order in which they came."""
        now = self._clock()
        signs = ((owner, until) for (of, owner), until in self._signs.items() if of == suite_run_id)
        return tuple(SignOfLife(owner, until, until >= now) for owner, until in signs)

    async def take_lock(self, lease: Lease, name: str) -> LockHolder | None:
        """Take a lock for a run; give who has it, None if it is the run's by now."""
        self._held(lease)
        run_id, fence = self._locks.get(name, (lease.run_id, lease.fence))
        holder, now = self._records.get(run_id), self._clock()
        if holder is not None and run_id != lease.run_id and holder.fence == fence and holder.until is not None:
            if holder.until >= now:
                return LockHolder(holder.run.key, holder.owner or "")
            holder.fence += 1
        self._locks[name] = (lease.run_id, lease.fence)
        return None

    async def free_locks(self, lease: Lease) -> None:
        """Forget the locks of a run that has ended."""
        self._locks = {name: held for name, held in self._locks.items() if held != (lease.run_id, lease.fence)}

    async def heartbeat(self, leases: Sequence[Lease], ttl_s: float) -> Sequence[Lease]:
        """Prolong leases; give those that are still held."""
        until = self._clock() + timedelta(seconds=ttl_s)
        held = []
        for lease in leases:
            record = self._records.get(lease.run_id)
            if record is not None and record.fence == lease.fence and record.run.status is RunStatus.IN_PROGRESS:
                record.until = until
                held.append(replace(lease, until=until))
        return tuple(held)

    async def begin_step(self, lease: Lease, intent: StepIntent, data: JsonObject | None = None) -> None:
        """Record that a step begins; with the first one, what data the run begins with."""
        record = self._held(lease)
        record.intents[intent.alias] = intent
        record.data = data if record.data is None else record.data

    async def record_step(
        self,
        lease: Lease,
        result: StepResult,
        following: StepIntent | None,
        exported: JsonObject,
    ) -> None:
        """Record, in one go, a step's outcome, the intent of the next and what it exported to the suite."""
        record = self._held(lease)
        record.steps[result.alias] = result
        record.intents.pop(result.alias, None)
        if following is not None:
            record.intents[following.alias] = following
        if exported:
            suite_run = self._suite_runs[record.run.suite_run_id]
            self._suite_runs[suite_run.id] = replace(suite_run, context={**suite_run.context, **exported})

    async def finish_run(
        self,
        lease: Lease,
        status: RunStatus,
        reason: str | None,
        results: Sequence[StepResult] = (),
    ) -> None:
        """Record the run's final state, and with it its last step and those not reached, and give the lease back."""
        record = self._held(lease, or_in=status)
        record.steps.update((step.alias, step) for step in results)
        if status is not RunStatus.CANCELLED:  # which may be resumed
            record.intents.clear()
        record.ended_by = record.owner or record.ended_by
        record.owner = record.until = None
        record.run = replace(record.run, status=status, reason=reason, finished_at=self._clock())

    async def restart_run(self, lease: Lease, failed: RunAttempt, correlation_id: str) -> None:
        """Record that an attempt of the run failed and that the next one begins, without steps."""
        record = self._held(lease)
        if record.run.attempt == failed.number:
            record.attempts += (failed,)
            record.steps.clear()
            record.intents.clear()
            record.run = replace(record.run, attempt=failed.number + 1, correlation_id=correlation_id)

    async def skip_run(self, run_id: str, status: RunStatus, reason: str) -> None:
        """Record that a run ends without having begun."""
        record = self._records.get(run_id)
        if record is not None and record.run.status in (RunStatus.PENDING, RunStatus.QUEUED):
            record.run = replace(record.run, status=status, reason=reason, finished_at=self._clock())

    async def suite_context(self, suite_run_id: str) -> JsonObject:
        """Give what the scenarios of the SuiteRun exported so far."""
        known = self._suite_runs.get(suite_run_id)
        return known.context if known else {}

    async def history(self, limit: int = 20) -> Sequence[tuple[SuiteRun, Mapping[str, int]]]:
        """Give the latest SuiteRuns, newest first, each with the number of its TestRuns by state."""
        counts: dict[str, Counter[str]] = {}
        for record in self._records.values():
            counts.setdefault(record.run.suite_run_id, Counter())[str(record.run.status)] += 1
        newest = list(self._suite_runs.values())[::-1][:limit]
        return tuple((suite_run, dict(counts.get(suite_run.id, {}))) for suite_run in newest)

    async def settling(
        self, environment: str | None = None, process_id: str | None = None, *, without: str | None = None
    ) -> Sequence[SettlingProfile]:
        """Give how long effects took to settle, of that environment and process if given, without that SuiteRun."""
        found: dict[tuple[str, str, str], list[StepResult]] = {}
        for record in self._records.values():
            run = record.run
            if environment not in (None, run.environment) or process_id not in (None, run.process_id):
                continue
            for step in record.steps.values():
                is_good = step.status in (StepStatus.PASSED, StepStatus.FLAKY) and step.settling_time_ms is not None
                if is_good and run.suite_run_id != without and step.reused_from is None:
                    found.setdefault((run.process_id, run.environment, step.alias), []).append(step)
        profiles = []
        for (process, stage, alias), steps in sorted(found.items()):
            latest = steps[-MOST_MEASUREMENTS:]
            measured = [step.settling_time_ms for step in latest if step.settling_time_ms is not None]
            waits = [step.duration_ms for step in latest]
            profiles.append(SettlingProfile.of(process, alias, stage, measured, latest[-1].timeout_ms, waits))
        return tuple(profiles)

    async def load(self, reference: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun in their order, or the TestRuns of that id or key, newest first.

        An exact id or key goes before a beginning, a SuiteRun before TestRuns. Empty if there is none.
        """
        chosen = choose_candidates(self._candidates(reference)) if reference else ()
        if chosen and chosen[0].kind is ReferenceKind.SUITE_RUN:
            return tuple(
                record.stored(self._clock())
                for record in self._records.values()
                if record.run.suite_run_id == chosen[0].id
            )
        return tuple(self._records[candidate.id].stored(self._clock()) for candidate in chosen)

    def _candidates(self, reference: str) -> Sequence[Candidate]:
        named = [
            *((ReferenceKind.SUITE_RUN, suite_run.id, suite_run.key) for suite_run in self._suite_runs.values()),
            *((ReferenceKind.TEST_RUN, record.run.id, record.run.key) for record in self._records.values()),
        ]
        found = [
            Candidate(kind, run_id, exact=reference in (run_id, key))
            for kind, run_id, key in reversed(named)
            if run_id.startswith(reference) or key.startswith(reference)
        ]
        return sorted(found, key=lambda candidate: (not candidate.exact, candidate.kind))[:MOST_RUNS]

    def _held(self, lease: Lease, *, or_in: RunStatus | None = None) -> _Record:
        record = self._records.get(lease.run_id)
        if record is None or record.fence != lease.fence or record.run.status not in (RunStatus.IN_PROGRESS, or_in):
            raise lease_lost(lease)
        return record
