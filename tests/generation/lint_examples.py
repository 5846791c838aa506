"""One process that breaks each rule, and the problems that it has by that rule: what the reference shows as example."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from process_text import events, process_of

from pytest_orchestra.generation.rules import Rule
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.process import (
    Collaboration,
    EventKind,
    MessageFlow,
    NodeKind,
    Process,
    ProcessDocument,
    SequenceFlow,
)
from pytest_orchestra.problem import Problem, Severity

__all__ = ["EXAMPLES", "Example", "broken", "told"]

_APPROVED = {"name": "Approved?"}


@dataclass(frozen=True)
class Example:
    """A drawn process, and by its rule the severity, element, message and hint of its only problem."""

    drawing: str
    severity: Severity
    element: str
    message: str
    hint: str
    details: dict[str, dict[str, Any]] = field(default_factory=dict)


EXAMPLES = {
    Rule.DEADLOCK: Example(
        "start > xor; xor -yes> pack > and; xor -no> refuse > and; and > end",
        Severity.ERROR,
        "and",
        "parallel gateway 'and' waits for ever: nothing comes from 'refuse' after 'yes' at 'Approved?'",
        "join the branches with a gateway of the kind that split them",
        {"xor": _APPROVED},
    ),
    Rule.LACK_OF_SYNCHRONISATION: Example(
        "start > and; and > pack > xor; and > bill > xor; xor > ship > end",
        Severity.WARNING,
        "xor",
        "exclusive gateway 'xor' is passed by concurrent tokens one by one: they come from parallel gateway 'and'",
        "join the concurrent branches with a parallel gateway before it",
    ),
    Rule.ENDLESS_LOOP: Example(
        "start > check > and; and > check; and > end",
        Severity.ERROR,
        "and",
        "parallel gateway 'and' sends a token back every time, so that no run through it ends",
        "decide with an exclusive gateway whether to go back",
    ),
    Rule.UNREACHABLE_END: Example(
        "start > xor; xor -yes> end; xor -no> remind > wait > remind",
        Severity.WARNING,
        "remind",
        "no end can be reached from task 'remind'",
        "lead a flow from there to an end",
    ),
    Rule.DEAD_ELEMENT: Example(
        "start > pack > end; refund > notify > end",
        Severity.WARNING,
        "refund",
        "task 'refund' cannot be reached from a start, nor can the element behind it",
        "lead a flow to it, or remove it",
    ),
    Rule.DEAD_MESSAGE: Example(
        "start > order > catch > end",
        Severity.WARNING,
        "catch",
        "intermediate catch event 'Invoice' waits for a message of task 'bill', which cannot be reached from a start",
        "lead a flow to the sender, or remove the message",
        {"catch": {"name": "Invoice", "events": events(EventKind.MESSAGE)}},
    ),
    Rule.DEAD_BRANCH: Example(
        "start > xor; xor -some [amount < 100]> pack > end; xor -none [amount < 50]> refuse > end; xor -many> ask",
        Severity.WARNING,
        "xor>refuse",
        "the branch 'none' of exclusive gateway 'xor' can never be taken: its own conditions contradict each other: "
        "'not (amount < 100)', 'amount < 50'",
        "mend one of the conditions, or remove the branch",
        {"xor": {"default_flow": "xor>ask"}},
    ),
    Rule.MISSING_DEFAULT: Example(
        "start > xor; xor -small [amount < 100]> pack > end; xor -large [amount > 100]> ask > end",
        Severity.WARNING,
        "xor",
        "exclusive gateway 'xor' has no default flow: no branch is taken for amount = 100",
        "set the gateway's default flow",
    ),
    Rule.OVERLAPPING_CONDITIONS: Example(
        "start > xor; xor -small [amount < 500]> pack > end; xor -large [amount > 100]> ask > end; xor -else> end",
        Severity.WARNING,
        "xor",
        "both 'amount < 500' and 'amount > 100' at exclusive gateway 'xor' hold for amount = 101",
        "make the conditions exclude each other",
        {"xor": {"default_flow": "xor>end"}},
    ),
    Rule.CONSTANT_CONDITION: Example(
        "start > xor; xor -large [amount > 100]> ask > end; xor -else [${true}]> pack > end",
        Severity.INFO,
        "xor",
        "the condition '${true}' of 'else' at exclusive gateway 'xor' always holds",
        "make it the default flow, without a condition",
    ),
    Rule.CONDITION_ON_DEFAULT: Example(
        "start > xor; xor -large [amount > 100]> ask > end; xor -else [amount <= 100]> pack > end",
        Severity.INFO,
        "xor>pack",
        "the condition 'amount <= 100' of default flow 'else' of exclusive gateway 'xor' is never read",
        "take it away; the default flow is taken when no other is",
        {"xor": {"default_flow": "xor>pack"}},
    ),
    Rule.CONDITION_ON_ONLY_FLOW: Example(
        "start > pay; pay -paid [amount > 0]> ship > end",
        Severity.INFO,
        "pay",
        "task 'pay' has one outgoing flow, and is stuck where 'amount > 0' does not hold",
        "take the condition away, or add a flow for when it does not hold",
    ),
    Rule.UNNAMED_DECISION: Example(
        "start > xor; xor > pack > end; xor > refuse > end",
        Severity.INFO,
        "xor",
        "exclusive gateway 'xor' decides without a name or a condition between its ways to 'pack', 'refuse'",
        "name its flows, as 'yes' and 'no'",
    ),
    Rule.DUPLICATE_BRANCH_NAME: Example(
        "start > xor; xor -yes> pack > end; xor -yes> refuse > end",
        Severity.WARNING,
        "xor",
        "2 flows of exclusive gateway 'xor' are called 'yes'",
        "give each flow a name of its own; until then, call them by their ids in the sidecar",
    ),
    Rule.NEEDLESS_GATEWAY: Example(
        "start > xor > pack > end",
        Severity.INFO,
        "xor",
        "exclusive gateway 'xor' neither splits nor joins",
        "remove it, or draw the flow that is missing",
    ),
    Rule.AMBIGUOUS_START: Example(
        "start1 > pack > end; start2 > refuse > end",
        Severity.INFO,
        "order",
        "process 'Order' has 2 start events without a cause: 'start1', 'start2'",
        "say what each of them waits for, or begin with one",
    ),
    Rule.MISSING_START: Example(
        "pack > ship > end",
        Severity.INFO,
        "order",
        "process 'Order' has an end event but no start event",
        "add a start event",
    ),
    Rule.MISSING_END: Example(
        "start > pack > ship",
        Severity.INFO,
        "order",
        "process 'Order' has a start event but no end event",
        "end its paths with end events",
    ),
    Rule.DANGLING_FLOW: Example(
        "start > pack > end",
        Severity.WARNING,
        "lost",
        "sequence flow 'lost' has no target 'gone' in the process",
        "connect its target",
    ),
    Rule.DANGLING_LINK: Example(
        "start > throw",
        Severity.WARNING,
        "throw",
        "link 'over' of 'throw' leads to no catching event",
        "add a catching link event of that name",
        {"throw": {"events": events(EventKind.LINK, ref="over")}},
    ),
    Rule.CROSSING_FLOW: Example(
        "start > sub > end; begin > pack > end",
        Severity.WARNING,
        "pack>end",
        "sequence flow 'pack>end' crosses the border of a sub-process",
        "end it at the sub-process itself",
        {"begin": {"kind": NodeKind.START_EVENT, "scope": "sub"}, "pack": {"scope": "sub"}},
    ),
    Rule.NO_AGREED_MEANING: Example(
        "start > and; and -vip [vip]> pack > and2; and > bill > and2; and2 > end",
        Severity.WARNING,
        "and",
        "parallel gateway 'and' takes all its flows, whatever the condition of 'vip' says",
        "use an inclusive gateway, or remove the condition",
    ),
}


def broken(rule: Rule) -> tuple[Problem, ...]:
    """Give all the problems that the example of a rule has by that rule."""
    example = EXAMPLES[rule]
    process = process_of(example.drawing, **example.details)
    document = None
    if rule is Rule.DANGLING_FLOW:
        process = replace(process, flows=(*process.flows, SequenceFlow("lost", "pack", "gone")))
    if rule is Rule.DEAD_MESSAGE:
        other = process_of("start9 > pick > end9; bill > end9")
        other = Process("shop", "Shop", nodes=other.nodes, flows=other.flows)
        messages = Collaboration("c", message_flows=(MessageFlow("m", "bill", "catch"),))
        document = ProcessDocument("order.bpmn", processes=(process, other), collaborations=(messages,))
    suite = build_suite(process, None, [], document=document)
    return tuple(problem for problem in suite.problems if problem.code == rule)


def told(drawing: str, **details: dict[str, Any]) -> list[str]:
    """Give the problems of a drawn process that have a code, each as ``severity[code] element: message``."""
    suite = build_suite(process_of(drawing, **details), None, [])
    return [f"{problem.label} {problem.element}: {problem.message}" for problem in suite.problems if problem.code]
