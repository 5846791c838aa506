"""Which Kafka clusters and queue brokers of an environment are simulated for a process file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from pytest_orchestra.errors import SettingsError
from pytest_orchestra.model.definition import ChannelType
from pytest_orchestra.model.environment import Environment, KafkaClusterProfile, QueueBrokerProfile
from pytest_orchestra.model.simulation import MessageRule, ReplyRule, SimulatedMessage, Simulation
from pytest_orchestra.session.definitions import Definitions

__all__ = ["hears_only_simulated", "with_brokers"]

_ALL = "all"
_NONE = "none"
_UNNAMED = "simulated"

_Profile = TypeVar("_Profile", KafkaClusterProfile, QueueBrokerProfile)


def with_brokers(environment: Environment, definitions: Definitions, simulate: str, name: str) -> Environment:
    """Give the environment with the clusters and brokers that are simulated, each under the address ``name``.

    Those of another name have topics and queues of their own. With ``all``, there are also those that steps and
    participants name and the environment lacks. Raises ``SettingsError`` where ``none`` leaves one without address.
    """
    named = _aliases_named(definitions) if simulate == _ALL else {}
    clusters = _with_lacking(environment.kafka_profiles, named.get(ChannelType.KAFKA, ()), KafkaClusterProfile)
    brokers = _with_lacking(environment.queue_profiles, named.get(ChannelType.QUEUE, ()), QueueBrokerProfile)
    return environment.model_copy(
        update={
            "kafka_profiles": {alias: _cluster(alias, each, simulate, name) for alias, each in clusters.items()},
            "queue_profiles": {alias: _broker(alias, each, simulate, name) for alias, each in brokers.items()},
        }
    )


def hears_only_simulated(simulation: Simulation, environment: Environment) -> bool:
    """Say whether a participant follows messages, and all of them at brokers that no real one could reach."""
    return bool(simulation.on_message) and all(_is_at_simulated(rule, environment) for rule in simulation.on_message)


def _is_at_simulated(rule: MessageRule, environment: Environment) -> bool:
    if rule.topic is not None:
        clusters = {alias: profile.simulated for alias, profile in environment.kafka_profiles.items()}
        return _named(clusters, rule.cluster_alias)
    brokers = {alias: profile.simulated for alias, profile in environment.queue_profiles.items()}
    return _named(brokers, rule.broker_alias)


def _named(simulated: Mapping[str, bool], alias: str | None) -> bool:
    if alias is None:
        return list(simulated.values()) == [True]
    return simulated.get(alias, False)


def _with_lacking(
    known: Mapping[str, _Profile], named: Iterable[str | None], kind: type[_Profile]
) -> dict[str, _Profile]:
    lacking = sorted({alias for alias in named if alias is not None} - known.keys())
    if not known and not lacking and named:
        lacking = [_UNNAMED]
    return {**known, **{alias: kind.model_validate({"simulated": True}) for alias in lacking}}


def _cluster(alias: str, profile: KafkaClusterProfile, simulate: str, name: str) -> KafkaClusterProfile:
    if _is_simulated(alias, profile, simulate, "bootstrapServers", profile.bootstrap_servers):
        # what is meant for the real one, secrets above all, is not asked for
        return KafkaClusterProfile(simulated=True, bootstrap_servers=name)
    return profile.model_copy(update={"simulated": False})


def _broker(alias: str, profile: QueueBrokerProfile, simulate: str, name: str) -> QueueBrokerProfile:
    if _is_simulated(alias, profile, simulate, "endpoint", profile.endpoint):
        return QueueBrokerProfile(simulated=True, endpoint=name, exchanges=profile.exchanges)
    return profile.model_copy(update={"simulated": False})


def _is_simulated(
    alias: str, profile: KafkaClusterProfile | QueueBrokerProfile, simulate: str, field: str, address: str
) -> bool:
    if simulate == _NONE and not address:
        raise SettingsError(
            f"--orchestra-simulate=none: '{alias}' is simulated, and has no '{field}'",
            hint=f"add '{field}' to '{alias}' in environments.yaml, or leave the option out",
        )
    return simulate == _ALL or (profile.simulated and simulate != _NONE)


def _aliases_named(definitions: Definitions) -> dict[str, set[str | None]]:
    """Give the aliases of clusters and brokers that steps and participants name, None where they name none."""
    found: dict[str, set[str | None]] = {}
    for channel, alias in (*_named_by_steps(definitions), *_named_by_participants(definitions)):
        found.setdefault(channel, set()).add(alias)
    return found


def _named_by_steps(definitions: Definitions) -> Iterator[tuple[str, str | None]]:
    for suite in definitions.suites:
        for scenario in suite.scenarios:
            for step in scenario.all_steps:
                if step.definition.channel_type == ChannelType.KAFKA:
                    yield ChannelType.KAFKA, step.definition.cluster_alias
                elif step.definition.channel_type == ChannelType.QUEUE:
                    yield ChannelType.QUEUE, step.definition.broker_alias


def _named_by_participants(definitions: Definitions) -> Iterator[tuple[str, str | None]]:
    simulations = definitions.bindings.simulations.values() if definitions.bindings is not None else ()
    for simulation in simulations:
        rules: list[MessageRule | ReplyRule] = [*simulation.on_message]
        rules += (rule for each in simulation.operations.values() for rule in each)
        written_ones: list[MessageRule | SimulatedMessage] = [*simulation.on_message]
        written_ones += (message for rule in rules for message in rule.publish)
        for written in written_ones:
            if written.topic is not None:
                yield ChannelType.KAFKA, written.cluster_alias
            else:
                yield ChannelType.QUEUE, written.broker_alias
