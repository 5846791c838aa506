"""Problems of real processes: known ones are found, and sound ones have none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.problem import Problem, Severity
from pytest_orchestra.readers.bpmn import read_process_file

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "bpmn"
_TASK_4 = "task 'Task 4' sends a token along each of its flows"
_UNSOUND = (Rule.DEADLOCK, Rule.LACK_OF_SYNCHRONISATION, Rule.ENDLESS_LOOP, Rule.UNREACHABLE_END)


@pytest.fixture(scope="module")
def found() -> dict[str, list[Problem]]:
    """Give the problems with a code of every file."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside this repository")
    return {
        str(path.relative_to(CORPUS)): list(_problems(path)) for path in sorted(CORPUS.rglob("*")) if path.is_file()
    }


def _problems(path: Path) -> Iterator[Problem]:
    document = read_process_file(path)
    for process in document.processes:
        suite = build_suite(process, None, [], document=document)
        yield from (problem for problem in suite.problems if problem.code)


def test_every_problem_has_a_place_and_a_known_code(found: dict[str, list[Problem]]) -> None:
    """Users can go there, and filter; no fact is told twice of one element."""
    assert len(found) == 76
    for name, problems in found.items():
        told = [(problem.place, problem.element, problem.message) for problem in problems]
        assert len(told) == len(set(told)), name
        for problem in problems:
            assert Rule(problem.code), name
            assert problem.place.line > 0, name
            assert problem.hint, name


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "camunda+camunda-process-test-coverage/transactionBoundaryTest.bpmn",
            ["parallel gateway 'ParallelGateway_1' waits for ever: nothing comes from 'ComplexGateway_1'"],
        ),
        (
            "bpmn-miwg+bpmn-miwg-test-suite/Reference/A.2.1.bpmn",
            [f"exclusive gateway 'Gateway (Merge Flows)' is passed by concurrent tokens one by one: {_TASK_4}"],
        ),
        ("berndruecker+flowing-retail/payment.bpmn", []),
        ("camunda+camunda-bpm-examples/loan-granting.bpmn", []),
        ("onap+so/WorkflowActionBB.bpmn", []),
        ("flowable+flowable-engine/Flowable6Test.testInclusiveTrickyMerge.bpmn20.xml", []),
        ("bpmn-miwg+bpmn-miwg-test-suite/Reference/C.1.0.bpmn", []),
    ],
)
def test_known_files_have_the_faults_that_they_have(
    found: dict[str, list[Problem]], file: str, expected: list[str]
) -> None:
    """Deadlocks and lacks of synchronisation as one reads them off the diagrams, and no others."""
    assert [problem.message for problem in found[file] if problem.code in _UNSOUND] == expected


def test_error_is_told_only_where_nothing_can_be_tested(found: dict[str, list[Problem]]) -> None:
    """A process with an error has no scenario that was generated."""
    for name, problems in found.items():
        if not any(problem.severity is Severity.ERROR for problem in problems):
            continue
        document = read_process_file(CORPUS / name)
        suites = [build_suite(process, None, [], document=document) for process in document.processes]
        for suite in suites:
            if any(problem.severity is Severity.ERROR and problem.code for problem in suite.problems):
                assert suite.scenarios == (), name
