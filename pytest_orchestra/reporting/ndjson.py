r"""NDJSON: everything that the engine tells, one JSON object a line, for machines.

Each line is ``{"v": 1, "event": NAME, "at": MOMENT, ...}`` in ASCII, ends with ``\n`` and is flushed before the next
event comes, so that a reader, or a crash, never meets half of the story. ``at`` and all moments are ISO 8601 in UTC,
durations say their unit in their name, a value that JSON lacks (NaN, an infinity) is null, secrets are ``***``.
Fields may be added under the same ``v``; none is renamed or removed.

=============== ======================================================================================================
event           further fields
=============== ======================================================================================================
SuiteStarted    ``suite_run``: id, key, tenant, status, context, plugin_version, created_at, started_at,
                finished_at, priority
RunQueued       ``run``, as RunStarted has it
RunStarted      ``run``: id, suite_run_id, key (``order.bpmn::large-order[vip]``), process_id, process_hash,
                scenario_key, scenario_version, data_set, environment, mode, correlation_id, status, reason,
                created_at, started_at, finished_at, attempt; ``kept_steps``: how many an earlier worker had finished
StepStarted     ``run_id``, ``alias``, ``name``
StepPolled      ``run_id``, ``alias``, ``poll`` (counts from 1), ``observed``
StepFinished    ``run_id``, ``result``: alias, name, kind, channel_type, element_id, order_index, status, started_at,
                finished_at, duration_ms, actual_status_code, response, settling_time_ms, polls, observations (value,
                first_ms, last_ms, count), exchange (request, response, reproduce), exported, violations (type, code,
                message, details, settling_time_ms), fault (error, message, hint, place), reason, masked,
                repeated, timeout_ms, reused_from, clean_up, taken_over, changed, attempts (each as ``failed`` of
                StepRetried)
StepRetried     ``run_id``, ``alias``, ``failed``: number (counts from 1), started_at, finished_at, duration_ms,
                actual_status_code, polls, observations, exchange, violations; ``pause_s``
RunRetried      ``run``, the attempt that begins; ``failed``: number, correlation_id, started_at, finished_at, steps
RunFinished     ``run``, ``status``, ``steps`` (each as ``result`` above, those not reached too), ``fault``,
                ``reason``, ``queued_s``, ``locked_s``, ``is_kept``, ``attempts`` (each as ``failed`` of RunRetried)
SuiteFinished   ``suite_run``; ``coverage``: file, process_id, process_name, criterion, total, planned, passed,
                not_passed, missing (each: element, reason)
=============== ======================================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pytest_orchestra.engine.events import Event
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.json import JsonObject, to_json
from pytest_orchestra.problem import Place

__all__ = ["VERSION", "NdjsonListener", "event_line"]

VERSION: Final = 1


def event_line(event: Event) -> str:
    """Give an event as one line of JSON, without its line feed."""
    fields = to_json(event)
    assert isinstance(fields, Mapping)
    line: JsonObject = {"v": VERSION, "event": type(event).__name__, "at": fields["at"], **fields}
    return json.dumps(line)


class NdjsonListener:
    """Writes every event to a file, made anew unless ``append``; folders on the way are made.

    Raises ``SettingsError`` at once if the file cannot be written. Where writing fails later, a full disk say, the
    run goes on without it and ``failure`` tells why.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self.path = path
        self.failure: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a" if append else "w", encoding="ascii", newline="\n")
        except OSError as error:
            raise SettingsError(
                f"the event file cannot be written: {error.strerror or error}",
                place=Place(str(path)),
                hint="name a file in a folder that you may write to",
            ) from error

    def on_event(self, event: Event) -> None:
        """Write one event."""
        if self.failure is not None or self._file.closed:
            return
        try:
            self._file.write(event_line(event) + "\n")
            self._file.flush()
        except OSError as error:
            self.failure = f"{self.path}: events are missing, because writing failed: {error.strerror or error}"

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as error:  # what was not flushed is tried again here
            self.failure = self.failure or f"{self.path}: closing failed: {error.strerror or error}"
