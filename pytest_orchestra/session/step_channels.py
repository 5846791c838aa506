"""The channels of steps that do not say theirs, from the files that specify their services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

from pytest_orchestra.model.definition import Bindings, ChannelType, StepDefinition

__all__ = ["is_grpc_file", "with_channels"]

_GRPC_SUFFIXES: Final = frozenset({".proto", ".binpb", ".protoset", ".pb", ".desc"})


def is_grpc_file(path: PurePath | str) -> bool:
    """Tell by its name whether a file is a ``.proto`` file or a compiled descriptor set."""
    return PurePath(path).suffix.lower() in _GRPC_SUFFIXES


def with_channels(bindings: Bindings) -> Bindings:
    """Give the sidecar with ``GRPC`` in steps that name no channel and call a service which such a file specifies."""
    if not any(map(is_grpc_file, bindings.specs.values())):
        return bindings
    specs = bindings.specs
    return bindings.model_copy(
        update={
            "bindings": {element: _all_told(steps, specs) for element, steps in bindings.bindings.items()},
            "clean_up": _all_told(bindings.clean_up, specs),
            "scenarios": [
                each.model_copy(update={"clean_up": _all_told(each.clean_up, specs)}) for each in bindings.scenarios
            ],
        }
    )


def _all_told(steps: Sequence[StepDefinition], specs: Mapping[str, str]) -> list[StepDefinition]:
    return [_told(step, specs) for step in steps]


def _told(step: StepDefinition, specs: Mapping[str, str]) -> StepDefinition:
    update: dict[str, object] = {"clean_up": _all_told(step.clean_up, specs)} if step.clean_up else {}
    ref = step.endpoint_ref
    if (
        ref is not None
        and "channel_type" not in step.model_fields_set
        and is_grpc_file(specs.get(ref.service_name, ""))
    ):
        update["channel_type"] = ChannelType.GRPC
    return step.model_copy(update=update) if update else step
