"""Which participants stand behind the pools of a process model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_orchestra.model.process import Collaboration, Participant
from pytest_orchestra.session.definitions import Definitions

__all__ = ["participants_by_pool"]


def participants_by_pool(definitions: Definitions, participants: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Give the participants that can be simulated, of each pool with a name that is not under test itself.

    A pool stands for the participant of its name, however that is written, and for the services that are called by
    steps of elements which a message flow connects with it.
    """
    own = {process.id for process in definitions.processes}
    services = _services_by_element(definitions)
    found: dict[str, dict[str, None]] = {}
    for collaboration in definitions.document.collaborations:
        for pool in collaboration.participants:
            if not pool.name or pool.process_ref in own:
                continue
            named = [name for name in participants if _plain(name) == _plain(pool.name)]
            called = [
                name
                for element in _elements_that_speak_with(pool, collaboration, definitions)
                for name in services.get(element, ())
                if name in participants
            ]
            found.setdefault(pool.name, {}).update(dict.fromkeys([*named, *called]))
    return {name: tuple(known) for name, known in found.items()}


def _elements_that_speak_with(
    pool: Participant, collaboration: Collaboration, definitions: Definitions
) -> Iterator[str]:
    inside = {pool.id}
    for process in definitions.document.processes:
        if process.id == pool.process_ref:
            inside |= {node.id for node in process.nodes}
    for flow in collaboration.message_flows:
        if flow.source in inside:
            yield flow.target
        elif flow.target in inside:
            yield flow.source


def _services_by_element(definitions: Definitions) -> dict[str, dict[str, None]]:
    found: dict[str, dict[str, None]] = {}
    for suite in definitions.suites:
        for scenario in suite.scenarios:
            for step in scenario.all_steps:
                if step.definition.endpoint_ref is not None:
                    found.setdefault(step.element_id, {})[step.definition.endpoint_ref.service_name] = None
    return found


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
