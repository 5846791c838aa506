"""The simulated participants of a session: which there are, where they listen, and that they are closed in the end."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.ports import ProtocolPlugin
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.definition import Bindings, ChannelType, StepDefinition, StepKind
from pytest_orchestra.model.environment import Environment, ServiceProfile
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.scenario import TestScenario
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.schema_check import SchemaValidators
from pytest_orchestra.protocols.webhook import WebhookProtocol
from pytest_orchestra.session.definitions import Definitions
from pytest_orchestra.session.host import LoopHost
from pytest_orchestra.session.pools import participants_by_pool
from pytest_orchestra.session.simulated_brokers import hears_only_simulated, with_brokers
from pytest_orchestra.simulation.consumer import SimulatedConsumer
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.encounters import Encounters
from pytest_orchestra.simulation.messaging import Messaging
from pytest_orchestra.simulation.participant import Participant
from pytest_orchestra.simulation.service import SimulatedService

if TYPE_CHECKING:
    from pytest_orchestra.simulation.grpc_service import SimulatedGrpcService

__all__ = ["CALLBACK_URL", "SessionSimulation", "SpecificationContract", "chosen_services", "participants_of"]

CALLBACK_URL: Final = "callbackUrl"
"""The variable of the environment that says where the session's own listener is."""

_ALL: Final = "all"
_NONE: Final = "none"
_HEARD: Final = (ChannelType.KAFKA, ChannelType.QUEUE, ChannelType.WEBHOOK)
_HTTP: Final = "http"
_GRPC: Final = "grpc"


class SpecificationContract:
    """Holds requests and answers of simulated services against their specifications."""

    def __init__(self) -> None:
        self._validators = SchemaValidators()

    def request_faults(self, spec: ProtocolSpec, uri: str, value: JsonValue, *, is_text: bool) -> Sequence[str]:
        """Say what is wrong with a part of a request, each fault with its JSON Pointer. Raises ``DefinitionError``."""
        faults = self._validators.find_request_faults(spec, uri, value, is_text=is_text)
        return [f"{fault.pointer}: {fault.text}" for fault in faults]

    def accepts(self, spec: ProtocolSpec, uri: str, value: JsonValue) -> bool:
        """Say whether a body of an answer is what the schema allows. Raises ``DefinitionError``."""
        return not self._validators.find_faults(spec, uri, value, 1)[0]


@dataclass(eq=False)
class _Cast:
    """The participants of one process file in one environment."""

    name: str
    distortion: Distortion | None = None
    participants: dict[str, Participant] = field(default_factory=dict)
    services: dict[str, SimulatedService | SimulatedGrpcService] = field(default_factory=dict)
    consumers: list[SimulatedConsumer] = field(default_factory=list)


class SessionSimulation:
    """Starts participants when the first scenario that needs them is built.

    ``simulate`` is the option: names with commas, ``all``, ``none``, or empty for what the profiles say. ``distort``
    names what is spoiled, empty for nothing. With ``rehearses``, it is noted which faults would have met which run.
    """

    def __init__(
        self,
        protocols: Mapping[str, ProtocolPlugin],
        *,
        simulate: str = "",
        distort: str = "",
        webhook_port: int = 0,
        rehearses: bool = False,
    ) -> None:
        self._protocols = protocols
        self._simulate = simulate
        self._distortion = Distortion.read(distort) if distort else None
        self._webhook_port = webhook_port
        self._encounters = Encounters() if rehearses else None
        self._webhooks: dict[Distortion, WebhookProtocol] = {}
        self._left_out: dict[str, dict[str, None]] = {}
        self._contract = SpecificationContract()
        self._casts: dict[tuple[str, int, str], _Cast] = {}
        self._kept: list[Definitions] = []
        self._listening: set[int] = set()

    @property
    def faults(self) -> tuple[str, ...]:
        """What went wrong with simulated participants where no reply could say so."""
        casts = [cast for cast in self._casts.values() if cast.distortion is None]
        return tuple(fault for cast in casts for each in cast.participants.values() for fault in each.faults)

    def check_names(self, definitions: Iterable[Definitions]) -> None:
        """Refuse names in the option that no process file knows. Raises ``SettingsError``."""
        if self._simulate in ("", _ALL, _NONE):
            return
        definitions = list(definitions)
        known = {name for each in definitions for name in participants_of(each)}
        pools = {pool: names for each in definitions for pool, names in _pools(each).items()}
        called = {name for each in definitions for name in _services_called(each)}
        for name in _names(self._simulate):
            if name not in known and name in called:
                raise _unspecified(name)
            if name in pools and not pools[name] and name not in known:
                raise SettingsError(
                    f"--orchestra-simulate: of the pool '{name}' nobody knows what it does",
                    hint=f"add '{name}' to 'simulations' of the sidecar, or bind what exchanges messages with it",
                )
            if name not in known and name not in pools:
                nearest = difflib.get_close_matches(name, known, 1)
                there = f"participants: {', '.join(sorted(known))}" if known else "no sidecar has 'specs'"
                raise SettingsError(
                    f"--orchestra-simulate: nobody is called '{name}'",
                    hint=f"did you mean '{nearest[0]}'?" if nearest else there,
                )

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the scenarios was left out, because nobody stands in for it."""
        return tuple(f"not rehearsed, {reason}: {', '.join(steps)}" for reason, steps in self._left_out.items())

    def encounters_of(self, correlation_id: str) -> frozenset[Distortion]:
        """Give the faults of participants that would have met a run, in a rehearsal."""
        return frozenset() if self._encounters is None else self._encounters.of(correlation_id)

    def left_out(
        self, environment: Environment, definitions: Definitions, scenario: TestScenario, host: LoopHost
    ) -> dict[str, str]:
        """Give, where all are simulated, the steps at whose other end nobody is, by alias, and why."""
        if self._simulate != _ALL:
            return {}
        cast = self._cast(environment, definitions, host)
        found = {step.alias: _absent(step.definition, cast) for step in scenario.all_steps}
        left_out = {alias: reason for alias, reason in found.items() if reason is not None}
        for alias, reason in left_out.items():
            self._left_out.setdefault(reason, {})[alias] = None
        return {alias: f"not rehearsed: {reason}" for alias, reason in left_out.items()}

    def protocols_of(self, distortion: Distortion) -> Mapping[str, ProtocolPlugin]:
        """Give the protocols of the runs that meet a fault, whose callbacks are heard by nobody else."""
        if not isinstance(self._protocols.get(ChannelType.WEBHOOK), WebhookProtocol):
            return self._protocols
        return {**self._protocols, ChannelType.WEBHOOK: self._webhooks.setdefault(distortion, WebhookProtocol())}

    def furnish(
        self, environment: Environment, definitions: Definitions, host: LoopHost, distortion: Distortion | None = None
    ) -> Environment:
        """Give the environment with the addresses of what the session provides: simulated services, the listener.

        Profiles of simulated services lose all that is meant for the real ones. With a ``distortion``, there are other
        participants, one of whom is faulty, and a listener of their own. Raises ``SettingsError``.
        """
        cast = self._cast(environment, definitions, host, distortion)
        if self._simulate == _ALL:  # what nobody goes to needs neither addresses nor secrets
            environment = environment.model_copy(update={"services": {}, "db_profiles": {}, "connections": {}})
        services = dict(environment.services)
        for name, service in cast.services.items():
            services[name] = ServiceProfile(base_url=service.base_url, simulated=True)
        furnished = environment.model_copy(update={"services": services})
        furnished = with_brokers(furnished, definitions, self._simulate, cast.name)
        if not self._needs_listener(definitions):
            return furnished
        url = self._callback_url(host, distortion)  # whatever leads there: it listens
        if CALLBACK_URL in environment.variables and distortion is None:
            return furnished
        return furnished.with_variables(**{CALLBACK_URL: url})

    def populate(
        self,
        environment: Environment,
        resolved: ResolvedEnvironment,
        definitions: Definitions,
        host: LoopHost,
        distortion: Distortion | None = None,
    ) -> None:
        """Let consumers listen in the environment that ``environment`` has become. Raises what protocols raise."""
        cast = self._cast(environment, definitions, host, distortion)
        if id(cast) in self._listening:
            return
        self._listening.add(id(cast))
        header = _header(definitions)
        messaging = Messaging(self._protocols, resolved.environment, resolved.secrets, header)
        addresses = {name: profile.base_url for name, profile in resolved.environment.services.items()}
        for participant in cast.participants.values():
            participant.messaging = messaging
            participant.services = addresses
            if participant.simulation.on_message:
                consumer = SimulatedConsumer(participant, messaging)
                cast.consumers.append(consumer)
                host.run(consumer.start())

    async def close(self) -> None:
        """Close every participant."""
        for cast in self._casts.values():
            for consumer in cast.consumers:
                await consumer.close()
            for service in cast.services.values():
                await service.close()
        for webhooks in self._webhooks.values():
            await webhooks.close()
        self._webhooks.clear()
        self._casts.clear()
        self._kept.clear()
        self._listening.clear()

    def _cast(
        self, environment: Environment, definitions: Definitions, host: LoopHost, distortion: Distortion | None = None
    ) -> _Cast:
        # a fixture may make the same environment again and again
        key = environment.model_dump_json(), id(definitions), str(distortion or "")
        known = self._casts.get(key)
        if known is None:
            if self._simulate not in (_NONE, _ALL):
                for name in sorted(_services_called(definitions) - {*participants_of(definitions)}):
                    profile = environment.services.get(name)
                    if profile is not None and profile.simulated:
                        raise _unspecified(name)
            self._kept.append(definitions)  # so that no others get its id
            known = self._casts[key] = _Cast(f"{definitions.file.name}#{len(self._casts)}", distortion)
            for name in chosen_services(self._simulate, environment, definitions):
                self._add(name, known, environment, definitions, host)
        return known

    def _add(self, name: str, cast: _Cast, environment: Environment, definitions: Definitions, host: LoopHost) -> None:
        bindings = definitions.bindings or Bindings()
        simulation = bindings.simulations.get(name, Simulation())
        distortion = cast.distortion or self._distortion
        participant = Participant(name, simulation, bindings.correlation_header, distortion)
        participant.encounters = self._encounters if cast.distortion is None else None
        cast.participants[name] = participant
        spec = definitions.specs.get(name)
        if spec is None:
            if not simulation.on_message:
                raise SettingsError(
                    f"'{name}' is to be simulated, and has neither a specification nor 'onMessage'",
                    hint=f"add '{name}' to 'specs' of the sidecar",
                )
            return
        if spec.protocol_id not in (_HTTP, _GRPC):
            raise SettingsError(
                f"'{name}' is to be simulated, and speaks '{spec.protocol_id}'",
                hint="simulate services that speak HTTP or gRPC",
            )
        profile = environment.services.get(name)
        port = profile.simulated_port if profile is not None and cast.distortion is None else None
        shared = self._sharing(name, port, simulation, spec)
        if shared is not None:
            cast.services[name] = shared
            cast.participants[name] = shared.participant
            return
        service = self._service(participant, spec, profile, port or 0)
        host.run(service.start())
        cast.services[name] = service

    def _service(
        self, participant: Participant, spec: ProtocolSpec, profile: ServiceProfile | None, port: int
    ) -> SimulatedService | SimulatedGrpcService:
        if spec.protocol_id == _HTTP:
            return SimulatedService(participant, spec, self._contract, prefix=_prefix(profile), port=port)
        from pytest_orchestra.session.grpc_codec import SpecificationCodec  # noqa: PLC0415  heavy: grpc
        from pytest_orchestra.simulation.grpc_service import SimulatedGrpcService  # noqa: PLC0415  as above

        return SimulatedGrpcService(participant, spec, SpecificationCodec(spec), port=port)

    def _sharing(
        self, name: str, port: int | None, simulation: Simulation, spec: ProtocolSpec
    ) -> SimulatedService | SimulatedGrpcService | None:
        """Give the same service, where another process file or environment has it at the same port already."""
        if port is None:
            return None
        for cast in self._casts.values():
            known = cast.services.get(name)
            if known is not None and known.port == port and known.spec.version == spec.version:
                return known if known.participant.simulation == simulation else None
        return None

    def _needs_listener(self, definitions: Definitions) -> bool:
        if not isinstance(self._protocols.get(ChannelType.WEBHOOK), WebhookProtocol):
            return False
        steps = (step.definition for suite in definitions.suites for each in suite.scenarios for step in each.all_steps)
        return any(step.channel_type == ChannelType.WEBHOOK or _reads_callback_url(step) for step in steps)

    def _callback_url(self, host: LoopHost, distortion: Distortion | None) -> str:
        protocols = self._protocols if distortion is None else self.protocols_of(distortion)
        protocol = protocols[ChannelType.WEBHOOK]
        assert isinstance(protocol, WebhookProtocol)
        return host.run(protocol.listen(self._webhook_port if distortion is None else 0))


def chosen_services(simulate: str, environment: Environment, definitions: Definitions) -> tuple[str, ...]:
    """Give the participants that are simulated for a process file, in a stable order."""
    if simulate == _NONE:
        return ()
    known = participants_of(definitions)
    if simulate == _ALL:
        return known
    pools = _pools(definitions)
    chosen = {name for written in _names(simulate) for name in (written, *pools.get(written, ()))}
    chosen |= {name for name, profile in environment.services.items() if profile.simulated}
    simulations = definitions.bindings.simulations if definitions.bindings is not None else {}
    chosen |= {
        name
        for name, simulation in simulations.items()
        if name not in definitions.specs and hears_only_simulated(simulation, environment)
    }
    return tuple(name for name in known if name in chosen)


def _absent(step: StepDefinition, cast: _Cast) -> str | None:
    """Say who is not there at the other end of a step; None where somebody stands in for him."""
    channel, ref = step.channel_type, step.endpoint_ref
    if step.kind is StepKind.BARRIER or channel in _HEARD:
        return None
    if channel in (ChannelType.HTTP_REST, ChannelType.GRPC) and ref is not None:
        is_there = ref.service_name in cast.services
        return None if is_there else f"nobody simulates service '{ref.service_name}'"
    if channel == ChannelType.DB:
        return f"nobody simulates database '{step.data_source}'"
    return f"nobody simulates channel '{channel}'"


def _reads_callback_url(step: StepDefinition) -> bool:
    written = (step.input_template, step.headers, step.value_template)
    return any(f"environment.{CALLBACK_URL}" in str(each) for each in written)


def participants_of(definitions: Definitions) -> tuple[str, ...]:
    """Give who can be simulated: services with a specification of HTTP or gRPC, and all of ``simulations``."""
    services = [name for name, spec in definitions.specs.items() if spec.protocol_id in (_HTTP, _GRPC)]
    simulated = definitions.bindings.simulations if definitions.bindings is not None else {}
    return tuple(dict.fromkeys([*services, *simulated]))


def _pools(definitions: Definitions) -> Mapping[str, Sequence[str]]:
    return participants_by_pool(definitions, participants_of(definitions))


def _services_called(definitions: Definitions) -> set[str]:
    steps = (step.definition for suite in definitions.suites for each in suite.scenarios for step in each.all_steps)
    return {step.endpoint_ref.service_name for step in steps if step.endpoint_ref is not None}


def _unspecified(name: str) -> SettingsError:
    return SettingsError(
        f"'{name}' is to be simulated, and has no specification",
        hint=f"add '{name}' to 'specs' of the sidecar: nobody else can tell what it answers",
    )


def _names(simulate: str) -> list[str]:
    return [name.strip() for name in simulate.split(",") if name.strip()]


def _header(definitions: Definitions) -> str:
    return definitions.bindings.correlation_header if definitions.bindings is not None else "X-Correlation-ID"


def _prefix(profile: ServiceProfile | None) -> str:
    """Give the path of the real base URL; none where it is not known before variables are read."""
    if profile is None or "{{" in profile.base_url:
        return ""
    try:
        return urlsplit(profile.base_url).path.rstrip("/")
    except ValueError:
        return ""
