"""Steps that do not say their channel speak what the file of their service's specification is written for."""

from __future__ import annotations

import importlib.util
import json

import pytest

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

from pytest_orchestra.model.definition import ChannelType
from pytest_orchestra.session.definitions import DefinitionLoader
from pytest_orchestra.session.protocols import collect_protocols, command_hooks

BPMN = (
    "<definitions xmlns='http://www.omg.org/spec/BPMN/20100524/MODEL' id='d' targetNamespace='urn:test'>"
    "<process id='pay'><startEvent id='start'/><task id='find' name='Find'/><endEvent id='end'/>"
    "<sequenceFlow id='a' sourceRef='start' targetRef='find'/><sequenceFlow id='b' sourceRef='find' targetRef='end'/>"
    "</process></definitions>"
)
PROTO = "syntax = 'proto3'; message M { string id = 1; } service Stock { rpc Find(M) returns (M); }"
FIND = {"endpointRef": "stock.Stock.Find", "inputTemplate": {"message": {"id": "1"}}}


@pytest.fixture
def load(tmp_path):
    """Load a process with such steps at its one task."""
    (tmp_path / "pay.bpmn").write_text(BPMN)
    (tmp_path / "stock.proto").write_text(PROTO)

    def loading(steps, **more):
        sidecar = {"specs": {"stock": "stock.proto"}, "bindings": {"Find": steps}, **more}
        (tmp_path / "pay.orchestra.yaml").write_text(json.dumps(sidecar))
        hooks = command_hooks()
        return DefinitionLoader(collect_protocols(hooks, None), hooks).load(tmp_path / "pay.bpmn")

    return loading


def test_step_of_a_service_with_a_proto_file_speaks_grpc_wherever_it_stands(load):
    """At elements, behind steps, and behind every scenario."""
    found = load([{**FIND, "alias": "find", "finally": FIND}], **{"finally": FIND})
    assert found.problems == ()
    step = found.bindings.bindings["Find"][0]
    every = [step, *step.clean_up, *found.bindings.clean_up]
    assert [each.channel_type for each in every] == [ChannelType.GRPC] * 3


def test_specification_that_no_step_calls_is_read_as_what_it_is(load):
    """A service that only others call can be simulated."""
    found = load([], simulations={"stock": {"operations": {"Find": {"body": {"id": "7"}}}}})
    assert [each for each in found.problems if each.place.file.endswith(("yaml", "proto"))] == []
    assert found.specs["stock"].protocol_id == "grpc"


def test_step_that_says_http_of_a_proto_file_is_told_so(load):
    """What the user wrote goes first, even where it is a mistake."""
    found = load([{**FIND, "alias": "find", "channelType": "HTTP_REST"}])
    assert [(each.message, each.hint) for each in found.errors] == [
        (
            "the specification of service 'stock' is one of protocol 'grpc', not of HTTP",
            "name an OpenAPI document in 'specs', or the step's channel in 'channelType'",
        )
    ]
