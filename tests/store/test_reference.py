"""What a reference means."""

from __future__ import annotations

from pytest_orchestra.store.reference import MOST_RUNS, Candidate, ReferenceKind, choose_candidates

SUITE, RUN = ReferenceKind.SUITE_RUN, ReferenceKind.TEST_RUN


def test_choose_candidates_of_none_is_none():
    """What fits nothing means nothing."""
    assert choose_candidates([]) == ()


def test_choose_candidates_suite_run_first_is_that_one():
    """A SuiteRun stands alone, however many others fit."""
    first = Candidate(SUITE, "1", exact=False)
    assert choose_candidates([first, Candidate(SUITE, "2", exact=False), Candidate(RUN, "3", exact=False)]) == (first,)


def test_choose_candidates_exact_runs_leave_beginnings_out():
    """Runs whose key is the reference are meant, not those whose key merely begins so."""
    exact = [Candidate(RUN, "1", exact=True), Candidate(RUN, "2", exact=True)]
    assert choose_candidates([*exact, Candidate(RUN, "3", exact=False)]) == tuple(exact)


def test_choose_candidates_are_limited():
    """A beginning that fits a whole history does not load it."""
    candidates = [Candidate(RUN, str(number), exact=False) for number in range(MOST_RUNS + 5)]
    assert choose_candidates(candidates) == tuple(candidates[:MOST_RUNS])
