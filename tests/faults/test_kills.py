"""``kill -9`` at every commit and every request: nothing finished runs twice, nothing is lost, no row is orphaned."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from fault_mode import LONG

ENDPOINTS = {"create": "POST customers", "notify": "POST notices", "place": "POST orders", "cancel": "DELETE orders"}
PASSED = dict.fromkeys(("create", "notify", "place", "wall", "shipped", "row", "cancel"), "PASSED")


def count_points(field: Any) -> tuple[int, int]:
    """Give how many messages to the store and how many requests an undisturbed worker sends."""
    worker = field.begin()
    outcomes = worker.wait()
    assert {each["status"] for each in outcomes.values()} == {"PASSED"}
    points = field.proxy.number, field.service.number
    field.renew()
    return points


def strike_at(field: Any, target: Any, number: int, moment: str) -> Any:
    """Start a worker and kill it at a point; give what it came to, None if it died."""
    started = threading.Event()
    worker: list[Any] = []

    def strike(at: int, when: str) -> None:
        if (at, when) == (number, moment):
            started.wait(10)
            worker[0].kill()

    target.strike = strike
    worker.append(field.begin())
    started.set()
    return worker[0].wait()


def check_resumed(field: Any) -> None:
    """Let another worker go on, and check that all is as if nothing had happened."""
    field.proxy.strike = field.service.strike = lambda _number, _moment: None
    finished = field.finished_steps()
    sent = dict(field.service.sent)
    outcomes = field.begin().wait()
    assert outcomes is not None
    assert {key: (each["status"], each["steps"]) for key, each in outcomes.items()} == {
        f"shop.bpmn::run-{n}": ("PASSED", PASSED) for n in range(2)
    }
    again = [
        (correlation, alias)
        for correlation, alias in finished
        if alias in ENDPOINTS
        and field.service.sent[correlation, ENDPOINTS[alias]] != sent.get((correlation, ENDPOINTS[alias]), 0)
    ]
    assert again == [], "finished steps were sent again"
    twice = [effect for effect, times in field.service.effects.items() if times != 1]
    assert twice == [], "the service took something twice"
    assert len(field.service.effects) == 2 * len(ENDPOINTS)
    assert field.orphans() == []


def sample(points: list[Any], most: int) -> list[Any]:
    if LONG or len(points) <= most:
        return points
    return random.Random(4).sample(points, most)


def test_kill_at_every_commit_loses_nothing_and_repeats_nothing(field: Any) -> None:
    """Killed before the store has a message, or after it has committed it, a SuiteRun goes on where it stood."""
    commits, _ = count_points(field)
    died = 0
    for number, moment in sample([(n, when) for n in range(2, commits + 1) for when in ("before", "after")], 24):
        died += strike_at(field, field.proxy, number, moment) is None
        check_resumed(field)
        field.renew()
    assert died > 3


def test_kill_at_every_request_repeats_no_effect(field: Any) -> None:
    """Killed while an action is under way, before or after it took effect, its effect is there once."""
    _, requests = count_points(field)
    died = 0
    for number, moment in sample([(n, when) for n in range(1, requests + 1) for when in ("before", "after")], 16):
        died += strike_at(field, field.service, number, moment) is None
        check_resumed(field)
        field.renew()
    assert died > 3


@pytest.mark.parametrize("moment", ["before", "after"])
def test_kill_between_two_attempts_of_a_run_keeps_the_first_once(field: Any, moment: str) -> None:
    """Killed before the store knows of the next attempt, or after: the one that failed is kept, and one follows it."""
    look = "SELECT attempt FROM orchestra.test_run WHERE correlation_id = :correlationId"
    faltering = {"row": {"sql": look, "parameters": {}, "until": "value == 2", "failWhen": "value == 1"}}
    order = {"runs": 1, "retries": 1, "step": faltering}
    started, points = threading.Event(), list[int]()
    worker: list[Any] = []

    def strike(number: int, when: str) -> None:
        if when == "before" and b"Keep a failed attempt" in field.proxy.message:
            points.append(number)
        is_next = bool(points) and number > points[0] and b"Name the tenant" in field.proxy.message
        if when == "before" and (is_next if moment == "after" else points):  # the next transaction: this one is through
            started.wait(60)
            worker[0].kill()
            raise ConnectionAbortedError

    field.proxy.strike = strike
    worker.append(field.begin(**order))
    started.set()
    assert worker[0].wait() is None
    known = "FROM orchestra.test_run JOIN orchestra.suite_run u USING (tenant_id, suite_run_id) WHERE u.key = %(key)s"
    assert field.rows(f"SELECT attempt {known}") == [(2 if moment == "after" else 1,)]
    field.proxy.strike = lambda _number, _moment: None
    outcomes = field.begin(**order).wait()
    assert outcomes is not None
    assert {key: (each["status"], each["steps"]) for key, each in outcomes.items()} == {
        "shop.bpmn::run-0": ("FLAKY", PASSED)
    }
    assert field.rows(f"SELECT attempt {known}") == [(2,)]
    kept = "SELECT a.attempt FROM orchestra.test_run_attempt a JOIN orchestra.test_run USING (tenant_id, test_run_id)"
    joined = known.replace("FROM orchestra.test_run ", "")
    assert field.rows(f"{kept} {joined}") == [(1,)]
    assert set(field.service.effects.values()) == {1}
    assert field.orphans() == []


def test_reports_of_a_worker_that_died_on_another_machine_are_adopted(field: Any) -> None:
    """A run that it had ended, and that nobody else has told of, is told by the session that goes on."""
    _, requests = count_points(field)
    reached, release = threading.Event(), threading.Event()

    def strike(number: int, moment: str) -> None:
        if (number, moment) == (requests // 2 + 1, "before"):  # the second run has begun, so the first has ended
            reached.set()
            release.wait(60)

    field.service.strike = strike
    elsewhere = {"lease": 2, "presence": False, "resumes": False}
    first = field.begin(**elsewhere)
    assert reached.wait(60)
    other = field.begin(**elsewhere)
    signs = "SELECT FROM orchestra.sign_of_life JOIN orchestra.suite_run USING (suite_run_id) WHERE key = %(key)s"
    while len(field.rows(signs)) < 2:
        assert other.is_alive
    first.kill()
    release.set()
    outcomes = other.wait()
    assert outcomes is not None
    assert {key: (each["status"], each["steps"]) for key, each in outcomes.items()} == {
        f"shop.bpmn::run-{n}": ("PASSED", PASSED) for n in range(2)
    }
    assert first.wait() is None
    assert field.orphans() == []


@pytest.mark.parametrize("seed", range(300 if LONG else 6))
def test_kill_at_random_again_and_again_ends_as_undisturbed(field: Any, seed: int) -> None:
    """However often workers are killed, what they have done in the end is what one would have done."""
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 4)):
        target = dice.choice((field.proxy, field.service))
        strike_at(field, target, target.number + dice.randint(1, 25), dice.choice(("before", "after")))
        field.proxy.strike = field.service.strike = lambda _number, _moment: None
    check_resumed(field)
