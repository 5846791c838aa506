"""What a play has completed, and what of it an event compensates (BPMN 2.0.2, 13.5.5)."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.token_game.instances import Instance, Record

__all__ = ["Completed"]


class Completed:
    """The memory of one play: activities are remembered where they were completed, in that order."""

    def __init__(self, graph: ControlFlow) -> None:
        self._graph = graph
        self._count = 0

    def remember(self, exit_point: int, instance: Instance, inner: Sequence[Record]) -> None:
        """Note that an activity, or one instance of it, has been completed, with what was completed in it."""
        holder = instance.parent if exit_point == instance.until else instance
        if holder is not None:
            self._count += 1
            holder.records.append(Record(self._count, self._graph.remembered[exit_point], inner))

    def take(self, point: int, instance: Instance) -> list[tuple[int, Record]]:
        """Give what sets off each handler that an event compensates by, with what it undoes, the first to be done last.

        The last completed is undone first. What is undone once is not undone again.
        """
        compensation = self._graph.compensations[point]
        sought = set(compensation.scopes)
        found: list[Record] = []
        holder: Instance | None = instance
        while holder is not None and sought:
            if holder.entry in sought:
                sought.discard(holder.entry)
                activity = compensation.activity
                found += [record for record in holder.records if activity in (None, record.point)]
                holder.records = [record for record in holder.records if activity not in (None, record.point)]
            holder = holder.parent
        found.sort(key=lambda record: record.number)
        if compensation.instead is not None:
            return [(compensation.instead, Record(0, compensation.instead, found))]
        return self._handlers(found)

    def _handlers(self, found: list[Record]) -> list[tuple[int, Record]]:
        undone_by = self._graph.undone_by
        waiting: list[tuple[int, Record]] = []
        while found:
            record = found.pop()
            target = undone_by.get(record.point)
            if target is None:
                found.extend(record.inner)
            else:
                waiting.append((target, record))
        return waiting[::-1]
