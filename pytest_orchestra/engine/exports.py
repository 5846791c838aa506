"""Who writes what into the context of the suite, and what became of it: for readers that find nothing there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_orchestra.data.step_templates import StepTemplates
from pytest_orchestra.engine.request import RunRequest
from pytest_orchestra.errors import OrchestraError, UndefinedVariableError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import RunStatus, StepResult

__all__ = ["ExportLedger"]


@dataclass
class ExportLedger:
    """The runs of a session by what their steps export."""

    _writers: dict[str, dict[str, str]] = field(default_factory=dict)
    _written: dict[str, str] = field(default_factory=dict)
    _states: dict[str, RunStatus] = field(default_factory=dict)
    _needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _own: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    _given: dict[str, dict[str, JsonValue]] = field(default_factory=dict)

    def expect(self, request: RunRequest) -> None:
        """Note what a run will export when it passes, and what all steps of its process would."""
        self._needs[request.run.key] = tuple(need.run_key for need in request.prerequisites)
        for step in request.scenario.steps:
            for name in step.definition.export_as:
                self._writers.setdefault(name, {})[request.run.key] = step.alias
        for element, steps in request.setting.bindings.bindings.items():
            for name in (name for step in steps for name in step.export_as):
                self._written.setdefault(name, element)

    def end(self, run_key: str, status: RunStatus, steps: Iterable[StepResult] = ()) -> None:
        """Note how a run ended, and what its steps exported."""
        self._states[run_key] = status
        self._own[run_key] = {name: value for step in steps for name, value in step.exported.items()}
        self._given[run_key] = self.given_to(run_key)

    def given_to(self, run_key: str) -> dict[str, JsonValue]:
        """Give what the runs export on which a run depends, directly or not.

        Of one name, the runs that it names itself go before those on which they depend, and of several the last one.
        """
        needs = self._needs.get(run_key, ())
        found: dict[str, JsonValue] = {}
        for known in (self._given, self._own):
            for need in needs:
                found |= known.get(need, {})
        return found

    def explain(
        self, error: OrchestraError, templates: StepTemplates, suite: Mapping[str, object], reader: str
    ) -> OrchestraError:
        """Give an error of the run ``reader`` with who should have exported what it misses; others as they are."""
        if not isinstance(error, UndefinedVariableError) or error.root != "suite":
            return error
        missing = [name for name in _suite_names(templates.paths) if name not in suite and f"'{name}'" in error.fact]
        if not missing:
            return error
        fact, hint = self._tell(missing[0], reader)
        return UndefinedVariableError(
            f"'suite.{missing[0]}' is not there: {fact}",
            place=error.place,
            hint=hint,
            root=error.root,
            roots=error.roots,
        )

    def _tell(self, name: str, reader: str) -> tuple[str, str]:
        writers = {key: alias for key, alias in self._writers.get(name, {}).items() if key != reader}
        if not writers:
            element = self._written.get(name)
            if element is None:
                return "no step of this session exports it", "let a step export it with 'exportAs'"
            return (
                f"a step of '{element}' exports it, but no other scenario of this session has that step",
                "select a scenario that has it, or let '--orchestra-deps=run' do so",
            )
        key = min(writers, key=lambda each: (each not in self._states, each))
        told = f"step '{writers[key]}' of '{key}' should have exported it, which "
        more = f" (so should {len(writers) - 1} more)" if len(writers) > 1 else ""
        state = self._states.get(key)
        if state is None:
            return f"{told}has not ended yet{more}", "let this scenario depend on it with 'dependsOn'"
        if state.is_good:
            return (
                f"{told}ended as {state} without doing so{more}",
                "see why that step was not reached, or did not pass",
            )
        return f"{told}ended as {state}{more}", "see why it did not pass"


def _suite_names(paths: Iterable[str]) -> list[str]:
    return sorted({path.split(".")[1] for path in paths if path.startswith("suite.")})
