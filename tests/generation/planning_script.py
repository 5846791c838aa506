"""Plan many processes and print a digest of each plan; run by tests in interpreters of their own.

``python planning_script.py drawn`` plans processes drawn by lot, ``python planning_script.py FOLDER`` all files there:
a line for each, a JSON object with its name, the digest of the plans and, for files, what tests judge.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drawn_processes import drawn_blocks, drawn_graph
from peak_memory import peak_megabytes

from pytest_orchestra.generation.plans.plan import plan_json, plan_text, problems_of
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.definition import Bindings, Criterion
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.readers.bpmn import read_process_file

ALL = tuple(Criterion)


def _plans(process: Process, document: ProcessDocument | None = None) -> Iterator[str]:
    """Give the plans of a process under all criteria and, without its file, with other limits of loops."""
    for repetitions in (1,) if document is not None else (0, 1, 2):
        bindings = Bindings(max_loop_iterations=repetitions)
        suite = build_suite(process, bindings, [], document=document, criteria=ALL)
        yield json.dumps([plan_json(suite, "x"), plan_text(suite, process), repr(suite)])


def _digest(texts: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()


def _drawn() -> Iterator[dict[str, Any]]:
    for seed in range(20):
        for name, process in (("blocks", drawn_blocks(seed)), ("graph", drawn_graph(seed, cyclic=True, count=12))):
            yield {"name": f"{name} {seed}", "digest": _digest(_plans(process))}


def _files(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        gc.collect()
        begin = time.process_time()
        document = read_process_file(path)
        first = _digest(text for process in document.processes for text in _plans(process, document))
        seconds = time.process_time() - begin
        again = _digest(text for process in document.processes for text in _plans(process, document))
        suites = [build_suite(process, None, [], document=document, criteria=ALL) for process in document.processes]
        yield {
            "name": str(path.relative_to(folder)),
            "digest": first,
            "again": again,
            "seconds": seconds,
            "megabytes": peak_megabytes(),
            "missing": [
                [coverage.criterion, missed.element, missed.reason]
                for suite in suites
                for coverage in suite.coverage
                for missed in coverage.missing
            ],
            "covered": [
                [coverage.criterion, coverage.covered, coverage.total]
                for suite in suites
                for coverage in suite.coverage
            ],
            "cuts": [
                problem.message for suite in suites for problem in problems_of(suite) if "limit" in problem.message
            ],
        }


if __name__ == "__main__":
    wanted = sys.argv[1]
    for found in _drawn() if wanted == "drawn" else _files(Path(wanted)):
        sys.stdout.write(json.dumps(found) + "\n")
