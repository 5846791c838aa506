"""Which decisions say nothing of data, and what to write into the sidecar for them, ready to be pasted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.generation.control_flow.compiler import compile_process
from pytest_orchestra.generation.control_flow.decisions import NORMAL, Decision, find_decisions
from pytest_orchestra.generation.control_flow.graph import ControlFlow
from pytest_orchestra.generation.control_flow.lookup import DecisionNames, find_branch
from pytest_orchestra.generation.control_flow.structure import Structure
from pytest_orchestra.generation.wording import alias_of, fold
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.process import Process
from pytest_orchestra.problem import Place

__all__ = ["DecisionStub", "find_stubs", "stub_text"]

_YES: Final = frozenset(("yes", "y", "true", "ok", "ja", "oui", "si", "sí", "sim", "tak", "да", "是"))
_NO: Final = frozenset(
    ("no", "n", "false", "nok", "not ok", "nein", "nej", "nee", "non", "não", "nao", "nie", "нет", "否")
)
_PLAIN: Final = re.compile(r"[^\W\d_][\w ?()/+.]*", re.UNICODE)
_RESERVED: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
"""What some YAML readers take for something else than text."""


@dataclass(frozen=True, slots=True)
class DecisionStub:
    """A decision that lacks data: what to call it in ``decisions``, and a placeholder for each branch that lacks it.

    ``element`` is its id, ``place`` where it stands in the model.
    """

    element: str
    name: str
    place: Place
    branches: Mapping[str, str]


def find_stubs(process: Process, bindings: Bindings | None, home: Place) -> tuple[DecisionStub, ...]:
    """Give a stub for every decision of which neither model nor sidecar says what data leads where, in document order.

    Default branches, and the normal end of an activity with boundary events, need no word: they are what is left.
    Whether to repeat a loop is not asked: it is decided anew at every visit, which is what named scenarios are for.
    """
    graph = compile_process(process, home)
    decisions = find_decisions(graph)
    names = DecisionNames(decisions)
    written = _written(bindings, names)
    cyclic = Structure(graph).cyclic_edges
    found: list[DecisionStub] = []
    for decision in decisions.values():
        if not decision.is_open or _repeats(decision, cyclic):
            continue
        lacking = [
            index
            for index, branch in enumerate(decision.branches)
            if branch.condition is None
            and index != decision.default
            and not branch.is_thrown
            and (decision.point, index) not in written
        ]
        if lacking:
            node = graph.points[decision.point].node
            place = (node.place if node is not None else None) or home
            branches = dict(_placeholders(decision, lacking, _subject(graph, decision)))
            found.append(DecisionStub(decision.element, _name_of(decision, names), place, branches))
    return tuple(found)


def stub_text(stubs: Sequence[DecisionStub]) -> str:
    """Give YAML with ``decisions`` for all stubs; decisions of one name, in processes of one file, are one entry."""
    entries: dict[str, dict[str, str]] = {}
    for stub in stubs:
        known = entries.setdefault(stub.name, {})
        known |= {branch: text for branch, text in stub.branches.items() if branch not in known}
    lines = ["decisions:"]
    for name, branches in entries.items():
        lines.append(f"  {_key(name)}:")
        lines += [f"    {_key(branch)}: {_quoted(text)}" for branch, text in branches.items()]
    return "\n".join(lines) + "\n"


def _repeats(decision: Decision, cyclic: frozenset[int]) -> bool:
    """Whether some branches stay in a loop and some leave it."""
    return len({edge in cyclic for branch in decision.branches for edge in branch.edges}) > 1


def _written(bindings: Bindings | None, names: DecisionNames) -> set[tuple[int, int]]:
    """Give the branches of which the sidecar speaks, by point and index."""
    found: set[tuple[int, int]] = set()
    for element, branches in (bindings.decisions if bindings is not None else {}).items():
        for decision in names.find(element):
            indices = (find_branch(decision, branch) for branch in branches)
            found |= {(decision.point, index) for index in indices if index is not None}
    return found


def _name_of(decision: Decision, names: DecisionNames) -> str:
    """Give the name by which the sidecar finds this decision and no other, else its id."""
    same = names.find(decision.name) if fold(decision.name) else ()
    return decision.name if len(same) == 1 and same[0] is decision else decision.element


def _placeholders(decision: Decision, lacking: Sequence[int], subject: str) -> Iterator[tuple[str, str]]:
    labels = {index: _label(decision, index) for index in lacking}
    answers = {index: _answer(decision.branches[index].name) for index in range(len(decision.branches))}
    is_question = not decision.inclusive and any(answer is not None for answer in answers.values())
    for index, label in labels.items():
        branch = decision.branches[index]
        shown = branch.name or branch.target_name or branch.id
        if is_question and answers[index] is not None and list(answers.values()).count(answers[index]) == 1:
            yield label, f"data.{subject} == {'true' if answers[index] else 'false'}"
        elif decision.inclusive or _is_bordered(decision):
            yield label, f"data.{alias_of(shown, branch.id)} == true"
        else:
            yield label, f"data.{subject} == {_literal(shown)}"


def _is_bordered(decision: Decision) -> bool:
    return decision.branches[0].id == NORMAL


def _label(decision: Decision, index: int) -> str:
    """Give the shortest text by which this branch, and no other before it, is found."""
    branch = decision.branches[index]
    candidates = (branch.name, branch.target_name, branch.id)
    return next(text for text in candidates if text and (text == branch.id or find_branch(decision, text) == index))


def _answer(label: str) -> bool | None:
    word = fold(label).casefold().rstrip(".!")
    return True if word in _YES else False if word in _NO else None


def _subject(graph: ControlFlow, decision: Decision) -> str:
    """Give the name of the data that a decision is about: its own name, else that of what comes before it."""
    if decision.name and decision.name != decision.element:
        return alias_of(decision.name, decision.element)
    before = [edge.source for edge in graph.edges if edge.target == decision.point]
    node = graph.points[before[0]].node if len(before) == 1 else None
    return alias_of(node.name, decision.element) if node is not None and node.name else alias_of(decision.element)


def _literal(text: str) -> str:
    escaped = fold(text).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _key(text: str) -> str:
    """Give a key of YAML; without quotes only where every reader takes it for a text, and for this one."""
    is_plain = _PLAIN.fullmatch(text) is not None and text == text.strip() and text.casefold() not in _RESERVED
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    """Give a text in double quotes, as YAML and JSON alike read it; what is not printable is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in quoted)


def _escaped(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) <= 0xFFFF else f"\\U{ord(sign):08x}"  # noqa: PLR2004  four digits hold
