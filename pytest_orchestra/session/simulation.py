"""The simulated participants of a session: which there are, where they listen, and that they are closed in the end."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.ports import ProtocolPlugin
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.definition import Bindings, ChannelType, StepDefinition
from pytest_orchestra.model.environment import Environment, ServiceProfile
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.simulation import Simulation
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.schema_check import SchemaValidators
from pytest_orchestra.protocols.webhook import WebhookProtocol
from pytest_orchestra.session.definitions import Definitions
from pytest_orchestra.session.host import LoopHost
from pytest_orchestra.simulation.consumer import SimulatedConsumer
from pytest_orchestra.simulation.distortion import Distortion
from pytest_orchestra.simulation.messaging import Messaging
from pytest_orchestra.simulation.participant import Participant
from pytest_orchestra.simulation.service import SimulatedService

__all__ = ["CALLBACK_URL", "SessionSimulation", "SpecificationContract", "chosen_services", "participants_of"]

CALLBACK_URL: Final = "callbackUrl"
"""The variable of the environment that says where the session's own listener is."""

_ALL: Final = "all"
_NONE: Final = "none"


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

    participants: dict[str, Participant] = field(default_factory=dict)
    services: dict[str, SimulatedService] = field(default_factory=dict)
    consumers: list[SimulatedConsumer] = field(default_factory=list)


class SessionSimulation:
    """Starts participants when the first scenario that needs them is built.

    ``simulate`` is the option: names with commas, ``all``, ``none``, or empty for what the profiles say. ``distort``
    names what is spoiled, empty for nothing.
    """

    def __init__(
        self,
        protocols: Mapping[str, ProtocolPlugin],
        *,
        simulate: str = "",
        distort: str = "",
        webhook_port: int = 0,
    ) -> None:
        self._protocols = protocols
        self._simulate = simulate
        self._distortion = Distortion.read(distort) if distort else None
        self._webhook_port = webhook_port
        self._contract = SpecificationContract()
        self._casts: dict[tuple[str, int], _Cast] = {}
        self._kept: list[Definitions] = []
        self._listening: set[int] = set()

    @property
    def faults(self) -> tuple[str, ...]:
        """What went wrong with simulated participants where no reply could say so."""
        casts = self._casts.values()
        return tuple(fault for cast in casts for each in cast.participants.values() for fault in each.faults)

    def check_names(self, definitions: Iterable[Definitions]) -> None:
        """Refuse names in the option that no process file knows. Raises ``SettingsError``."""
        if self._simulate in ("", _ALL, _NONE):
            return
        known = {name for each in definitions for name in participants_of(each)}
        for name in _names(self._simulate):
            if name not in known:
                nearest = difflib.get_close_matches(name, known, 1)
                there = f"participants: {', '.join(sorted(known))}" if known else "no sidecar has 'specs'"
                raise SettingsError(
                    f"--orchestra-simulate: nobody is called '{name}'",
                    hint=f"did you mean '{nearest[0]}'?" if nearest else there,
                )

    def furnish(self, environment: Environment, definitions: Definitions, host: LoopHost) -> Environment:
        """Give the environment with the addresses of what the session provides: simulated services, the listener.

        Profiles of simulated services lose all that is meant for the real ones. Raises ``SettingsError``.
        """
        cast = self._cast(environment, definitions, host)
        services = dict(environment.services)
        for name, service in cast.services.items():
            services[name] = ServiceProfile(base_url=service.base_url, simulated=True)
        furnished = environment.model_copy(update={"services": services})
        if self._needs_listener(definitions) and CALLBACK_URL not in environment.variables:
            furnished = furnished.with_variables(**{CALLBACK_URL: self._callback_url(host)})
        elif self._needs_listener(definitions):
            self._callback_url(host)  # whatever leads there: it listens
        return furnished

    def populate(
        self, environment: Environment, resolved: ResolvedEnvironment, definitions: Definitions, host: LoopHost
    ) -> None:
        """Let consumers listen in the environment that ``environment`` has become. Raises what protocols raise."""
        cast = self._cast(environment, definitions, host)
        if id(cast) in self._listening:
            return
        self._listening.add(id(cast))
        header = _header(definitions)
        messaging = Messaging(self._protocols, resolved.environment, resolved.secrets, header)
        for participant in cast.participants.values():
            participant.messaging = messaging
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
        self._casts.clear()
        self._kept.clear()
        self._listening.clear()

    def _cast(self, environment: Environment, definitions: Definitions, host: LoopHost) -> _Cast:
        key = environment.model_dump_json(), id(definitions)  # a fixture may make the same environment again and again
        known = self._casts.get(key)
        if known is None:
            self._kept.append(definitions)  # so that no others get its id
            known = self._casts[key] = _Cast()
            for name in chosen_services(self._simulate, environment, definitions):
                self._add(name, known, environment, definitions, host)
        return known

    def _add(self, name: str, cast: _Cast, environment: Environment, definitions: Definitions, host: LoopHost) -> None:
        bindings = definitions.bindings or Bindings()
        simulation = bindings.simulations.get(name, Simulation())
        participant = Participant(name, simulation, bindings.correlation_header, self._distortion)
        cast.participants[name] = participant
        spec = definitions.specs.get(name)
        if spec is None:
            if not simulation.on_message:
                raise SettingsError(
                    f"'{name}' is to be simulated, and has neither a specification nor 'onMessage'",
                    hint=f"add '{name}' to 'specs' of the sidecar",
                )
            return
        if spec.protocol_id != "http":
            raise SettingsError(
                f"'{name}' is to be simulated, and speaks '{spec.protocol_id}'",
                hint="simulate services that speak HTTP",
            )
        profile = environment.services.get(name)
        port = profile.simulated_port if profile is not None else None
        prefix = _prefix(profile)
        shared = self._sharing(name, port, simulation, spec)
        if shared is not None:
            cast.services[name] = shared
            cast.participants[name] = shared.participant
            return
        service = SimulatedService(participant, spec, self._contract, prefix=prefix, port=port or 0)
        host.run(service.start())
        cast.services[name] = service

    def _sharing(
        self, name: str, port: int | None, simulation: Simulation, spec: ProtocolSpec
    ) -> SimulatedService | None:
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

    def _callback_url(self, host: LoopHost) -> str:
        protocol = self._protocols[ChannelType.WEBHOOK]
        assert isinstance(protocol, WebhookProtocol)
        return host.run(protocol.listen(self._webhook_port))


def chosen_services(simulate: str, environment: Environment, definitions: Definitions) -> tuple[str, ...]:
    """Give the participants that are simulated for a process file, in a stable order."""
    if simulate == _NONE:
        return ()
    known = participants_of(definitions)
    if simulate == _ALL:
        return known
    chosen = set(_names(simulate))
    chosen |= {name for name, profile in environment.services.items() if profile.simulated}
    return tuple(name for name in known if name in chosen)


def _reads_callback_url(step: StepDefinition) -> bool:
    written = (step.input_template, step.headers, step.value_template)
    return any(f"environment.{CALLBACK_URL}" in str(each) for each in written)


def participants_of(definitions: Definitions) -> tuple[str, ...]:
    """Give who can be simulated: services with an HTTP specification, and all of ``simulations``."""
    services = [name for name, spec in definitions.specs.items() if spec.protocol_id == "http"]
    simulated = definitions.bindings.simulations if definitions.bindings is not None else {}
    return tuple(dict.fromkeys([*services, *simulated]))


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
