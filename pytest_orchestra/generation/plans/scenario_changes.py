"""What became of one scenario of a saved plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_orchestra.generation.plans.contracts import contract_changes, field_is_gone
from pytest_orchestra.generation.plans.element_matching import ElementMatch
from pytest_orchestra.generation.wording import quoted
from pytest_orchestra.model.saved_plan import (
    SavedDecision,
    SavedOperation,
    SavedPlan,
    SavedScenario,
    SavedStep,
)
from pytest_orchestra.model.specification import Operation, ProtocolSpec

__all__ = ["Comparison", "ScenarioChange", "ScenarioState"]

_NO_OPERATION = "unknown operation"
_PLUMBING = "Gateway"


class ScenarioState(StrEnum):
    """What became of a scenario; those that need a person's eye come first."""

    BROKEN = "broken"
    STALE = "stale"
    MISSING = "missing"
    NEW = "new"
    REMAPPED = "re-mapped"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class ScenarioChange:
    """What became of one scenario, in words. ``was`` is its key in the saved plan where that was another."""

    state: ScenarioState
    key: str
    changes: tuple[str, ...] = ()
    was: str | None = None


@dataclass
class _Findings:
    """What was found about a scenario, by how much it matters."""

    broken: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)

    def change(self, key: str, was: str | None) -> ScenarioChange:
        state = ScenarioState.UNCHANGED
        if self.broken:
            state = ScenarioState.BROKEN
        elif self.stale:
            state = ScenarioState.STALE
        elif self.renamed:
            state = ScenarioState.REMAPPED
        return ScenarioChange(state, key, tuple(dict.fromkeys((*self.broken, *self.stale, *self.renamed))), was)


@dataclass(frozen=True)
class Comparison:
    """Compares scenarios of two plans of one process; both plans hold all definitions that their steps name."""

    before: SavedPlan
    after: SavedPlan
    match: ElementMatch
    specs: Mapping[str, ProtocolSpec]

    def of_pair(self, was: SavedScenario, now: SavedScenario) -> ScenarioChange:
        """Say what became of a scenario that is still there."""
        found = _Findings()
        if was.key != now.key:
            found.renamed.append(f"its key is '{now.key}' now, was '{was.key}'")
        elif was.name != now.name:
            found.renamed.append(f"its name is '{now.name}' now, was '{was.name}'")
        if was.active != now.active:
            found.stale.append("is active now" if now.active else "is inactive now")
        self._faults(was, now, found)
        if was.nodes and not now.nodes:
            self._removed(was, found)
            return found.change(now.key, was.key if was.key != now.key else None)
        self._path(was, now, found)
        self._decisions(was, now, found)
        self._steps(was, now, found)
        self._conditions(was, now, found)
        self._data(was, now, found)
        return found.change(now.key, was.key if was.key != now.key else None)

    def of_lost(self, was: SavedScenario) -> ScenarioChange:
        """Say what became of a scenario that is not there any more: it cannot be, or nobody needs it."""
        found = _Findings()
        self._removed(was, found)
        if found.broken:
            return found.change(was.key, None)
        if was.named:
            reason = "the sidecar does not name it any more"
        elif not was.nodes:
            reason = "it had no path"
        else:
            reason = "its path is still there, but coverage does not need it any more"
        return ScenarioChange(ScenarioState.MISSING, was.key, (reason,))

    def of_new(self, now: SavedScenario) -> ScenarioChange:
        """Say what is new about a scenario that the saved plan does not have."""
        kept = {*self.match.node.values(), *self.match.flow.values()}
        passed = dict.fromkeys(node for node in now.nodes if node not in kept)
        words = [f"passes new {self.match.new(node)}" for node in passed if self._is_telling(self.match.after, node)]
        if not words and now.decisions:
            words = [f"decides {', '.join(map(_decided, now.decisions))}"]
        return ScenarioChange(ScenarioState.NEW, now.key, tuple(words))

    def mapped(self, was: SavedScenario) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
        """Give the nodes and flows of an old scenario by their ids of today."""
        return tuple(map(self.match.now, was.nodes)), tuple(map(self.match.now, was.flows))

    def mapped_decisions(self, was: SavedScenario) -> tuple[tuple[str | None, tuple[str | None, ...]], ...]:
        """Give the decisions of an old scenario by their ids of today."""
        return tuple(
            (self._element_now(decision.element), tuple(self.match.now(branch.id) for branch in decision.branches))
            for decision in was.decisions
        )

    def _element_now(self, element: str) -> str | None:
        """Give a deciding element's id of today; that of a sub-process's start is made of the sub-process's."""
        owner, dot, rest = element.rpartition(".")
        if dot and owner in self.match.before and element not in self.match.before:
            now = self.match.now(owner)
            return None if now is None else f"{now}.{rest}"
        return self.match.now(element)

    @staticmethod
    def _is_telling(nodes: Mapping[str, object], node: str) -> bool:
        """Whether an element is worth a word: gateways only steer, and what they decide is told as a decision."""
        return not getattr(nodes.get(node), "kind", "").endswith(_PLUMBING)

    def _removed(self, was: SavedScenario, found: _Findings) -> None:
        """Tell of what a scenario needs and the model does not have any more."""
        for node in dict.fromkeys(was.nodes):
            decides = any(decision.element == node for decision in was.decisions)
            if self.match.now(node) is None and (decides or self._is_telling(self.match.before, node)):
                found.broken.append(f"removed {self.match.old(node)}")
        for decision in was.decisions:
            for branch in decision.branches:
                if self.match.now(branch.id) is None:
                    found.broken.append(f"removed {self.match.old(branch.id)}")

    def _faults(self, was: SavedScenario, now: SavedScenario, found: _Findings) -> None:
        new = [fault for fault in now.faults if fault not in was.faults]
        found.broken += [fault for fault in new if not fault.startswith(_NO_OPERATION)]
        if was.nodes and not now.nodes and not found.broken:
            found.broken.append("no path takes its decisions any more")

    def _path(self, was: SavedScenario, now: SavedScenario, found: _Findings) -> None:
        told = len(found.broken)
        self._removed(was, found)
        nodes, flows = self.mapped(was)
        found.renamed += self.match.renamings((*was.nodes, *was.flows))
        if nodes == tuple(now.nodes) and flows == tuple(now.flows):
            for node in dict.fromkeys(was.nodes):
                found.stale += self.match.alterations(node)
            return
        told += len(found.stale)
        before, after = Counter(filter(None, nodes)), Counter(now.nodes)
        kept = set(self.match.node.values())
        for node in dict.fromkeys(now.nodes):
            if node not in kept:
                found.stale.append(f"passes new {self.match.new(node)}")
            elif node not in before:
                found.stale.append(f"passes {self.match.new(node)} now")
            elif after[node] != before[node]:
                found.stale.append(
                    f"passes {self.match.new(node)} {_times(after[node])} now, was {_times(before[node])}"
                )
        for node in dict.fromkeys(was.nodes):
            mapped = self.match.now(node)
            if mapped is None and f"removed {self.match.old(node)}" not in found.broken:
                found.stale.append(f"removed {self.match.old(node)}")
            elif mapped is not None and mapped not in after:
                found.stale.append(f"does not pass {self.match.old(node)} any more")
        if told == len(found.broken) + len(found.stale):
            same = Counter(flows) == Counter(now.flows)
            found.stale.append("passes its elements in another order" if same else "takes other flows between them")

    def _decisions(self, was: SavedScenario, now: SavedScenario, found: _Findings) -> None:
        before = dict(zip((element for element, _ in self.mapped_decisions(was)), was.decisions, strict=True))
        taken = dict(self.mapped_decisions(was))
        for decision in now.decisions:
            ids = tuple(branch.id for branch in decision.branches)
            if decision.element not in taken:
                found.stale.append(f"decides {_decided(decision)} as well")
            elif taken[decision.element] != ids and None not in taken[decision.element]:
                found.stale.append(f"decides {_decided(decision)} now, was {_branches(before[decision.element])}")
        present = {decision.element for decision in now.decisions}
        for element, decision in before.items():
            if element is not None and element not in present and now.nodes:
                found.stale.append(f"does not decide {_decided(decision)} any more")

    def _conditions(self, was: SavedScenario, now: SavedScenario, found: _Findings) -> None:
        come = [text for text in now.conditions if text not in was.conditions]
        gone = [text for text in was.conditions if text not in now.conditions]
        if come:
            found.stale.append(f"requires now: {'; '.join(come)}")
        if gone:
            found.stale.append(f"does not require any more: {'; '.join(gone)}")

    def _data(self, was: SavedScenario, now: SavedScenario, found: _Findings) -> None:
        come = [name for name in now.data if name not in was.data]
        gone = [name for name in was.data if name not in now.data]
        if was.data and now.generated_data and not now.data:
            found.stale.append("no data set fits any more, it runs with generated data now")
            return
        if was.generated_data and not now.generated_data:
            found.stale.append(
                "runs with data sets now, was with generated data" if now.data else "has no data any more"
            )
        if was.data and not now.data:
            if not any("data set fits" in fault for fault in found.broken):
                found.broken.append("no data set fits any more")
            return
        if come:
            found.stale.append(f"runs with data set {quoted(come)} as well")
        for name in gone:
            is_there = name in self.after.data_sets
            found.stale.append(
                f"data set '{name}' does not fit any more" if is_there else f"data set '{name}' is not used"
            )
        for name in now.data:
            found.stale += self._data_set(name) if name in was.data else ()

    def _data_set(self, name: str) -> Iterator[str]:
        was, now = self.before.data_sets.get(name), self.after.data_sets.get(name)
        if was is None or now is None or was.digest == now.digest:
            return
        gone = [key for key in was.fields if key not in now.fields]
        come = [key for key in now.fields if key not in was.fields]
        if gone:
            yield f"data set '{name}' has no {quoted(gone)} any more"
        if come:
            yield f"data set '{name}' has {quoted(come)} now"
        if not gone and not come:
            yield f"data set '{name}' has other values"

    def _steps(self, was: SavedScenario, now: SavedScenario, found: _Findings) -> None:
        before = {step.alias: step for step in was.steps}
        after = {step.alias: step for step in now.steps}
        for alias, step in before.items():
            if alias not in after and self.match.now(step.element) is not None:
                found.stale.append(f"step '{alias}' is gone")
        for alias, step in after.items():
            if alias not in before:
                found.stale.append(f"step '{alias}' is new")
            else:
                self._step(before[alias], step, found)
        kept = [step.alias for step in was.steps if step.alias in after]
        if kept != [step.alias for step in now.steps if step.alias in before]:
            found.stale.append("its steps come in another order")
        self._reads(now, found)

    def _step(self, was: SavedStep, now: SavedStep, found: _Findings) -> None:
        if was.definition != now.definition:
            changed = self._changed_fields(was, now)
            if "endpointRef" in changed and self._is_same_operation(was.operation, now.operation):
                found.renamed.append(f"operation '{was.operation}' is called '{now.operation}' now")
                changed.remove("endpointRef")
            if "name" in changed:
                found.renamed.append(f"step '{now.alias}' has another name")
                changed.remove("name")
            if changed:
                found.stale.append(f"step '{now.alias}' is defined otherwise: {quoted(changed)}")
        if self.match.now(was.element) != now.element:
            found.stale.append(f"step '{now.alias}' belongs to {self.match.new(now.element)} now")
        if was.operation == now.operation and now.operation is not None:
            self._operation(now.operation, found)

    def _changed_fields(self, was: SavedStep, now: SavedStep) -> list[str]:
        before, after = self.before.definitions[was.definition], self.after.definitions[now.definition]
        names = sorted({*before.fields, *after.fields})
        return [name for name in names if before.fields.get(name) != after.fields.get(name)]

    def _is_same_operation(self, was: str | None, now: str | None) -> bool:
        before, after = self.before.operations.get(was or ""), self.after.operations.get(now or "")
        return before is not None and before == after

    def _operation(self, name: str, found: _Findings) -> None:
        was, now = self.before.operations.get(name), self.after.operations.get(name)
        if was is None or was == now:
            return
        if now is None:
            found.broken.append(self._gone(name, was))
            return
        if (was.method, was.path) != (now.method, now.path):
            found.renamed.append(f"{name}: is {now.method} {now.path} now, was {was.method} {was.path}")
        words = contract_changes(was.contract, now.contract)
        if not words and was.contract == now.contract and (was.method, was.path) == (now.method, now.path):
            words = ("its contract changed where the plan does not list it",)
        found.stale += [f"{name}: {word}" for word in words]

    def _gone(self, name: str, was: SavedOperation) -> str:
        service, _, _ = name.partition(".")
        spec = self.specs.get(service)
        if spec is None:
            return f"{name}: service '{service}' has no specification any more"
        signature = f"{was.method} {was.path}"
        operation: Operation | None = spec.operation.get(signature)
        if operation is not None:
            return f"{name}: the operation is gone; {signature} is called '{operation.name}' now"
        return f"{name}: the operation {signature} is gone from the specification"

    def _reads(self, now: SavedScenario, found: _Findings) -> None:
        """Tell of parts of replies that steps read and the operations do not promise any more."""
        operations = {step.alias: step.operation for step in now.steps}
        for step in now.steps:
            for path in self.after.definitions[step.definition].reads:
                own = path.startswith((".", "["))
                alias, part = (step.alias, path) if own else _split(path)
                name = operations.get(alias) or ""
                before, after = self.before.operations.get(name), self.after.operations.get(name)
                if before and after and field_is_gone(part, before.contract, after.contract):
                    text = f"{name}: response field '{part.lstrip('.')}' is gone, which step '{step.alias}' reads"
                    found.broken.append(text)


def _split(path: str) -> tuple[str, str]:
    at = min(index for index in (path.find("."), path.find("["), len(path)) if index >= 0)
    return path[:at], path[at:]


def _decided(decision: SavedDecision) -> str:
    return f"'{decision.name or decision.element}' -> {_branches(decision)}"


def _branches(decision: SavedDecision) -> str:
    return quoted(branch.name or branch.id for branch in decision.branches)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
