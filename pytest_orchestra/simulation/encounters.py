"""Which faults of simulated participants would have met which runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_orchestra.simulation.distortion import Distortion, DistortionKind

__all__ = ["Encounters"]


@dataclass(slots=True)
class Encounters:
    """Notes, for a rehearsal, how what participants gave could have been spoiled, by the correlation id of the run."""

    _known: dict[str, dict[Distortion, None]] = field(default_factory=dict)

    def note(self, correlation_id: str, participant: str, subject: str, kinds: Iterable[DistortionKind]) -> None:
        """Note that something was given under this name that can be spoiled in these ways."""
        known = self._known.setdefault(correlation_id, {})
        known.update((Distortion(participant, subject, kind), None) for kind in kinds)

    def of(self, correlation_id: str) -> frozenset[Distortion]:
        """Give the faults that would have met a run; those of which nobody knows whose run they meet are everyone's."""
        return frozenset((*self._known.get(correlation_id, ()), *self._known.get("", ())))
