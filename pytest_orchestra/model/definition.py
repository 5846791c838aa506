"""What a user writes beside a process: steps, bindings, decisions, scenarios.

These are the only pydantic models of the model floor: they validate what they are built from, publish their
JSON Schema, and are frozen. Field names are ``snake_case`` here and ``camelCase`` in files; both are read.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from pytest_orchestra.model.definition_base import Alias, Definition
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.model.step_definition import (
    Backoff,
    ChannelName,
    CleanUp,
    EndpointRef,
    Retry,
    Rule,
    StepDefinition,
    list_of_steps,
)
from pytest_orchestra.model.vocabulary import (
    ActionMode,
    BarrierReaction,
    CallMode,
    ChannelType,
    Criterion,
    OnResume,
    RetryCause,
    RunMode,
    ScenarioStatus,
    StepKind,
    ValueMatcherMode,
)
from pytest_orchestra.problem import Place

__all__ = [
    "ActionMode",
    "Alias",
    "Backoff",
    "BarrierReaction",
    "Bindings",
    "CallMode",
    "ChannelName",
    "ChannelType",
    "Criterion",
    "CustomAssertion",
    "CustomStep",
    "Definition",
    "Dependency",
    "EndpointRef",
    "InputDefinition",
    "OnResume",
    "Retry",
    "RetryCause",
    "Rule",
    "RunMode",
    "ScenarioDefinition",
    "ScenarioStatus",
    "StepDefinition",
    "StepKind",
    "StepLibrary",
    "ValueMatcherMode",
]

ScenarioKey = Annotated[str, StringConstraints(pattern=r"^[^\s/:\[\]][^/:\[\]]*$", max_length=120)]
"""A name that node ids can use: no '/', ':', '[' or ']'."""


class InputDefinition(Definition):
    """An input of a custom step or assertion."""

    description: str | None = None
    """What it is for."""
    required: bool = True
    """Whether it must be given; what is neither given nor has a `default` is null."""
    default: JsonValue = None
    """Its value, or a template of it, where none is given."""

    @model_validator(mode="before")
    @classmethod
    def _optional_by_default(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {"required": False, **value} if isinstance(value, dict) and "default" in value else value


class CustomStep(Definition):
    """A step of your own, made of others: `{{input.NAME}}` in them is what it is used with."""

    description: str | None = None
    inputs: dict[Alias, InputDefinition] = Field(default_factory=dict)
    """What it is used `with`, by name; an empty entry is a required input."""
    steps: Annotated[list[StepDefinition], BeforeValidator(list_of_steps)] = Field(min_length=1)
    """What is done. Their aliases are its own: outside they are `ALIAS_inner`."""
    outputs: dict[Alias, str] = Field(default_factory=dict)
    """What later steps read as `step.ALIAS.outputs.NAME`: name to expression over its own steps and inputs."""


class CustomAssertion(Definition):
    """Rules under a name, which `businessRules` may `use`."""

    description: str | None = None
    inputs: dict[Alias, InputDefinition] = Field(default_factory=dict)
    rules: list[Rule] = Field(min_length=1)


class StepLibrary(Definition):
    """A file of custom steps and assertions, which sidecars include."""

    include: list[str] = Field(default_factory=list)
    """More such files, relative to this one."""
    custom_steps: dict[Alias, CustomStep] = Field(default_factory=dict)
    custom_assertions: dict[Alias, CustomAssertion] = Field(default_factory=dict)
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)


class Dependency(Definition):
    """A scenario that must have ended before this one starts; in short just its key."""

    short_form: ClassVar[str | None] = "The scenario's key."

    scenario: str
    """Its key, or `key[data set]`, or `file.bpmn::key` for one of another process."""
    outcome: Literal["PASSED", "FAILED", "ANY"] = "PASSED"
    """The outcome that is required."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"scenario": value} if isinstance(value, str) else value


class ScenarioDefinition(Definition):
    """A scenario that the user names: the decisions that make it, and what else is to be known of it."""

    key: ScenarioKey
    """The scenario's name in node ids."""
    name: str | None = None
    """The scenario in words."""
    decisions: dict[str, str | list[str]] = Field(default_factory=dict)
    """Gateway (id or name) to branch (flow id, branch name or target), one for each visit if a list; an activity
    with boundary events to the event's id or name, one that repeats to `0`, `1` or `N`; `start` to a start event, and
    `events` (`SUB.events` in a sub-process) to an event sub-process."""
    data_sets: list[str] = Field(default_factory=list)
    """Names of data sets, or `tag:NAME`; all that fit the path if absent."""
    tags: list[str] = Field(default_factory=list)
    depends_on: list[Dependency] = Field(default_factory=list)
    locks: list[str] = Field(default_factory=list)
    """What it must have for itself, under names of your own, which may be templates over `data` and `environment`:
    `customer:{{data.customer}}`."""
    clean_up: CleanUp = Field(default_factory=list, alias="finally")
    """Steps that clean up behind the scenario, in the end, however that is, if it has begun."""
    status: ScenarioStatus = ScenarioStatus.PUBLISHED
    """Only `PUBLISHED` scenarios run; `DRAFT` and `DEPRECATED` ones are skipped with that reason."""
    active: bool = True
    """Whether it is collected."""
    retries: int | None = Field(default=None, ge=0, le=20)
    """How often the scenario is run again when it failed; what the sidecar says if absent."""
    scenario_timeout_ms: int | None = Field(default=None, gt=0)
    """How long the scenario may take with all its retries; what the sidecar says if absent."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)


class Bindings(Definition):
    """The sidecar of a process, `order.orchestra.yaml` beside `order.bpmn`."""

    process: str | None = None
    """The process of the file that is meant (id or name), where there are several."""
    processes: list[str] = Field(default_factory=list)
    """More process files, as globs relative to this file, in which call activities find the processes they call."""
    calls: dict[str, CallMode] = Field(default_factory=dict)
    """Call activity (id or name, `*` for all others) to `inline`, the called process takes part in the scenarios, or
    `opaque`, one step; `opaque` if absent."""
    specs: dict[str, str] = Field(default_factory=dict)
    """Service name to its specification, a path relative to this file."""
    coverage: list[Criterion] = Field(default_factory=lambda: [Criterion.EDGE])
    """What the scenarios must cover."""
    thresholds: dict[Criterion, Annotated[float, Field(ge=0, le=100)]] = Field(default_factory=dict)
    """Criterion to the percentage of it that must be covered: below it, `orchestra plan` and the session fail. Only
    criteria among `coverage`."""
    max_loop_iterations: int = Field(default=1, ge=0, le=100)
    """How often a loop may be repeated."""
    loops: dict[str, int] = Field(default_factory=dict)
    """The same for single nodes: how often they may be visited again."""
    bindings: dict[str, list[StepDefinition]] = Field(default_factory=dict)
    """Element (id or name) to its steps; an empty list says that nothing is to be done there."""
    include: list[str] = Field(default_factory=list)
    """Files of custom steps and assertions, relative to this file."""
    custom_steps: dict[Alias, CustomStep] = Field(default_factory=dict)
    """Steps of your own by name, each made of others; a step says `use: NAME` and `with: {input: value}`."""
    custom_assertions: dict[Alias, CustomAssertion] = Field(default_factory=dict)
    """Rules of your own by name; a rule says `use: NAME` and `with: {input: value}`."""
    simulations: dict[str, Simulation] = Field(default_factory=dict)
    """Service, or other participant, to how it behaves where it is simulated."""
    infer_bindings: bool = True
    """Whether elements that are not bound here get a step where the model itself names their operation: by
    `operationRef`, a vendor's connector, or an `operationId` as name."""
    decisions: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Gateway (id or name) to branch (flow id, name or target) to the expression over `data` that leads there; `visit`
    is the number of the visit, from 1."""
    shared_resources: dict[str, list[str]] = Field(default_factory=dict)
    """What concurrent elements (ids or names) share, by a name of your own; steps of the same endpoint or table share
    it without being told."""
    races: bool | Literal["at-once"] = True
    """Whether concurrent elements that share something, of which one changes it, are also run in the other order; with
    `at-once` their actions also meet: each is sent without waiting for the others, and a barrier waits for all."""
    witnesses: bool = True
    """Whether a scenario that no data set fits gets one that is made for it."""
    boundary_values: bool = False
    """Whether scenarios also run with data at, just below and just above the numbers that their conditions compare."""
    data_sets: list[str] = Field(default_factory=list)
    """Data files, as globs relative to this file; `data/*` beside it if absent."""
    scenarios: list[ScenarioDefinition] = Field(default_factory=list)
    """Scenarios with names of their own; the rest of the coverage is generated around them."""
    tags: list[str] = Field(default_factory=list)
    """Tags of every scenario; each is a pytest marker."""
    locks: list[str] = Field(default_factory=list)
    """What every scenario must have for itself; see ScenarioDefinition."""
    clean_up: CleanUp = Field(default_factory=list, alias="finally")
    """Steps that clean up behind every scenario, after those of the scenario and of its steps."""
    fixtures: list[str] = Field(default_factory=list)
    """pytest fixtures that the scenarios use; templates see their values as `fixture.NAME`."""
    correlation_header: str = "X-Correlation-ID"
    """The HTTP header that carries the correlation id."""
    mode: RunMode = RunMode.STOP_ON_FIRST_FAILURE
    """`STOP_ON_FIRST_FAILURE` or `RUN_ALL_STEPS`."""
    on_resume: OnResume | None = None
    """The default for steps."""
    retry: Retry | None = None
    """The default for actions. An assertion waits anyway; it is tried again only if it has a `retry` of its own."""
    retries: int | None = Field(default=None, ge=0, le=20)
    """How often each scenario is run again when it failed; `--orchestra-retries` if absent."""
    scenario_timeout_ms: int | None = Field(default=None, gt=0)
    """How long each scenario may take with all its retries; any time if absent."""
    timeout_ms: int = Field(default=10_000, gt=0)
    """The default for steps."""
    poll_interval_ms: int = Field(default=100, gt=0)
    """The default for steps."""
    place: SkipJsonSchema[Place | None] = Field(default=None, exclude=True, repr=False)
    places: SkipJsonSchema[dict[tuple[str, ...], Place]] = Field(default_factory=dict, exclude=True, repr=False)

    def place_of(self, *path: str) -> Place | None:
        """Give where a key is written, ``place_of("decisions", gateway, branch)``, else the place of the sidecar."""
        return self.places.get(path, self.place)

    @field_validator("mode")
    @classmethod
    def _mode_of_suites(cls, value: RunMode) -> RunMode:
        if value not in (RunMode.RUN_ALL_STEPS, RunMode.STOP_ON_FIRST_FAILURE):
            raise ValueError(f"'{value}' is a mode of a single run; a suite has RUN_ALL_STEPS or STOP_ON_FIRST_FAILURE")
        return value

    @field_validator("thresholds")
    @classmethod
    def _thresholds_of_coverage(cls, value: dict[Criterion, float], info: ValidationInfo) -> dict[Criterion, float]:
        covered = info.data.get("coverage", value)
        for criterion in value:
            if criterion not in covered:
                raise ValueError(f"'{criterion}' is not among 'coverage', which is {', '.join(covered)}")
        return value

    @field_validator("bindings", mode="before")
    @classmethod
    def _one_step_or_many(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            element: [steps] if isinstance(steps, dict) else ([] if steps is None else steps)
            for element, steps in value.items()
        }
