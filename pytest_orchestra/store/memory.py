"""The store in the memory of this process, for those who want no durability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pytest_orchestra.engine.ports import Lease, StepIntent, StoredRun
from pytest_orchestra.errors import StoreError
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import RunStatus, StepResult, SuiteRun, SuiteRunStatus, TestRun
from pytest_orchestra.store.reference import MOST_RUNS, Candidate, ReferenceKind, choose_candidates
from pytest_orchestra.store.refusal import lease_lost, no_suite_run

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Record:
    run: TestRun
    steps: dict[str, StepResult] = field(default_factory=dict)
    intents: dict[str, StepIntent] = field(default_factory=dict)
    fence: int = 0
    owner: str | None = None
    until: datetime | None = None

    def stored(self) -> StoredRun:
        def by_order(step: StepResult | StepIntent) -> int:
            return step.order_index

        return StoredRun(
            run=self.run,
            steps=tuple(sorted(self.steps.values(), key=by_order)),
            intents=tuple(sorted(self.intents.values(), key=by_order)),
            fence=self.fence,
            owner=self.owner,
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
            started_at=base.started_at or self._clock(),
            finished_at=None,
        )
        self._suite_runs[begun.id] = begun
        return begun

    async def end_suite_run(self, suite_run_id: str, status: SuiteRunStatus) -> None:
        """Set the final state."""
        known = self._suite_runs.get(suite_run_id)
        if known is not None:
            self._suite_runs[suite_run_id] = replace(known, status=status, finished_at=self._clock())

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

    async def claim(self, run_id: str, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease of a run and set it ``IN_PROGRESS``; None if another worker holds it or it is final."""
        record = self._records.get(run_id)
        if record is None or record.run.status.is_final:
            return None
        now = self._clock()
        if record.owner not in (None, owner) and record.until is not None and record.until >= now:
            return None
        record.fence += 1
        record.owner = owner
        record.until = now + timedelta(seconds=ttl_s)
        record.run = replace(record.run, status=RunStatus.IN_PROGRESS, started_at=record.run.started_at or now)
        return Lease(run_id, owner, record.fence, record.until)

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

    async def begin_step(self, lease: Lease, intent: StepIntent) -> None:
        """Record that the first step of a run begins."""
        self._held(lease).intents[intent.alias] = intent

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
        skipped: Sequence[StepResult] = (),
    ) -> None:
        """Record the run's final state and its steps that were not reached, and give the lease back."""
        record = self._held(lease, or_in=status)
        record.steps.update((step.alias, step) for step in skipped)
        record.intents.clear()
        record.owner = record.until = None
        record.run = replace(record.run, status=status, reason=reason, finished_at=self._clock())

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

    async def load(self, reference: str) -> Sequence[StoredRun]:
        """Give the TestRuns of a SuiteRun in their order, or the TestRuns of that id or key, newest first.

        An exact id or key goes before a beginning, a SuiteRun before TestRuns. Empty if there is none.
        """
        chosen = choose_candidates(self._candidates(reference)) if reference else ()
        if chosen and chosen[0].kind is ReferenceKind.SUITE_RUN:
            return tuple(
                record.stored() for record in self._records.values() if record.run.suite_run_id == chosen[0].id
            )
        return tuple(self._records[candidate.id].stored() for candidate in chosen)

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
