"""A plan as it is kept in a file: what the scenarios of a process were, to be compared with what they are.

The models here are those of a file that a program writes; people read it, and review its changes. Values of data never
enter it, only digests of whole data sets.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from pytest_orchestra.model.definition import Criterion, Definition, StepKind

__all__ = [
    "PLAN_FORMAT",
    "PLAN_VERSION",
    "SavedBranch",
    "SavedCoverage",
    "SavedDataSet",
    "SavedDecision",
    "SavedElement",
    "SavedFlow",
    "SavedOperation",
    "SavedPlan",
    "SavedProcess",
    "SavedScenario",
    "SavedStep",
    "SavedStepDefinition",
]

PLAN_FORMAT: Final = "orchestra-plan"
PLAN_VERSION: Final = 1

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""The first 16 hexadecimal digits of a SHA-256."""


class SavedElement(Definition):
    """A node of the process."""

    id: str
    kind: str
    name: str = ""


class SavedFlow(Definition):
    """A sequence flow of the process."""

    id: str
    source: str
    target: str
    name: str = ""


class SavedBranch(Definition):
    """A branch that was taken: a flow, a boundary event, a start event, or `normal`."""

    id: str
    name: str = ""


class SavedDecision(Definition):
    """What a scenario decided at one element, visit by visit."""

    element: str
    name: str = ""
    branches: list[SavedBranch]


class SavedStep(Definition):
    """A step at its place in a scenario."""

    alias: str
    element: str
    kind: StepKind
    definition: Digest
    """The step's definition, under `definitions`."""
    operation: str | None = None
    """The operation that it calls, under `operations` if the specification has it."""


class SavedScenario(Definition):
    """A scenario."""

    key: str
    name: str
    named: bool = False
    """Whether the sidecar names it; coverage made it otherwise."""
    active: bool = True
    nodes: list[str]
    flows: list[str]
    decisions: list[SavedDecision]
    conditions: list[str]
    data: list[str]
    generated_data: bool = False
    """Whether its data was generated, because no data set fits."""
    steps: list[SavedStep]
    faults: list[str] = Field(default_factory=list)
    """What stopped it from being run when the plan was saved."""


class SavedCoverage(Definition):
    """How much of a criterion was covered."""

    covered: int = Field(ge=0)
    total: int = Field(ge=0)


class SavedProcess(Definition):
    """A process with its scenarios."""

    id: str
    name: str
    hash: str
    coverage: dict[Criterion, SavedCoverage]
    elements: list[SavedElement]
    flows: list[SavedFlow]
    scenarios: list[SavedScenario]


class SavedOperation(Definition):
    """The contract of an operation that steps call."""

    method: str
    path: str
    digest: Digest
    contract: dict[str, str]
    """Part of the contract, `request body.customer`, to what is said of it, `string, required`."""


class SavedStepDefinition(Definition):
    """How a step is defined: a digest of each of its fields, and what it reads of replies."""

    fields: dict[str, Digest]
    reads: list[str] = Field(default_factory=list)
    """Parts of replies that its templates and rules read: `place.id` is the reply of step `place`, `.id` its own."""


class SavedDataSet(Definition):
    """A data set that scenarios use."""

    digest: Digest
    fields: list[str]


class SavedPlan(Definition):
    """A saved plan, `order.plan.json` beside `order.bpmn`."""

    format: Literal["orchestra-plan"]
    version: Literal[1]
    file: str
    """The name of the model's file."""
    processes: list[SavedProcess]
    operations: dict[str, SavedOperation]
    definitions: dict[str, SavedStepDefinition]
    data_sets: dict[str, SavedDataSet]
