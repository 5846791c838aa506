"""Every process of the corpus is planned without an exception, in time, and explains what it does not cover."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from suites import ALL, EVERY, missing

from pytest_orchestra.generation.plans.plan import plan_json, plan_text
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.process import ProcessDocument
from pytest_orchestra.readers.bpmn import read_process_file

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "bpmn"
SECONDS = 2.0


def _files() -> Iterator[Path]:
    yield from (path for path in sorted(CORPUS.rglob("*")) if path.is_file())


@pytest.fixture(scope="module")
def documents() -> dict[str, ProcessDocument]:
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside this repository")
    return {str(path.relative_to(CORPUS)): read_process_file(path) for path in _files()}


def test_every_file_is_planned_in_time_with_reasons(documents: dict[str, ProcessDocument]) -> None:
    """No file raises or takes long; what is not covered has a reason, what is covered is real."""
    assert len(documents) == 76
    for name, document in documents.items():
        begin = time.process_time()
        suites = [build_suite(process, None, [], document=document, criteria=EVERY) for process in document.processes]
        assert time.process_time() - begin < SECONDS, name
        for suite, process in zip(suites, document.processes, strict=True):
            assert all(missing(suite).values()), name
            assert plan_json(suite, name)["process"]["id"] == process.id
            assert plan_text(suite, process)
            for scenario in suite.scenarios:
                assert set(scenario.nodes) <= process.node.keys(), name
                assert set(scenario.flows) <= process.flow.keys(), name


@pytest.mark.parametrize(
    ("file", "number", "expected"),
    [
        ("bpmn-miwg+bpmn-miwg-test-suite/Reference/C.1.0.bpmn", -1, (2, {})),
        ("berndruecker+flowing-retail/payment.bpmn", 0, (3, {})),
        ("camunda+camunda-bpm-examples/loan-granting.bpmn", 0, (1, {})),
        ("kiegroup+jbpm/BPMN2-InclusiveGatewayWithLoopInside.bpmn2", 0, (1, {})),
        ("flowable+flowable-engine/Flowable6Test.testInclusiveTrickyMerge.bpmn20.xml", 0, (2, {})),
        ("mef-dev+bpmn-examples/TMF677_Get_QueryUsageConsumption.bpmn", 0, (5, {})),
    ],
)
def test_known_file_is_covered_in_full(
    documents: dict[str, ProcessDocument], file: str, number: int, expected: tuple[int, dict[str, str]]
) -> None:
    """Real processes of several vendors, with nodes, edges and decisions."""
    process = documents[file].processes[number]
    suite = build_suite(process, None, [], document=documents[file], criteria=ALL)
    assert (len(suite.scenarios), missing(suite)) == expected


def test_real_deadlock_is_reported_at_its_join(documents: dict[str, ProcessDocument]) -> None:
    """A parallel join that waits for a flow of its own loop never goes on."""
    document = documents["camunda+camunda-process-test-coverage/transactionBoundaryTest.bpmn"]
    suite = build_suite(document.processes[0], None, [], document=document)
    assert suite.scenarios == ()
    [problem] = [problem for problem in suite.problems if problem.severity == "error"]
    assert problem.message == (
        "parallel gateway 'ParallelGateway_1' waits for ever: nothing comes from 'ComplexGateway_1'"
    )
    assert problem.place.line > 0
