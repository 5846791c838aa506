"""Which element of a changed model is which element of the saved one: by id, by name, by its neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pytest_orchestra.generation.wording import quoted
from pytest_orchestra.model.saved_plan import SavedElement, SavedFlow, SavedProcess

__all__ = ["ElementMatch", "describe_element", "match_elements", "pair_unique"]

_MOST_TOLD: Final = 3
_ROUNDS: Final = 50
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

_T = TypeVar("_T")


@dataclass(frozen=True)
class ElementMatch:
    """The elements and flows of two versions of a process; ``node`` and ``flow`` map ids from the old to the new."""

    before: Mapping[str, SavedElement]
    after: Mapping[str, SavedElement]
    flows_before: Mapping[str, SavedFlow]
    flows_after: Mapping[str, SavedFlow]
    node: Mapping[str, str]
    flow: Mapping[str, str]

    def now(self, element: str) -> str | None:
        """Give the id that an old element or flow has now; an id that is no element's stays. None if it is gone."""
        if element in self.before:
            return self.node.get(element)
        if element in self.flows_before:
            return self.flow.get(element)
        return element

    def old(self, element: str) -> str:
        """Give an element or flow of the old version as messages call it."""
        return _described(element, self.before, self.flows_before)

    def new(self, element: str) -> str:
        """Give an element or flow of the new version as messages call it."""
        return _described(element, self.after, self.flows_after)

    @property
    def ids(self) -> dict[str, str]:
        """The elements and flows that have another id now, from the old to the new."""
        return {old: new for old, new in (*self.node.items(), *self.flow.items()) if old != new}

    def model_changes(self) -> tuple[str, ...]:
        """Say in words what became of the model: what was removed, added, renamed, and led elsewhere."""
        kept, led = set(self.node.values()), set(self.flow.values())
        return (
            *(f"removed {self.old(id_)}" for id_ in self.before if id_ not in self.node),
            *(f"added {self.new(id_)}" for id_ in self.after if id_ not in kept),
            *(text for id_ in self.before for text in self.alterations(id_)),
            *(f"removed {self.old(id_)}" for id_ in self.flows_before if id_ not in self.flow and self._is_told(id_)),
            *(f"added {self.new(id_)}" for id_ in self.flows_after if id_ not in led and self._is_news(id_)),
            *(text for id_ in self.flows_before for text in self.diversions(id_)),
            *self.renamings((*self.before, *self.flows_before)),
        )

    def _is_told(self, flow: str) -> bool:
        """Whether both ends of a removed flow are still there: of an end that is gone has been told already."""
        found = self.flows_before[flow]
        return bool(found.name) or (found.source in self.node and found.target in self.node)

    def _is_news(self, flow: str) -> bool:
        kept = set(self.node.values())
        found = self.flows_after[flow]
        return bool(found.name) or (found.source in kept and found.target in kept)

    def renamings(self, elements: Iterable[str]) -> Iterator[str]:
        """Say how elements and flows that are there in both are called now; of many other ids only how many."""
        moved: list[str] = []
        for element in dict.fromkeys(elements):
            now = self.now(element)
            is_node = element in self.before
            if now is None or not (is_node or element in self.flows_before):
                continue
            was = self.before[element].name if is_node else self.flows_before[element].name
            name = self.after[now].name if is_node else self.flows_after[now].name
            if was != name:
                yield f"{self.old(element)} is called '{name}' now" if name else f"{self.old(element)} has no name now"
            if element != now:
                moved.append(element)
        if len(moved) > _MOST_TOLD:
            yield f"{len(moved)} elements and flows have other ids now"
            return
        for element in moved:
            now = str(self.now(element))
            yield f"{self.new(now)} has the id '{now}' now, was '{element}'"

    def alterations(self, element: str) -> Iterator[str]:
        """Say what an element that is there in both is now: of another kind."""
        now = self.node.get(element)
        if now is not None and self.before[element].kind != self.after[now].kind:
            yield f"{self.old(element)} is a {_kind_words(self.after[now].kind, is_precise=True)} now"

    def diversions(self, flow: str) -> Iterator[str]:
        """Say where a flow that is there in both leads now."""
        now = self.flow.get(flow)
        if now is None:
            return
        old, new = self.flows_before[flow], self.flows_after[now]
        if self.now(old.target) != new.target or self.now(old.source) != new.source:
            yield f"{self.old(flow)} leads from {self.new(new.source)} to {self.new(new.target)} now"


def describe_element(element: SavedElement) -> str:
    """Give an element as messages call it, ``exclusive gateway 'Paid?'``; an unnamed one by its id."""
    return f"{_kind_words(element.kind)} '{element.name or element.id}'"


def _kind_words(kind: str, *, is_precise: bool = False) -> str:
    if kind.lower().endswith("task") and not is_precise:
        return "task"
    return _HUMP.sub(" ", kind).lower().replace("sub process", "sub-process") or "element"


def _described(element: str, nodes: Mapping[str, SavedElement], flows: Mapping[str, SavedFlow]) -> str:
    if element in nodes:
        return describe_element(nodes[element])
    flow = flows.get(element)
    if flow is None:
        return f"'{element}'"
    ends = (nodes[end].name or end if end in nodes else end for end in (flow.source, flow.target))
    way = " > ".join(ends)
    return f"flow '{flow.name}' ({way})" if flow.name else f"flow {quoted([way])}"


def match_elements(before: SavedProcess, after: SavedProcess) -> ElementMatch:
    """Find which element is which.

    The same id is the same element. The others are matched where that is certain: one of a kind and name is left on
    either side, or one with the same neighbours; and so are flows, by their ends and names.
    """
    nodes_before = {element.id: element for element in before.elements}
    nodes_after = {element.id: element for element in after.elements}
    node = {id_: id_ for id_ in nodes_before if id_ in nodes_after}
    _extend(
        node, nodes_before, nodes_after, lambda id_: _named(nodes_before[id_]), lambda id_: _named(nodes_after[id_])
    )
    ways_before, ways_after = _Ways(before.flows), _Ways(after.flows)
    for _ in range(_ROUNDS):
        known = {new: new for new in node.values()}
        grown = _extend(
            node,
            nodes_before,
            nodes_after,
            lambda id_: ways_before.surroundings(nodes_before[id_], node),
            lambda id_, known=known: ways_after.surroundings(nodes_after[id_], known),  # type: ignore[misc]
        )
        if not grown:
            break
    flows_before = {flow.id: flow for flow in before.flows}
    flows_after = {flow.id: flow for flow in after.flows}
    flow = {id_: id_ for id_ in flows_before if id_ in flows_after}
    keys: tuple[Callable[[SavedFlow, Mapping[str, str]], Hashable | None], ...] = (_exact, _by_ends, _by_name)
    for key in keys:
        kept = {new: new for new in node.values()}
        _extend(
            flow,
            flows_before,
            flows_after,
            lambda id_, key=key: key(flows_before[id_], node),  # type: ignore[misc]
            lambda id_, key=key, kept=kept: key(flows_after[id_], kept),  # type: ignore[misc]
        )
    return ElementMatch(nodes_before, nodes_after, flows_before, flows_after, node, flow)


def pair_unique(
    before: Iterable[_T],
    after: Iterable[_T],
    key: Callable[[_T], Hashable | None],
    other: Callable[[_T], Hashable | None],
) -> list[tuple[_T, _T]]:
    """Give the pairs of those that alone on their side have a key, and have it alike; ``None`` is no key."""
    ours, theirs = _alone(before, key), _alone(after, other)
    return [(one, theirs[known]) for known, one in ours.items() if known in theirs]


def _alone(values: Iterable[_T], key: Callable[[_T], Hashable | None]) -> dict[Hashable, _T]:
    groups: dict[Hashable, list[_T]] = {}
    for value in values:
        known = key(value)
        if known is not None:
            groups.setdefault(known, []).append(value)
    return {known: group[0] for known, group in groups.items() if len(group) == 1}


def _extend(
    match: dict[str, str],
    before: Iterable[str],
    after: Iterable[str],
    key: Callable[[str], Hashable | None],
    other: Callable[[str], Hashable | None],
) -> bool:
    taken = set(match.values())
    lost = [id_ for id_ in before if id_ not in match]
    come = [id_ for id_ in after if id_ not in taken]
    found = pair_unique(lost, come, key, other)
    match.update(found)
    return bool(found)


def _named(element: SavedElement) -> Hashable | None:
    return (_kind_words(element.kind), element.name) if element.name else None


def _exact(flow: SavedFlow, node: Mapping[str, str]) -> Hashable | None:
    ends = _by_ends(flow, node)
    return (ends, flow.name) if ends is not None else None


def _by_ends(flow: SavedFlow, node: Mapping[str, str]) -> Hashable | None:
    source, target = node.get(flow.source), node.get(flow.target)
    return (source, target) if source is not None and target is not None else None


def _by_name(flow: SavedFlow, node: Mapping[str, str]) -> Hashable | None:
    source = node.get(flow.source)
    return (source, flow.name) if source is not None and flow.name else None


class _Ways:
    """The flows of one version by their ends."""

    def __init__(self, flows: Sequence[SavedFlow]) -> None:
        self._incoming: dict[str, list[SavedFlow]] = {}
        self._outgoing: dict[str, list[SavedFlow]] = {}
        for flow in flows:
            self._outgoing.setdefault(flow.source, []).append(flow)
            self._incoming.setdefault(flow.target, []).append(flow)

    def surroundings(self, element: SavedElement, node: Mapping[str, str]) -> Hashable | None:
        """Give kind, name and neighbours of an element; None where no neighbour is known."""
        into = sorted((flow.name, node.get(flow.source, "")) for flow in self._incoming.get(element.id, ()))
        out = sorted((flow.name, node.get(flow.target, "")) for flow in self._outgoing.get(element.id, ()))
        if not any(neighbour for _, neighbour in (*into, *out)):
            return None
        return (_kind_words(element.kind), element.name, tuple(into), tuple(out))
