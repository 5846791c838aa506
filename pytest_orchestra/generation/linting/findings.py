"""What was found in a process, and how it becomes problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_orchestra.generation.limits import MAX_PROBLEMS_OF_A_RULE
from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.model.process import FlowNode, SequenceFlow
from pytest_orchestra.problem import Place, Problem, Severity

__all__ = ["Finding", "problems_from"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a process breaks a rule. ``subject`` is the element at fault, None for the process itself."""

    rule: Rule
    severity: Severity
    subject: FlowNode | SequenceFlow | None
    message: str
    hint: str


_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


def problems_from(findings: Iterable[Finding], home: Place, process_id: str) -> tuple[Problem, ...]:
    """Give the problems of findings, sorted by place; of a rule that is broken all over, the first and a number.

    ``home`` is the place of findings whose subject has none.
    """
    found: dict[tuple[Rule, str, str], Problem] = {}
    for finding in findings:
        place = (finding.subject.place if finding.subject is not None else None) or home
        element = finding.subject.id if finding.subject is not None else process_id
        found.setdefault(
            (finding.rule, element, finding.message),
            Problem(finding.severity, place, finding.message, finding.hint, element, finding.rule.value),
        )
    problems = sorted(found.values(), key=lambda problem: problem.place)
    counts = Counter(problem.code for problem in problems)
    kept: list[Problem] = []
    for code, count in sorted(counts.items()):
        mine = [problem for problem in problems if problem.code == code]
        if count <= MAX_PROBLEMS_OF_A_RULE + 1:
            kept += mine
            continue
        mine.sort(key=lambda problem: _ORDER[problem.severity])
        kept += mine[:MAX_PROBLEMS_OF_A_RULE]
        cut = mine[MAX_PROBLEMS_OF_A_RULE:]
        message = f"and {len(cut)} more problems like these: '{code}'"
        kept.append(Problem(cut[0].severity, home, message, "mend these first", process_id, code))
    return tuple(sorted(kept, key=lambda problem: (problem.message.startswith("and "), problem.place)))
