"""From a process file to its suites: everything that lies beside it is read, checked and put together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pytest_orchestra.data.custom_steps import expand_custom_steps
from pytest_orchestra.engine.ports import ProtocolPlugin
from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.generation.binding import InferredBindings, infer_bindings
from pytest_orchestra.generation.control_flow.called_processes import inline_calls
from pytest_orchestra.generation.control_flow.lookup import inner_id
from pytest_orchestra.generation.suite import build_suite
from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.definition import Bindings, Criterion, StepDefinition
from pytest_orchestra.model.process import Process, ProcessDocument
from pytest_orchestra.model.scenario import ScenarioSuite, TestScenario
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.readers.data_files import read_data_sets
from pytest_orchestra.readers.process_file import read_process
from pytest_orchestra.readers.sidecar import read_sidecar, sidecar_path
from pytest_orchestra.readers.step_library import read_step_libraries
from pytest_orchestra.session.references import check_scenario, check_syntax
from pytest_orchestra.session.simulation_check import check_simulations
from pytest_orchestra.session.step_channels import is_grpc_file, with_channels

__all__ = ["DATA_SUFFIXES", "DefinitionLoader", "Definitions"]

DATA_SUFFIXES: Final = (".yaml", ".yml", ".json", ".csv")


@dataclass(frozen=True, eq=False)
class Definitions:
    """All that is defined for one process file.

    ``problems`` are those of no single scenario. Where the sidecar or the data could not be read, ``is_runnable`` is
    false: the suites are then those of the process alone, good to look at and not to run. ``inferred`` has, by process
    id, what the model itself says of the elements that the sidecar does not bind; ``processes`` are those of the suites
    with the called processes that were to take part.
    """

    file: Path
    document: ProcessDocument
    bindings: Bindings | None
    specs: Mapping[str, ProtocolSpec]
    data_sets: Mapping[str, TestDataSet]
    suites: tuple[ScenarioSuite, ...]
    problems: tuple[Problem, ...]
    is_runnable: bool = True
    inferred: Mapping[str, InferredBindings] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop something from being used."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


_USUAL: Final = "http"
_GRPC: Final = "grpc"
"""What an ``endpointRef`` speaks that does not say."""


@dataclass
class _Reading:
    """What has been read of a process file so far, with the problems on the way."""

    bindings: Bindings | None = None
    specs: dict[str, ProtocolSpec] = field(default_factory=dict)
    data_sets: list[TestDataSet] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    is_complete: bool = True


class DefinitionLoader:
    """Loads definitions; specifications and process files that several share are read once."""

    def __init__(self, protocols: Mapping[str, ProtocolPlugin], hook: Any, config: Any = None) -> None:
        self._protocols = {protocol.protocol_id: protocol for protocol in protocols.values()}
        self._by_channel = protocols
        self._hook = hook
        self._config = config
        self._specs: dict[tuple[Path, str], ProtocolSpec] = {}
        self._loaded: dict[Path, Definitions] = {}

    @property
    def loaded(self) -> tuple[Definitions, ...]:
        """What has been loaded so far."""
        return tuple(self._loaded.values())

    def load(self, file: Path, criteria: Sequence[Criterion] | None = None) -> Definitions:
        """Load what is defined for a process file. What is wrong is in the problems; nothing of ours is raised."""
        if criteria is None and file in self._loaded:
            return self._loaded[file]
        document = read_process(file)
        reading = _Reading(problems=list(document.problems))
        self._read_beside(file, reading)
        called = self._read_called(file, reading)
        callable_ones = (*document.processes, *called)
        own_processes = self._choose(document, reading)
        chosen = [
            inline_calls(process, callable_ones, reading.bindings, Place(document.file)).process
            for process in own_processes
        ]
        bindings = [_bindings_of(process, chosen, reading.bindings) for process in chosen]
        known = {service: spec for service, spec in reading.specs.items() if spec.protocol_id == _USUAL}
        inferred = [
            infer_bindings(process, document, known, own) for process, own in zip(chosen, bindings, strict=True)
        ]
        faults = self._faults_of_steps(reading, inferred)
        reading.problems += check_simulations(reading.bindings, reading.specs)
        suites = tuple(
            _with_faults(
                build_suite(
                    process,
                    own,
                    reading.data_sets,
                    document=document,
                    criteria=criteria,
                    inferred=found,
                    called=called,
                    specs=reading.specs,
                ),
                faults,
            )
            for process, own, found in zip(own_processes, bindings, inferred, strict=True)
        )
        for suite in suites:
            reading.problems.extend(suite.problems)
            reading.data_sets.extend(suite.generated_data)
        suites = tuple(_with_references(suite, reading) for suite in suites)
        definitions = Definitions(
            file,
            document,
            reading.bindings,
            reading.specs,
            {data_set.name: data_set for data_set in reading.data_sets},
            suites,
            tuple(dict.fromkeys(reading.problems)),
            reading.is_complete,
            {process.id: found for process, found in zip(chosen, inferred, strict=True)},
            tuple(chosen),
        )
        if criteria is None:
            self._loaded[file] = definitions
        return definitions

    def _read_beside(self, file: Path, reading: _Reading) -> None:
        sidecar = sidecar_path(file)
        if sidecar.is_file():
            with _collecting(reading.problems, sidecar):
                reading.is_complete = False
                reading.bindings = read_sidecar(sidecar)
                reading.bindings, faults = _with_custom_steps(reading.bindings, file.parent)
                reading.bindings = with_channels(reading.bindings)
                reading.problems += faults
                reading.is_complete = not faults
        bindings = reading.bindings
        for service, path in (bindings.specs if bindings else {}).items():
            with _collecting(reading.problems, sidecar):
                spec = self._read_spec(_from_here((file.parent / path).resolve()), service, bindings)
                reading.specs[service] = spec
                reading.problems.extend(spec.problems)
        is_complete, reading.is_complete = reading.is_complete, False
        with _collecting(reading.problems, file):
            reading.data_sets.extend(read_data_sets(_data_files(file.parent, bindings)))
            reading.is_complete = is_complete
        for more in self._hook.pytest_orchestra_data_sets(config=self._config, process_file=file):
            reading.data_sets.extend(more)

    def _read_called(self, file: Path, reading: _Reading) -> list[Process]:
        """Read the process files in which call activities find what they call."""
        found: list[Process] = []
        bindings = reading.bindings
        for pattern in bindings.processes if bindings else ():
            paths = _process_files(file.parent, pattern)
            if not paths:
                place = bindings.place_of("processes") if bindings else None
                fact = f"no process file is called '{pattern}'"
                hint = "paths in 'processes' are relative to the sidecar"
                reading.problems.append(Problem(Severity.ERROR, place or Place(str(file)), fact, hint))
            for path in paths:
                document = read_process(path)
                reading.problems += (one for one in document.problems if one.severity is Severity.ERROR)
                found += document.processes
        return found

    def _read_spec(self, path: Path, service: str, bindings: Bindings | None) -> ProtocolSpec:
        known = self._specs.get((path, service))
        if known is not None:
            return known
        if not path.is_file():
            raise DefinitionError(
                f"the specification of service '{service}' is missing: no file '{path.name}'",
                place=bindings.place_of("specs", service) if bindings else None,
                hint=f"put it at '{path}', or mend 'specs'",
            )
        protocol_id = _protocol_of(service, bindings, self._by_channel)
        protocol_id = _GRPC if protocol_id == _USUAL and is_grpc_file(path) else protocol_id
        protocol = self._protocols.get(protocol_id)
        spec = protocol.parse_spec(path, service) if protocol else None
        if spec is None:
            raise DefinitionError(
                f"protocol '{protocol_id}' of service '{service}' reads no specifications",
                place=bindings.place_of("specs", service) if bindings else None,
                hint=f"protocols that are known: {', '.join(sorted(self._protocols))}",
            )
        self._specs[path, service] = spec
        return spec

    def _choose(self, document: ProcessDocument, reading: _Reading) -> list[Process]:
        """Give the processes that are meant: the sidecar's, else all that have something in them."""
        filled = [process for process in document.processes if process.nodes]
        wanted = reading.bindings.process if reading.bindings else None
        if wanted is None:
            return filled
        found = [process for process in filled if wanted in (process.id, process.name)]
        if not found:
            assert reading.bindings is not None
            known = ", ".join(f"'{process.label}'" for process in filled)
            reading.problems.append(
                Problem(
                    Severity.ERROR,
                    reading.bindings.place or Place(document.file),
                    f"no process '{wanted}' in '{Path(document.file).name}'",
                    f"processes there: {known}" if known else "the file has no process with content",
                )
            )
        return found

    def _faults_of_steps(
        self, reading: _Reading, inferred: Iterable[InferredBindings]
    ) -> dict[Hashable, tuple[Problem, ...]]:
        """Check every bound step; give the problems by what tells the step's definition from others."""
        faults: dict[Hashable, tuple[Problem, ...]] = {}
        bound = [reading.bindings.bindings if reading.bindings else {}, *(found.steps for found in inferred)]
        general = _general_clean_up(reading.bindings)
        for steps in (*general, *(steps for elements in bound for steps in elements.values())):
            for step in (one for each in steps for one in (each, *each.clean_up)):
                known = faults.get(_identity(step), ())
                faults[_identity(step)] = (*known, *self._check(step, reading))
        reading.problems.extend(problem for found in faults.values() for problem in found)
        return faults

    def _check(self, step: StepDefinition, reading: _Reading) -> Iterable[Problem]:
        place = step.place or Place("")
        service = step.endpoint_ref.service_name if step.endpoint_ref else None
        given = reading.bindings.specs if reading.bindings else {}
        if service in given and service not in reading.specs:
            fact = f"the specification of service '{service}' cannot be used"
            return [Problem(Severity.ERROR, place, fact, "mend it first; its own problem says what is wrong")]
        protocol = self._by_channel.get(step.channel_type)
        if protocol is not None:
            return [*protocol.check(step, reading.specs), *check_syntax(step)]
        served = ", ".join(sorted(self._by_channel))
        message = f"no protocol serves channel '{step.channel_type}'"
        return [Problem(Severity.ERROR, place, message, f"channels that are served: {served}")]


def _from_here(path: Path) -> Path:
    """Give an absolute path as messages show it: from where the user is, unless it is elsewhere."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _general_clean_up(bindings: Bindings | None) -> list[list[StepDefinition]]:
    """Give the lists of clean-up steps that belong to no single step."""
    return [] if bindings is None else [bindings.clean_up, *(each.clean_up for each in bindings.scenarios)]


def _with_custom_steps(bindings: Bindings, folder: Path) -> tuple[Bindings, tuple[Problem, ...]]:
    """Give the sidecar with plain steps in place of the custom ones, and what is wrong. Raises ``DefinitionError``."""
    place = bindings.place_of("include")
    libraries = read_step_libraries({folder / path: place for path in bindings.include})
    return expand_custom_steps(bindings, libraries)


def _all_steps(bindings: Bindings | None) -> Iterator[StepDefinition]:
    """Give every step that the sidecar has, those that clean up included."""
    elements = bindings.bindings.values() if bindings else ()
    for steps in (*_general_clean_up(bindings), *elements):
        for step in steps:
            yield step
            yield from step.clean_up


def _protocol_of(service: str, bindings: Bindings | None, by_channel: Mapping[str, ProtocolPlugin]) -> str:
    """Give the protocol by which steps speak to a service; HTTP if none does."""
    for step in _all_steps(bindings):
        ref = step.endpoint_ref
        if ref is not None and ref.service_name == service:
            serving = by_channel.get(step.channel_type)
            return ref.protocol_id if serving is None or ref.protocol_id != _USUAL else serving.protocol_id
    return _USUAL


def _process_files(folder: Path, pattern: str) -> list[Path]:
    """Give the files that a pattern names, in a stable order; none where it is no pattern."""
    try:
        return [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    except (ValueError, NotImplementedError):  # an empty or an absolute pattern
        return []


def _data_files(folder: Path, bindings: Bindings | None) -> list[Path]:
    """Give the data files in a stable order: those that the sidecar names, else all in ``data/``."""
    patterns = bindings.data_sets if bindings and bindings.data_sets else ["data/*"]
    found: dict[Path, None] = {}
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.suffix.lower() in DATA_SUFFIXES:
                found[path] = None
    return list(found)


def _bindings_of(process: Process, chosen: Sequence[Process], bindings: Bindings | None) -> Bindings | None:
    """Give the bindings without those that speak of the file's other processes."""
    if bindings is None or len(chosen) == 1:
        return bindings
    elsewhere = {name for other in chosen if other is not process for name in _names(other)} - _names(process)
    return bindings.model_copy(
        update={
            "bindings": {key: steps for key, steps in bindings.bindings.items() if key not in elsewhere},
            "calls": {key: mode for key, mode in bindings.calls.items() if key not in elsewhere},
            "decisions": {key: branches for key, branches in bindings.decisions.items() if key not in elsewhere},
            "scenarios": [s for s in bindings.scenarios if not (s.decisions and set(s.decisions) <= elsewhere)],
        }
    )


def _names(process: Process) -> set[str]:
    return {name for node in process.nodes for name in (node.id, node.name, inner_id(node.id)) if name}


def _identity(step: StepDefinition) -> Hashable:
    """Give what a step has in common with its copies: where it is written."""
    return step.place or id(step)


def _with_faults(suite: ScenarioSuite, faults: Mapping[Hashable, tuple[Problem, ...]]) -> ScenarioSuite:
    """Give the suite with the problems of each scenario's own steps attached to it."""
    scenarios = tuple(
        replace(
            scenario,
            problems=tuple(
                dict.fromkeys(
                    [
                        *map(partial(_for_running, scenario), scenario.problems),
                        *(
                            problem
                            for step in scenario.all_steps
                            for problem in faults.get(_identity(step.definition), ())
                        ),
                    ]
                )
            ),
        )
        for scenario in suite.scenarios
    )
    return replace(suite, scenarios=scenarios)


def _with_references(suite: ScenarioSuite, reading: _Reading) -> ScenarioSuite:
    """Give the suite with what its steps read and nobody gives, each scenario with its own."""
    if reading.bindings is None:
        return suite
    data_sets = {data_set.name: data_set for data_set in reading.data_sets}
    is_alone = not any("::" in need.scenario for scenario in suite.scenarios for need in scenario.depends_on)
    steps = [step.definition for scenario in suite.scenarios for step in scenario.steps]
    exported = sorted({name for step in steps for name in step.export_as}) if is_alone else None
    every = (step for scenario in suite.scenarios for step in scenario.all_steps)
    aliases = {alias for step in every for alias in (step.alias, step.definition.alias) if alias}
    scenarios = tuple(
        replace(
            scenario,
            problems=(
                *scenario.problems,
                *check_scenario(
                    scenario,
                    data_sets,
                    exported,
                    reading.bindings.fixtures,
                    reading.bindings.place,
                    reading.specs,
                    aliases,
                ),
            ),
        )
        for scenario in suite.scenarios
    )
    return replace(suite, scenarios=scenarios)


def _for_running(scenario: TestScenario, problem: Problem) -> Problem:
    """Give a scenario's problem as a run takes it: that no data fits is news in a plan, and an error in a run."""
    if scenario.data_sets or problem.element != scenario.key:
        return problem
    return replace(problem, severity=Severity.ERROR)


class _collecting:  # noqa: N801  reads as a clause
    """Turn the errors of a reader into problems and go on."""

    def __init__(self, problems: list[Problem], file: Path) -> None:
        self._problems = problems
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, DefinitionError):
            return False
        if error.problems:
            self._problems.extend(error.problems)
        else:
            place = error.place or Place(str(self._file))
            self._problems.append(Problem(Severity.ERROR, place, error.fact, error.hint))
        return True
