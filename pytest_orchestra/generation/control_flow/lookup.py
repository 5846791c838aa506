"""Find what a user means by a name: elements, decisions and their branches, by id or by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pytest_orchestra.generation.control_flow.decisions import Branch, Decision
from pytest_orchestra.generation.wording import fold
from pytest_orchestra.model.process import FlowNode

__all__ = ["DecisionNames", "NodeNames", "find_branch", "find_branches", "inner_id", "names_of_branches"]

_ALL = "all"
_KEYS: tuple[Callable[[Branch], str], ...] = (
    lambda branch: branch.id,
    lambda branch: branch.name,
    lambda branch: branch.target,
    lambda branch: branch.target_name,
    lambda branch: inner_id(branch.id),
    lambda branch: inner_id(branch.target),
)


def inner_id(element: str) -> str:
    """Give the id that an element has in its own process, where that was taken in by a call: ``CALL/INNER``."""
    return element.rpartition("/")[2]


class NodeNames:
    """The nodes of a process by what users call them."""

    def __init__(self, nodes: Iterable[FlowNode]) -> None:
        self._by_id: dict[str, FlowNode] = {}
        self._by_name: dict[str, list[FlowNode]] = {}
        self._by_inner_id: dict[str, list[FlowNode]] = {}
        for node in nodes:
            if node.id not in self._by_id:
                self._by_id[node.id] = node
                self._by_name.setdefault(node.name, []).append(node)
                if "/" in node.id:
                    self._by_inner_id.setdefault(inner_id(node.id), []).append(node)

    def find(self, text: str) -> tuple[FlowNode, ...]:
        """Give the node of that id, else all nodes of called processes of that id, else all nodes of that name."""
        if text in self._by_id:
            return (self._by_id[text],)
        if text in self._by_inner_id:
            return tuple(self._by_inner_id[text])
        name = fold(text)
        return tuple(self._by_name.get(name, ())) if name else ()

    def spellings(self) -> Iterator[str]:
        """Give every text that names a node, names first."""
        yield from self._by_name
        yield from self._by_inner_id
        yield from self._by_id


@dataclass(frozen=True)
class DecisionNames:
    """The decisions of a process by what users call them."""

    decisions: Mapping[int, Decision]

    def find(self, text: str) -> tuple[Decision, ...]:
        """Give the decisions at the element of that id, else of that id in called processes, else of that name.

        ``start`` chooses among start events, ``events`` among event sub-processes.
        """
        wanted = fold(text)
        every = self.decisions.values()
        return (
            tuple(decision for decision in every if decision.element == text)
            or tuple(decision for decision in every if "/" in decision.element and inner_id(decision.element) == text)
            or tuple(decision for decision in every if decision.name == wanted)
        )

    def spellings(self) -> Iterator[str]:
        """Give every text that names a decision, names first."""
        for decision in self.decisions.values():
            yield decision.name
        for decision in self.decisions.values():
            yield decision.element


def find_branch(decision: Decision, text: str) -> int | None:
    """Give the index of the branch that a text means: its id, name, target's id or target's name, in that order.

    ``default`` means the default branch where no branch has that name. Names are compared with white space folded, at
    first exactly, then without regard to case.
    """
    wanted = fold(text)
    if not wanted:
        return None
    for spelling in (str, str.casefold):
        sought = spelling(wanted)
        for key in _KEYS:
            for index, branch in enumerate(decision.branches):
                if spelling(fold(key(branch))) == sought:
                    return index
    return decision.default if wanted.casefold() == "default" else None


def find_branches(decision: Decision, text: str) -> frozenset[int] | None:
    """Give the branches that a text means at one visit.

    Where a decision is inclusive, several may be named, separated by commas, or ``all``.
    """
    single = find_branch(decision, text)
    if single is not None:
        return frozenset({single})
    if not decision.inclusive:
        return None
    if text.strip().casefold() == _ALL:
        return frozenset(index for index in range(len(decision.branches)) if index != decision.default)
    found = [find_branch(decision, part) for part in text.split(",")]
    known = frozenset(index for index in found if index is not None)
    return known if len(known) == len(found) > 1 else None


def names_of_branches(decision: Decision) -> Iterator[str]:
    """Give every text that names a branch, the names that people see first."""
    for branch in decision.branches:
        yield branch.name or branch.target_name or branch.id
    for branch in decision.branches:
        yield branch.id
