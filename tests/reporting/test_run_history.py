"""The results store in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from pytest_orchestra.engine.ports import StepIntent, StoredRun
from pytest_orchestra.model.run import Observation, PollHistory, RunStatus, SuiteRun, SuiteRunStatus
from pytest_orchestra.reporting.history import history_text, outcome_of_stored, short_references, show_text
from pytest_orchestra.reporting.terminal import failure_text
from pytest_orchestra.reporting.typography import cell_width

BEGAN = datetime(2026, 11, 20, 22, 45, tzinfo=UTC)
FIRST = SuiteRun(
    "0199a3c2-7e11-7abc-8def-001122334455",
    "0199a3c2-7e11-7abc-8def-001122334455",
    "default",
    SuiteRunStatus.FAILED,
    started_at=BEGAN,
    finished_at=BEGAN + timedelta(seconds=75),
)
SECOND = SuiteRun(
    "0199a3d0-1111-7abc-8def-001122334455",
    "nightly-2026-11-19/build-77",
    "default",
    SuiteRunStatus.IN_PROGRESS,
    created_at=BEGAN,
)

HISTORY = """\
    STATE        WHEN                       TOOK  SCENARIOS                   KEY                          RUN
  ▶ IN_PROGRESS  2026-11-20 22:45:00              200 passed, 12 in progress  nightly-2026-11-19/build-77  0199a3d0-1111
  ✗ FAILED       2026-11-20 22:45:00  1 min 15 s  1 failed, 3 passed                                       0199a3c2-7e11

see one again: orchestra show RUN"""

SHOW_SUITE = """\
  STATE   SCENARIO                        TOOK  RUN                  WHY
✓ PASSED  order.bpmn::small-order[vip]  500 ms  run-small-order-vip
✗ FAILED  order.bpmn::large-order[vip]  1.06 s  run-large-order-vip  shipped: TIMEOUT: 'response.bo…

scenarios     1 failed, 1 passed
violations    1 TIMEOUT

settling times
  STEP      NAME            RUNS     P50     MAX
  reserved  Stock reserved     1  450 ms  450 ms
  shipped   Order shipped      1  430 ms  430 ms

suite run     0199a3c2-7e11-7abc-8def-001122334455  ✗ FAILED
see it again  orchestra show 0199a3c2-7e11-7abc-8def-001122334455

see one again: orchestra show RUN"""


def _stored(outcome, **fields):
    return StoredRun(outcome.run, outcome.steps, **fields)


def test_history_text_is_a_table_of_suite_runs():
    """State, moment, duration, counts by state, key where it has one, and the beginning of the id."""
    rows = [(SECOND, {"PASSED": 200, "IN_PROGRESS": 12}), (FIRST, {"PASSED": 3, "FAILED": 1})]
    assert history_text(rows, width=120) == HISTORY


def test_history_text_in_a_narrow_terminal_shortens_keys():
    """Only keys give way."""
    text = history_text([(SECOND, {"PASSED": 200}), (FIRST, {"FAILED": 1})], width=100)
    assert max(cell_width(line) for line in text.split("\n")) <= 100
    assert "  nightly-202…19/build-77  0199a3d0-1111\n" in text


def test_history_text_shows_moments_in_the_readers_zone():
    """The zone is the reader's."""
    assert "2026-11-21 01:45:00" in history_text([(FIRST, {})], zone=timezone(timedelta(hours=3)))


def test_history_text_of_an_empty_store_says_so():
    """No table is better than an empty one."""
    assert history_text([]) == "no suite runs are stored"


def test_short_references_are_long_enough_to_tell_ids_apart():
    """Each is the beginning of one id only; ids that are short stay whole."""
    ids = ["0199a3c2-7e11-7abc-8def-aa", "0199a3c2-7e11-7abc-8def-ab", "0299a3c2-7e11-7abc-8def-aa", "run-1"]
    assert short_references(ids) == [ids[0], ids[1], "0299a3c2-7e11", "run-1"]
    assert short_references([ids[2], ids[2]]) == ["0299a3c2-7e11"] * 2


def test_show_text_of_a_suite_run_lists_its_runs_with_reasons(passed, failed):
    """A SuiteRun is its runs, each with why it did not pass, and its summary."""
    assert show_text([_stored(passed), _stored(failed)], suite_run=FIRST) == SHOW_SUITE


def test_show_text_of_a_suite_run_with_one_run_is_a_table_too(passed):
    """What was asked for is what is shown."""
    assert show_text([_stored(passed)], suite_run=FIRST).startswith("  STATE   SCENARIO")


def test_show_text_of_a_run_is_its_failure_text(failed, passed):
    """A stored run reads as it did when it ended, passed or not, and says when it began."""
    for outcome in (failed, passed):
        assert show_text([_stored(outcome)]) == (
            failure_text(outcome) + "\n\nbegan 2026-11-20 22:45:00, suite run suite-1"
        )


def test_show_text_of_a_run_under_way_tells_what_its_worker_does(passed):
    """A run that has not ended shows its steps so far, the step that began, and who holds it."""
    run = replace(passed.run, status=RunStatus.IN_PROGRESS, finished_at=None)
    intents = (
        StepIntent("place", 0, 1, BEGAN),
        StepIntent("shipped", 1, 2, BEGAN + timedelta(seconds=1)),
    )
    text = show_text([StoredRun(run, passed.steps[:1], intents, 3, "host-1/4711")])
    assert text.startswith("▶ IN_PROGRESS\n\n")
    assert text.endswith(
        "\n\nbegan 2026-11-20 22:45:00, suite run suite-1\n"
        "step shipped began 2026-11-20 22:45:01 and has not ended, attempt 2\n"
        "held by worker host-1/4711"
    )


def test_show_text_of_a_wait_under_way_tells_what_it_has_seen(passed):
    """Of a run that waits, or was given up in a wait, one sees what the polls saw until then."""
    seen = PollHistory(BEGAN, 9, (Observation("NEW", 0, 700, 8), Observation("PAID", 900, 900)))
    intent = StepIntent("shipped", 1, started_at=BEGAN, seen=seen)
    for status in (RunStatus.IN_PROGRESS, RunStatus.FAILED_STUCK):
        run = replace(passed.run, status=status)
        assert show_text([StoredRun(run, passed.steps[:1], (intent,), 3)]).endswith(
            "\n\nbegan 2026-11-20 22:45:00, suite run suite-1\n"
            "step shipped began 2026-11-20 22:45:00 and has not ended, looked 9 times:\n"
            "      0 ms  NEW (x8)\n"
            "    900 ms  PAID"
        )


def test_show_text_of_no_runs_is_empty():
    """Whoever asks says that nothing was found."""
    assert show_text([]) == ""


def test_outcome_of_stored_takes_the_fault_from_the_steps(faulty):
    """The store keeps a run's fault with the step that met it."""
    assert outcome_of_stored(_stored(faulty)) == faulty


def test_outcome_of_stored_that_has_not_begun_has_a_moment(passed):
    """A run of which nothing is known but that it exists can be shown."""
    run = replace(passed.run, status=RunStatus.PENDING, started_at=None, finished_at=None)
    assert show_text([StoredRun(run)]).startswith("· PENDING\n\n  scenario        order.bpmn::small-order[vip]\n")
