"""The terminal's view of a run, line by line."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from pytest_orchestra.model.definition import StepKind
from pytest_orchestra.model.run import (
    Exchange,
    Observation,
    RunFault,
    RunStatus,
    StepStatus,
    Violation,
    ViolationType,
)
from pytest_orchestra.reporting.terminal import FailureReport, failure_text, step_text, steps_table
from pytest_orchestra.reporting.typography import cell_width

FAILED = """\
✗ FAILED  shipped: TIMEOUT: 'response.body.status == 'SHIPPED'' did not hold within 1000 ms, looked…

  scenario        order.bpmn::large-order[vip]
  data set        vip
  environment     local
  took            1.06 s
  correlation id  corr-large-order-vip
  run             run-large-order-vip
  see it again    orchestra show run-large-order-vip

    STATE    STEP      NAME            ELEMENT          TOOK  POLLS
  ✓ PASSED   place     Place order     Task_Place      42 ms
  ✗ FAILED   shipped   Order shipped   Event_Shipped  1.02 s     12
  ○ SKIPPED  reserved  Stock reserved  Event_Shipped

  not reached: reserved (step 'shipped' failed before it)

── shipped: Order shipped (Event_Shipped) ──────────────────────────────────────────────────────────
  order.orchestra.yaml:14

  TIMEOUT  'response.body.status == 'SHIPPED'' did not hold within 1000 ms, looked 12 times
    response.body.status  PAID

  observed
      0 ms  NEW (x3)
    150 ms  PAID (x9, last at 1.01 s)

  request
    GET http://127.0.0.1:8000/orders/7
    x-correlation-id: corr-large-order-vip
    authorization: ***

  response
    200
    content-type: application/json
    {"id": 7, "status": "PAID"}

  reproduce
curl -sS -H 'X-Correlation-ID: corr-large-order-vip' http://127.0.0.1:8000/orders/7"""

BROKEN_RULES = """\
── place: Place order (Task_Place) ─────────────────────────────────────────────
  order.orchestra.yaml:6

  BUSINESS_RULE_VIOLATION  total matches: 'response.body.total == data.amount'
    does not hold
    response.body.total  "100"
    data.amount          100

  CONTRACT_VIOLATION  /body/total: expected a number, observed text
    expected  {"type": "number"}
    observed  "100"
    schema    orders#/components/schemas/Order

  request
    POST http://127.0.0.1:8000/orders
    {"amount": 100}

  response
    202
    {
      "total": "100",
      "lines": [
        {
          "sku": "A-1",
          "quantity": 2
        },
        {
          "sku": "B-2",
          "quantity": 1
        }
      ]
    }"""

DATABASE = """\
-- reserved: Stock reserved (Event_Shipped) ------------------------------------

  DB_ASSERTION_FAILED  the rows never came
    rule: value == 1 and row.sku == data.sku
    value     0
    row.sku   null
    data.sku  A-1

  observed
    0 ms  0 (x400, last at 1 min 05 s)

  request
    select count(*) as value
    from reservation
    where order_id = %(orderId)s
    parameters: {"orderId": 7}

  response
    rows: [{"value": 0}]"""

FAULT = """\
✗ ERROR  place: environments.yaml:3: nothing listens at '127.0.0.1:9'

  scenario        order.bpmn::small-order[no-service]
  data set        no-service
  environment     local
  took            42 ms
  correlation id  corr-small-order-no-service
  run             run-small-order-no-service
  see it again    orchestra show run-small-order-no-service

    STATE    STEP      NAME            ELEMENT         TOOK
  ✗ FAILED   place     Place order     Task_Place     42 ms
  ○ SKIPPED  shipped   Order shipped   Event_Shipped
  ○ SKIPPED  reserved  Stock reserved  Event_Shipped

  not reached: shipped, reserved (step 'place' failed before it)

── place: Place order (Task_Place) ─────────────────────────────────────────────

  environments.yaml:3: nothing listens at '127.0.0.1:9'
  hint: start the service"""

TABLE = """\
    STATE   STEP      NAME            ELEMENT          TOOK  SETTLED  POLLS
  ✓ PASSED  place     Place order     Task_Place      42 ms
  ≈ FLAKY   shipped   Order shipped   Event_Shipped  438 ms   430 ms      4
  ✓ PASSED  reserved  Stock reserved  Event_Shipped   20 ms   450 ms      1"""


def test_failure_text_of_a_timeout_tells_the_whole_story(failed):
    """Headline, facts, steps, place, violation with the values of its parts, history, exchange, command."""
    assert failure_text(failed) == FAILED


def test_failure_text_begins_with_the_reason(failed):
    """Pytest's short summary shows the first line, which says which step broke and why."""
    first = failure_text(failed, width=60).split("\n")[0]
    assert first == "✗ FAILED  shipped: TIMEOUT: 'response.body.status == 'SHIPP…"


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_failure_text_keeps_to_its_width(failed, width):
    """No line is wider than the terminal, but the command, which stays in one piece; long names are cut."""
    failed = replace(failed, steps=tuple(replace(step, name=step.name * 20) for step in failed.steps))
    lines = failure_text(failed, width=width).split("\n")
    command = failed.steps[1].exchange.reproduce
    assert lines[-1] == command
    assert max(cell_width(line) for line in lines[:-1]) <= width


def test_failure_text_of_a_fault_tells_place_fact_and_hint(faulty):
    """An error of ours is a place, a fact and a hint, without any traceback, and is told once."""
    assert failure_text(faulty, width=80) == FAULT


def test_failure_text_of_a_fault_outside_of_steps_tells_it_before_them(failed):
    """A run that could not begin says why."""
    fault = RunFault("SettingsError", "there is no environment 'stage'", "one of: local", "environments.yaml")
    text = failure_text(replace(failed, status=RunStatus.ERROR, fault=fault, steps=()))
    assert text.startswith("✗ ERROR  environments.yaml: there is no environment 'stage'\n")
    assert text.endswith("\n\n  environments.yaml: there is no environment 'stage'\n  hint: one of: local")


def test_failure_text_of_a_skipped_run_tells_its_reason_once(skipped):
    """A run that never began says why in its headline, and lists the steps that it would have had."""
    lines = failure_text(skipped).split("\n")
    assert lines[0] == "○ SKIPPED  'large-order' did not pass"
    assert not any(line.startswith("  reason") for line in lines)
    assert lines[-1] == "  not reached: place, shipped (the scenario did not begin)"


def test_failure_text_tells_a_step_that_was_cut_short_from_those_not_reached(skipped):
    """It had begun, which matters: what it sent may have taken effect."""
    first, *rest = skipped.steps
    reason = "it was under way when the run was cut short"
    steps = (replace(first, started_at=skipped.at, duration_ms=20.0, reason=reason), *rest)
    lines = failure_text(replace(skipped, steps=steps)).split("\n")
    assert lines[-2:] == [
        "  cut short: place (it was under way when the run was cut short)",
        "  not reached: shipped (the scenario did not begin)",
    ]


def test_failure_text_with_a_reason_that_the_headline_cuts_shows_all_of_it(skipped):
    """A long reason is wrapped below the facts."""
    text = failure_text(replace(skipped, reason="because " * 20 + "so"), width=80)
    assert text.split("\n")[0] == f"○ SKIPPED  {'because ' * 8}beca…"
    assert f"  reason          {'because ' * 6}because\n" in text
    assert "\n                  because because because because because because so\n" in text


def test_failure_text_of_several_broken_steps_explains_each(failed):
    """With all steps run, each that broke has its own block, and the headline counts them."""
    place = replace(failed.steps[0], status=StepStatus.FAILED, violations=failed.steps[1].violations * 2)
    text = failure_text(replace(failed, steps=(place, *failed.steps[1:])), width=200)
    assert text.split("\n")[0] == (
        "✗ FAILED  place: TIMEOUT: 'response.body.status == 'SHIPPED'' did not hold within 1000 ms, looked 12 times"
        " (and 1 more violation) (and 1 more step)"
    )
    assert "── place: Place order (Task_Place) ──" in text
    assert "── shipped: Order shipped (Event_Shipped) ──" in text


def test_failure_text_of_a_passed_run_is_its_facts_and_steps(passed):
    """A run that passed is shown the same way, without evidence."""
    text = failure_text(passed)
    assert text.startswith("✓ PASSED\n\n  scenario        order.bpmn::small-order[vip]\n")
    assert text.endswith(steps_table(passed.steps))


def test_failure_text_for_an_ascii_stream_has_ascii_marks_only(failed):
    """Where the stream has no Unicode, ASCII marks stand in, and other signs are escaped."""
    place = replace(failed.steps[0], name="Заказ")
    text = failure_text(replace(failed, steps=(place, *failed.steps[1:])), encoding="ascii")
    assert text.isascii()
    assert "\n  + PASSED   place     \\u0417\\u0430\\u043a\\u0430\\u0437  " in text
    assert "\n  x FAILED   shipped " in text
    assert text.startswith("x FAILED  shipped: TIMEOUT: ")


def test_failure_text_for_an_unknown_encoding_is_ascii(failed):
    """An encoding that Python does not know is taken for ASCII."""
    assert failure_text(failed, encoding="no-such") == failure_text(failed, encoding="ascii")


def test_failure_text_in_colour_is_the_same_text(failed):
    """Colours add nothing but escape sequences: the text reads the same without them."""
    colored = failure_text(failed, color=True)
    assert "\x1b[31;1m✗ FAILED\x1b[0m" in colored
    plain = colored
    for code in ("0", "1", "2", "31", "32", "33", "36", "31;1"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert "\n".join(line.rstrip() for line in plain.split("\n")) == FAILED


def test_failure_text_makes_control_characters_visible(failed):
    """A service cannot drive the reader's terminal."""
    step = failed.steps[1]
    (violation,) = step.violations
    evil = "\x1b[2J\x9b31m\u202e\x07"
    step = replace(
        step,
        name=evil,
        violations=(replace(violation, message=evil, details={"parts": [{"expression": evil, "value": [evil]}]}),),
        observations=(Observation(evil, 0, 0),),
        exchange=Exchange({"method": evil, "headers": {evil: evil}}, {"body": evil}, evil),
    )
    text = failure_text(replace(failed, steps=(step,), reason=evil))
    assert not set(text) & {"\x1b", "\x9b", "\u202e", "\x07"}
    assert "\\u001b[2J" in text


def test_step_text_of_broken_rules_gives_the_value_of_each_part(passed):
    """Types are visible: text that looks like a number has quotes."""
    rule = Violation(
        ViolationType.BUSINESS_RULE_VIOLATION,
        "rule",
        "total matches: 'response.body.total == data.amount' does not hold",
        {
            "rule": "response.body.total == data.amount",
            "parts": [
                {"expression": "response.body.total", "value": "100"},
                {"expression": "data.amount", "value": 100},
            ],
            "place": {"file": "order.orchestra.yaml", "line": 6, "column": 0},
        },
    )
    contract = Violation(
        ViolationType.CONTRACT_VIOLATION,
        "schema",
        "/body/total: expected a number, observed text",
        {
            "pointer": "/body/total",
            "schema": "orders#/components/schemas/Order",
            "observed": "100",
            "expected": {"type": "number"},
            "because": "",
        },
    )
    lines = [{"sku": "A-1", "quantity": 2}, {"sku": "B-2", "quantity": 1}]
    exchange = Exchange(
        {"method": "POST", "url": "http://127.0.0.1:8000/orders", "body": {"amount": 100}},
        {"status": 202, "body": {"total": "100", "lines": lines}},
    )
    step = replace(passed.steps[0], status=StepStatus.FAILED, violations=(rule, contract), exchange=exchange)
    assert step_text(step, width=80) == BROKEN_RULES


def test_step_text_of_a_long_expression_has_its_value_below(passed):
    """An expression that takes more than half of the line leaves no room beside it."""
    parts = [{"expression": "response.body." + "items." * 8 + "total", "value": 1}, {"expression": "short", "value": 2}]
    violation = Violation(ViolationType.BUSINESS_RULE_VIOLATION, "rule", "it does not hold", {"parts": parts})
    step = replace(passed.steps[0], status=StepStatus.FAILED, violations=(violation,), exchange=None)
    assert step_text(step, width=80).split("\n")[2:] == [
        "  BUSINESS_RULE_VIOLATION  it does not hold",
        "    response.body.items.items.items.items.items.items.items.items.total",
        "      1",
        "    short  2",
    ]


def test_step_text_of_a_database_shows_statement_and_rows(passed):
    """The statement keeps its lines, parameters and rows stand under their names, in ASCII too."""
    violation = Violation(
        ViolationType.DB_ASSERTION_FAILED,
        "until",
        "the rows never came",
        {
            "rule": "value == 1 and row.sku == data.sku",
            "parts": [
                {"expression": "value", "value": 0},
                {"expression": "row.sku", "value": None},
                {"expression": "data.sku", "value": "A-1"},
            ],
        },
    )
    exchange = Exchange(
        {
            "sql": "select count(*) as value\nfrom reservation\nwhere order_id = %(orderId)s\n",
            "parameters": {"orderId": 7},
        },
        {"rows": [{"value": 0}], "row": None},
    )
    step = replace(
        passed.steps[2],
        status=StepStatus.FAILED,
        violations=(violation,),
        exchange=exchange,
        observations=(Observation(0, 0.0, 65_000.0, 400),),
    )
    assert step_text(step, width=80, encoding="ascii") == DATABASE


def test_step_text_of_a_long_history_is_cut_in_the_middle(passed):
    """The first and the last values of a history say most."""
    seen = tuple(Observation(number, number * 100.0, number * 100.0) for number in range(50))
    lines = step_text(replace(passed.steps[1], observations=seen)).split("\n")
    start = lines.index("  observed") + 1
    assert lines[start : start + 13] == [
        "      0 ms  0",
        "    100 ms  1",
        "    200 ms  2",
        "    300 ms  3",
        "    400 ms  4",
        "    500 ms  5",
        "         …  38 more values",
        "    4.40 s  44",
        "    4.50 s  45",
        "    4.60 s  46",
        "    4.70 s  47",
        "    4.80 s  48",
        "    4.90 s  49",
    ]


def test_step_text_of_a_large_body_says_how_much_is_left_out(passed):
    """A body is shown to a limit."""
    exchange = Exchange({}, {"status": 200, "headers": dict.fromkeys(map(str, range(40)), "x"), "body": [*range(100)]})
    text = step_text(replace(passed.steps[0], exchange=exchange))
    assert "    … 29 more lines\n    [\n      0,\n" in text
    assert text.endswith("\n    … 79 more lines")


def test_step_text_of_text_with_line_breaks_keeps_them(passed):
    """A stack trace that a service sent stays readable."""
    exchange = Exchange({}, {"status": 500, "body": "Traceback:\n\tline 1"})
    assert step_text(replace(passed.steps[0], exchange=exchange)).endswith(
        "\n  response\n    500\n    Traceback:\n        line 1"
    )


def test_step_text_of_a_barrier_tells_which_step_it_tracks(passed):
    """A barrier that has no violation of its own names its reason."""
    barrier = replace(
        passed.steps[0],
        kind=StepKind.BARRIER,
        status=StepStatus.FAILED,
        exchange=None,
        reason="it tracks step 'pay', which failed",
    )
    assert step_text(barrier, width=60) == (
        "── place: Place order (Task_Place) ─────────────────────────\n\n  it tracks step 'pay', which failed"
    )


def test_step_text_with_a_command_of_several_lines_leaves_them_as_they_are(passed):
    """What is selected under 'reproduce' can be pasted into a shell."""
    command = "psql <<'SQL'\nselect 1;\nSQL"
    step = replace(passed.steps[0], exchange=Exchange(reproduce=command))
    assert step_text(step).endswith(f"\n  reproduce\n{command}")


def test_steps_table_shows_settling_times_and_polls(passed):
    """Columns that have nothing to say are left out, numbers are aligned."""
    place, shipped, reserved = passed.steps
    table = steps_table([place, replace(shipped, status=StepStatus.FLAKY), reserved])
    assert table == TABLE


def test_steps_table_that_is_too_narrow_shortens_names(passed):
    """Names give way before numbers do."""
    steps = [replace(step, name=step.name * 5) for step in passed.steps]
    assert steps_table(steps, width=76) == (
        "    STATE   STEP      NAME             ELEMENT          TOOK  SETTLED  POLLS\n"
        "  ✓ PASSED  place     Place orderPla…  Task_Place      42 ms\n"
        "  ✓ PASSED  shipped   Order shippedO…  Event_Shipped  438 ms   430 ms      4\n"
        "  ✓ PASSED  reserved  Stock reserved…  Event_Shipped   20 ms   450 ms      1"
    )


def test_steps_table_aligns_wide_characters(passed):
    """Characters that take two cells are counted as two."""
    steps = [replace(passed.steps[0], name="注文する"), passed.steps[2]]
    lines = steps_table(steps).split("\n")
    assert [cell_width(line[: line.index("  Task_Place")]) for line in lines[1:2]] == [
        cell_width(line[: line.index("  Event_Shipped")]) for line in lines[2:3]
    ]


def test_steps_table_of_no_steps_is_empty():
    """Without steps there is no table."""
    assert steps_table([]) == ""


class Writer(io.StringIO):
    """What pytest hands to a ``longrepr``."""

    def __init__(self, fullwidth, hasmarkup):
        super().__init__()
        self.fullwidth, self.hasmarkup = fullwidth, hasmarkup

    def line(self, s=""):
        self.write(s + "\n")


def test_failure_report_fills_the_terminal_up_to_a_readable_width(failed):
    """On a terminal the report is as wide and as colourful as that, but never too wide to be read."""
    report = FailureReport(failed, encoding="utf-8")
    for fullwidth, width in ((80, 80), (300, 120)):
        writer = Writer(fullwidth, hasmarkup=True)
        report.toterminal(writer)
        assert writer.getvalue() == failure_text(failed, width=width, color=True) + "\n"


def test_failure_report_as_text_is_plain(failed):
    """JUnit and xdist take the text, which has no colours."""
    assert str(FailureReport(failed)) == FAILED


def test_failure_report_tells_summaries_what_broke(failed):
    """The short summary and ``--tb=line`` get one line."""
    crash = FailureReport(failed).reprcrash
    message = "shipped: TIMEOUT: 'response.body.status == 'SHIPPED'' did not hold within 1000 ms, looked 12 times"
    assert crash.message == message
    assert str(crash) == f"order.bpmn::large-order[vip]: {message}"


@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["one-process", "xdist"])
def test_failure_report_in_a_session_shows_once_without_traceback(run_outcomes, tmp_path, failed, processes):
    """Pytest prints the block, and nothing of ours or pytest's own frames."""
    output = run_outcomes(tmp_path, *processes, outcomes=[failed])
    assert output.count("see it again    orchestra show run-large-order-vip") == 1
    assert "FAILED order.bpmn::large-order[vip] - shipped: TIMEOUT: 'response.body.status" in output
    assert "Traceback" not in output
    assert ".py:" not in output
