"""Inputs that no modeller draws, and plan one of them; a test runs this in a process of its own to measure it.

``python pathological.py NAME FILE CRITERIA ...`` writes the input to FILE, plans it under each of the criteria (names
with commas between them, or ``all``) within an address space of 1.5 GB, and prints a JSON array of objects: seconds of
the processor, megabytes, scenarios, reasons and problems. It is killed where it takes far too long.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from peak_memory import peak_megabytes

__all__ = ["INPUTS", "write_input"]

_ADDRESS_SPACE = 1_500 * 1_024 * 1_024
_SECONDS_AT_MOST = 60

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="urn:t">\n'
    '<process id="p" isExecutable="true">\n'
)
_TAIL = "</process>\n</definitions>\n"


def _node(kind: str, name: str, **attributes: str) -> str:
    extra = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<{kind} id="{name}"{extra}/>\n'


def _flow(source: str, target: str, name: str = "") -> str:
    return f'<sequenceFlow id="{name or f"f_{source}_{target}"}" sourceRef="{source}" targetRef="{target}"/>\n'


def _chain(names: Iterable[str]) -> Iterator[str]:
    previous = ""
    for name in names:
        if previous:
            yield _flow(previous, name)
        previous = name


def _long_row() -> Iterator[str]:
    names = ["s", *(f"t{number}" for number in range(10_000)), "e"]
    yield _node("startEvent", "s")
    for name in names[1:-1]:
        yield _node("task", name)
    yield _node("endEvent", "e")
    yield from _chain(names)


def _deep_nesting() -> Iterator[str]:
    depth = 2_000
    for level in range(depth):
        yield _node("startEvent", f"s{level}")
        yield f'<subProcess id="n{level}">\n'
    yield _node("task", "t")
    for level in reversed(range(depth)):
        yield "</subProcess>\n" + _node("endEvent", f"e{level}")
        yield _flow(f"s{level}", f"n{level}") + _flow(f"n{level}", f"e{level}")


def _fan(kind: str, count: int, *, joined: bool) -> Iterator[str]:
    yield _node("startEvent", "s") + _node(kind, "split") + _node(kind, "join") + _node("endEvent", "e")
    yield _flow("s", "split") + _flow("join", "e")
    for number in range(count):
        yield _node("task", f"t{number}") + _flow("split", f"t{number}")
        if joined:
            yield _flow(f"t{number}", "join")


def _complete_digraph(kind: str, count: int) -> Iterator[str]:
    yield _node("startEvent", "s") + _node("endEvent", "e")
    for number in range(count):
        yield _node(kind, f"g{number}")
    yield _flow("s", "g0") + _flow(f"g{count - 1}", "e")
    for source in range(count):
        for target in range(count):
            if source != target:
                yield _flow(f"g{source}", f"g{target}")


def _nested_loops() -> Iterator[str]:
    depth = 100
    heads, tails = [f"h{level}" for level in range(depth)], [f"b{level}" for level in range(depth)]
    yield _node("startEvent", "s") + _node("endEvent", "e") + _node("task", "t")
    for head, tail in zip(heads, tails, strict=True):
        yield _node("exclusiveGateway", head) + _node("exclusiveGateway", tail) + _flow(tail, head)
    yield from _chain(["s", *heads, "t", *reversed(tails), "e"])


def _inclusive_row() -> Iterator[str]:
    count, width = 300, 10
    yield _node("startEvent", "s") + _node("endEvent", "e")
    previous = "s"
    for number in range(count):
        yield _node("inclusiveGateway", f"o{number}") + _node("inclusiveGateway", f"j{number}")
        yield _flow(previous, f"o{number}")
        for branch in range(width):
            yield _node("task", f"t{number}_{branch}")
            yield _flow(f"o{number}", f"t{number}_{branch}") + _flow(f"t{number}_{branch}", f"j{number}")
        previous = f"j{number}"
    yield _flow(previous, "e")


def _disconnected() -> Iterator[str]:
    for number in range(10_000):
        yield _node("task", f"t{number}")


def _boundary_events() -> Iterator[str]:
    yield _node("startEvent", "s") + _node("task", "t") + _node("endEvent", "e")
    yield _flow("s", "t") + _flow("t", "e")
    for number in range(500):
        cancels = "true" if number % 2 else "false"
        yield f'<boundaryEvent id="b{number}" attachedToRef="t" cancelActivity="{cancels}">'
        yield "<timerEventDefinition/></boundaryEvent>\n"
        yield _node("task", f"h{number}") + _flow(f"b{number}", f"h{number}") + _flow(f"h{number}", "e")


def _exclusive_row() -> Iterator[str]:
    count = 5_000
    yield _node("startEvent", "s") + _node("endEvent", "e")
    previous = "s"
    for number in range(count):
        yield _node("exclusiveGateway", f"x{number}") + _node("exclusiveGateway", f"m{number}")
        yield _flow(previous, f"x{number}") + _flow(f"x{number}", f"m{number}")
        yield _node("task", f"t{number}") + _flow(f"x{number}", f"t{number}") + _flow(f"t{number}", f"m{number}")
        previous = f"m{number}"
    yield _flow(previous, "e")


def _multiplying() -> Iterator[str]:
    """Give splits that nobody joins, so that each doubles the tokens."""
    yield _node("startEvent", "s") + _node("endEvent", "e")
    previous = "s"
    for number in range(40):
        yield _node("parallelGateway", f"a{number}") + _node("exclusiveGateway", f"m{number}")
        yield _flow(previous, f"a{number}")
        yield _flow(f"a{number}", f"m{number}", f"u{number}") + _flow(f"a{number}", f"m{number}", f"v{number}")
        previous = f"m{number}"
    yield _flow(previous, "e")


def _mismatched() -> Iterator[str]:
    """Give exclusive splits whose branches meet at parallel joins: every run gets stuck."""
    yield _node("startEvent", "s") + _node("endEvent", "e")
    previous = "s"
    for number in range(1_000):
        yield _node("exclusiveGateway", f"x{number}") + _node("parallelGateway", f"a{number}")
        yield _flow(previous, f"x{number}")
        yield _flow(f"x{number}", f"a{number}", f"u{number}") + _flow(f"x{number}", f"a{number}", f"v{number}")
        previous = f"a{number}"
    yield _flow(previous, "e")


def _inclusive_tangle() -> Iterator[str]:
    """Give inclusive gateways of which each leads to the next ten: every join waits for many ways."""
    count = 200
    yield _node("startEvent", "s") + _node("endEvent", "e")
    for number in range(count):
        yield _node("inclusiveGateway", f"o{number}")
    yield _flow("s", "o0") + _flow(f"o{count - 1}", "e")
    for source in range(count):
        for target in range(source + 1, min(source + 11, count)):
            yield _flow(f"o{source}", f"o{target}")


INPUTS: dict[str, tuple[Callable[[], Iterator[str]], int]] = {
    "10,000 nodes in a row": (_long_row, 1),
    "2,000 nested sub-processes": (_deep_nesting, 1),
    "5,000-way gateway": (lambda: _fan("exclusiveGateway", 5_000, joined=True), 1),
    "5,000-way gateway without a join": (lambda: _fan("exclusiveGateway", 5_000, joined=False), 1),
    "complete digraph of 150 exclusive gateways": (lambda: _complete_digraph("exclusiveGateway", 150), 1),
    "complete digraph of 40 parallel gateways": (lambda: _complete_digraph("parallelGateway", 40), 1),
    "complete digraph of 60 inclusive gateways": (lambda: _complete_digraph("inclusiveGateway", 60), 1),
    "3,000 parallel branches": (lambda: _fan("parallelGateway", 3_000, joined=True), 1),
    "3,000 inclusive branches": (lambda: _fan("inclusiveGateway", 3_000, joined=True), 1),
    "100 nested loops, five repetitions": (_nested_loops, 5),
    "300 inclusive gateways of ten branches": (_inclusive_row, 1),
    "10,000 disconnected nodes": (_disconnected, 1),
    "500 boundary events on one task": (_boundary_events, 1),
    "5,000 exclusive gateways in a row": (_exclusive_row, 1),
    "40 doublings of the tokens": (_multiplying, 1),
    "1,000 deadlocks in a row": (_mismatched, 1),
    "200 inclusive gateways in a tangle": (_inclusive_tangle, 1),
}
"""By name: what gives the text, and how often a loop may be repeated."""


def write_input(name: str, path: Path) -> None:
    """Write the BPMN file of that name."""
    path.write_text(_HEAD + "".join(INPUTS[name][0]()) + _TAIL, encoding="utf-8")


def _plan(name: str, path: Path, criteria: str) -> dict[str, object]:
    from pytest_orchestra.generation.plans.plan import plan_json, problems_of  # noqa: PLC0415 - imports are not measured
    from pytest_orchestra.generation.suite import build_suite  # noqa: PLC0415 - as above
    from pytest_orchestra.model.definition import Bindings, Criterion  # noqa: PLC0415 - as above
    from pytest_orchestra.readers.bpmn import read_process_file  # noqa: PLC0415 - as above

    wanted = list(Criterion) if criteria == "all" else [Criterion(one) for one in criteria.split(",")]
    begin = time.process_time()
    document = read_process_file(path)
    bindings = Bindings(max_loop_iterations=INPUTS[name][1])
    suites = [build_suite(process, bindings, [], document=document, criteria=wanted) for process in document.processes]
    size = sum(len(json.dumps(plan_json(suite, path.name))) for suite in suites)
    seconds = time.process_time() - begin
    missed = [missed for suite in suites for coverage in suite.coverage for missed in coverage.missing]
    problems = [*document.problems, *(problem for suite in suites for problem in problems_of(suite))]
    return {
        "seconds": seconds,
        "megabytes": peak_megabytes(),
        "scenarios": sum(len(suite.scenarios) for suite in suites),
        "missing": len(missed),
        "reasons": dict(Counter(one.reason for one in missed).most_common(5)),
        "problems": [problem.message for problem in problems if problem.severity != "info"][:8],
        "plan_bytes": size,
    }


if __name__ == "__main__":
    chosen, file, *asked = sys.argv[1:]
    write_input(chosen, Path(file))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS_AT_MOST, _SECONDS_AT_MOST))
    sys.stdout.write(json.dumps([_plan(chosen, Path(file), criteria) for criteria in asked]))
