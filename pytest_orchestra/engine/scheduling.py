"""Which runs may start: the graph of ``dependsOn``, without any I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_orchestra.errors import DependencyCycleError
from pytest_orchestra.model.run import RunStatus

__all__ = ["Prerequisite", "RunGraph", "Unmet", "find_cycle"]


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """A run (by key) that must have ended, with ``PASSED``, ``FAILED`` or ``ANY`` outcome."""

    run_key: str
    outcome: str = "PASSED"

    def is_met_by(self, status: RunStatus) -> bool:
        """Tell whether a run that ended so lets its dependants start."""
        if self.outcome == "ANY":
            return status is not RunStatus.SKIPPED
        return status.is_good if self.outcome == "PASSED" else status is RunStatus.FAILED


@dataclass(frozen=True, slots=True)
class Unmet:
    """A run that can never start, and why."""

    run_key: str
    reason: str


@dataclass
class RunGraph:
    """Runs by key, ready as soon as all their prerequisites are met. Every operation costs what it changes, no more."""

    _needs: dict[str, dict[str, Prerequisite]] = field(default_factory=dict)
    _dependants: dict[str, list[str]] = field(default_factory=dict)
    _ready: deque[str] = field(default_factory=deque)
    _ended: dict[str, RunStatus] = field(default_factory=dict)

    def add(self, runs: Mapping[str, Sequence[Prerequisite]]) -> list[Unmet]:
        """Add runs with their prerequisites; give those whose prerequisites are unknown or unmet already.

        Raises ``DependencyCycleError``.
        """
        cycle = find_cycle({key: [need.run_key for need in needs] for key, needs in runs.items()})
        if cycle:
            raise DependencyCycleError(
                f"scenarios depend on each other in a circle: {' -> '.join(repr(key) for key in cycle)}",
                hint="remove one 'dependsOn' of the circle",
            )
        hopeless: list[Unmet] = []
        for key, needs in runs.items():
            open_needs: dict[str, Prerequisite] = {}
            reason = None
            for need in needs:
                status = self._ended.get(need.run_key)
                if status is not None:
                    reason = reason or self._reason(need, status)
                elif need.run_key in runs or need.run_key in self._needs:
                    open_needs[need.run_key] = need
                else:
                    reason = reason or f"it depends on '{need.run_key}', which is not part of this session"
            if reason is not None:
                hopeless.append(Unmet(key, reason))
                continue
            self._needs[key] = open_needs
            for needed in open_needs:
                self._dependants.setdefault(needed, []).append(key)
            if not open_needs:
                self._ready.append(key)
        for unmet in list(hopeless):
            hopeless.extend(self.end(unmet.run_key, RunStatus.SKIPPED))
        return hopeless

    def next_ready(self) -> str | None:
        """Take the next run that may start, in the order in which they became ready."""
        while self._ready:
            key = self._ready.popleft()
            if key in self._needs:
                return key
        return None

    @property
    def ready_count(self) -> int:
        """How many runs could start now."""
        return len(self._ready)

    def end(self, key: str, status: RunStatus) -> list[Unmet]:
        """Note how a run ended; give the runs, direct and indirect, that can never start because of it."""
        hopeless: list[Unmet] = []
        pending = deque([(key, status)])
        while pending:
            ended, how = pending.popleft()
            self._ended[ended] = how
            self._needs.pop(ended, None)
            for dependant in self._dependants.pop(ended, ()):
                needs = self._needs.get(dependant)
                if needs is None:
                    continue
                need = needs.pop(ended)
                reason = self._reason(need, how)
                if reason is not None:
                    del self._needs[dependant]
                    hopeless.append(Unmet(dependant, reason))
                    pending.append((dependant, RunStatus.SKIPPED))
                elif not needs:
                    self._ready.append(dependant)
        return hopeless

    def withdraw_all(self) -> list[str]:
        """Take back every run that has not been started."""
        waiting = list(self._needs)
        self._needs.clear()
        self._ready.clear()
        self._dependants.clear()
        return waiting

    def started(self, key: str) -> None:
        """Note that a run began."""
        self._needs.pop(key, None)

    def retry(self, key: str) -> None:
        """Let a run that was started, and could not be carried out, start again before all others."""
        self._needs[key] = {}
        self._ready.appendleft(key)

    @staticmethod
    def _reason(need: Prerequisite, status: RunStatus) -> str | None:
        if need.is_met_by(status):
            return None
        if status is RunStatus.SKIPPED:
            return f"it depends on '{need.run_key}', which was skipped"
        return f"it depends on '{need.run_key}', which ended as {status}"


def find_cycle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Find a circle in a graph: its nodes in order, the first one again at the end; empty if there is none."""
    finished: set[str] = set()
    for root in graph:
        if root in finished:
            continue
        path: dict[str, None] = {root: None}
        stack = [iter(graph[root])]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
                finished.add(path.popitem()[0])
            elif following in path:
                trail = list(path)
                return [*trail[trail.index(following) :], following]
            elif following not in finished and following in graph:
                path[following] = None
                stack.append(iter(graph[following]))
    return []
