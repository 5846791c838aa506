"""How long effects take to settle: what earlier runs tell of it, what to wait for, and what is too slow. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pytest_orchestra.model.run import StepResult, StepStatus, Violation, ViolationType

__all__ = ["ENOUGH", "SettleBudget", "SettleLimit", "SettlingProfile", "percentile"]

ENOUGH: Final = 20
"""How many measurements a profile needs before anything is concluded from it: with fewer, p95 is but the slowest."""

_ROOM: Final = 2.0
_LEAST_DEADLINE_MS: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class SettlingProfile:
    """How long one effect took to settle in one environment, in milliseconds, over its latest passed measurements.

    ``timeout_ms`` is how long its step waited at most when it was measured last; None where that is not known. That
    time runs from the beginning of the step, and so does ``wait_p99_ms``, the wait that 99 of 100 did not exceed: an
    effect that other steps were waited for meanwhile has settled for long, or nearly, when its own step begins.
    """

    process_id: str
    alias: str
    environment: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    timeout_ms: float | None = None
    wait_p99_ms: float | None = None

    @classmethod
    def of(
        cls,
        process_id: str,
        alias: str,
        environment: str,
        measured: Iterable[float],
        timeout_ms: float | None,
        waits: Iterable[float],
    ) -> SettlingProfile:
        """Make it of measurements, at least one, and of as many waits."""
        ordered = sorted(measured)
        p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
        wait = percentile(sorted(waits), 0.99)
        return cls(process_id, alias, environment, len(ordered), p50, p95, p99, ordered[-1], timeout_ms, wait)

    @property
    def is_telling(self) -> bool:
        """Whether there are enough measurements to conclude something."""
        return self.count >= ENOUGH

    @property
    def headroom(self) -> float | None:
        """How much of the deadline the longest of 100 waits leaves, from 0 to 1; negative where it was longer then."""
        if self.timeout_ms is None or self.wait_p99_ms is None:
            return None
        return 1 - self.wait_p99_ms / self.timeout_ms

    @property
    def proposed_ms(self) -> float | None:
        """Give a deadline: twice the longest of 100 waits and at least one second, in two figures.

        None without enough measurements.
        """
        if not self.is_telling or self.wait_p99_ms is None:
            return None
        wanted = max(_ROOM * self.wait_p99_ms, _LEAST_DEADLINE_MS)
        figure = 10.0 ** (math.floor(math.log10(wanted)) - 1)
        return math.ceil(round(wanted / figure, 6)) * figure


def percentile(ordered: list[float], share: float) -> float:
    """Give the least of ascending values that at least that share of them does not exceed (SQL's percentile_disc)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class SettleLimit:
    """How slow one effect may be: no more than ``factor`` times what its history's p95 was."""

    profile: SettlingProfile
    factor: float

    def judge(self, result: StepResult, poll_interval_ms: float) -> StepResult:
        """Give the result, failed if the effect was too slow.

        A measurement is as exact as one looks often: what is within two polls of p95 is not slower.
        """
        settled, profile = result.settling_time_ms, self.profile
        if settled is None or result.status not in (StepStatus.PASSED, StepStatus.FLAKY):
            return result
        limit = max(profile.p95_ms * self.factor, profile.p95_ms + 2 * poll_interval_ms)
        if settled <= limit:
            return result
        times = f"which is {settled / profile.p95_ms:.1f} times" if profile.p95_ms else "not at once like"
        violation = Violation(
            ViolationType.TIMEOUT,
            "settle-budget",
            f"the effect settled after {settled:.0f} ms, {times} p95 of its history:"
            f" {profile.p95_ms:.0f} ms in {profile.count} measurements; {limit:.0f} ms is the limit",
            {
                "expected": f"at most {limit:.0f} ms",
                "observed": f"{settled:.0f} ms",
                "factor": self.factor,
                "p95Ms": profile.p95_ms,
                "measurements": profile.count,
            },
            settled,
        )
        return replace(result, status=StepStatus.FAILED, violations=(*result.violations, violation), exported={})


class SettleBudget:
    """What ``--orchestra-settle-budget`` asks of every effect with enough history."""

    def __init__(self, factor: float, profiles: Iterable[SettlingProfile]) -> None:
        self.factor = factor
        self._limits: dict[tuple[str, str], dict[str, SettleLimit]] = {}
        self._known = self._telling = 0
        for profile in profiles:
            self._known += 1
            if profile.is_telling:
                self._telling += 1
                limits = self._limits.setdefault((profile.process_id, profile.environment), {})
                limits[profile.alias] = SettleLimit(profile, factor)

    def limits(self, process_id: str, environment: str) -> Mapping[str, SettleLimit]:
        """Give the limits of a process in an environment, by alias."""
        return self._limits.get((process_id, environment), {})

    def __str__(self) -> str:
        return (
            f"settle budget {self.factor:g}: {self._telling} of {self._known} effects with a history"
            f" have {ENOUGH} measurements or more; the others are not judged"
        )
