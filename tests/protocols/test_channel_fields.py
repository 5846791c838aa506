"""What a step of a channel must say, whichever of the built-in protocols serves it."""

from __future__ import annotations

import pytest

from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.session.protocols import collect_protocols, command_hooks


@pytest.mark.parametrize("kind", ["ACTION", "ASSERTION"])
@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("KAFKA", "step: a Kafka step needs 'topic'"),
        ("QUEUE", "step: a step with a queue broker needs 'queueName' or 'exchange'"),
        ("GRPC", "step: a gRPC step needs 'endpointRef'"),
    ],
)
def test_step_without_a_destination_is_told_before_anything_runs(channel: str, kind: str, told: str) -> None:
    """The model leaves that to the protocol, since another one may serve the channel."""
    step = StepDefinition.model_validate({"alias": "step", "channelType": channel, "kind": kind, "valueTemplate": 1})
    protocol = collect_protocols(command_hooks(), None)[step.channel_type]
    assert str(protocol.check(step, {})[0]).splitlines()[0] == told


@pytest.mark.parametrize(
    ("fields", "channel"),
    [
        ({"topic": "orders"}, "KAFKA"),
        ({"queueName": "tasks"}, "QUEUE"),
        ({"exchange": "tasks"}, "QUEUE"),
        ({"dataSource": "shop", "sql": "select 1"}, "DB"),
        ({"endpointRef": "orders.place"}, "HTTP_REST"),
        ({"channelType": "FILE_DROP", "topic": "orders"}, "FILE_DROP"),
    ],
)
def test_channel_follows_from_what_only_its_steps_have(fields: dict[str, str], channel: str) -> None:
    """A channel that is named goes before."""
    assert StepDefinition.model_validate({"alias": "step", **fields}).channel_type == channel
