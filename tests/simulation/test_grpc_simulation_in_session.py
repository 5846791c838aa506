"""pytest sessions in which a gRPC service is simulated."""

from __future__ import annotations

import contextlib
import importlib.util
import json

import pytest

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

from simulated_shop import BPMN, read_spec
from simulated_stock import write_proto

from pytest_orchestra.errors import DefinitionError, SettingsError
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.simulation import ReplyRule
from pytest_orchestra.session.definitions import DefinitionLoader
from pytest_orchestra.session.host import LoopHost
from pytest_orchestra.session.protocols import collect_protocols, command_hooks
from pytest_orchestra.session.reply_rule_check import AnswerCheck
from pytest_orchestra.session.simulation import SessionSimulation, SpecificationContract
from pytest_orchestra.simulation.answer import answer_to

FIND = {
    "channelType": "GRPC",
    "endpointRef": "stock.shop.v1.Warehouse/Find",
    "inputTemplate": {"message": {"sku": "s-1", "quantity": "{{data.amount}}"}},
}
SIDECAR = {
    "specs": {"stock": "stock.proto"},
    "simulations": {
        "stock": {
            "operations": {
                "Find": {
                    "remember": {"quantity": "{{request.body.quantity}}"},
                    "body": {"sku": "s-1", "quantity": "{{state.quantity}}"},
                },
                "Watch": {"messages": [{"quantity": "{{state.quantity}}"}, {"status": "SHIPPED"}]},
            }
        }
    },
    "bindings": {
        "Charge": {**FIND, "alias": "find"},
        "Settled": {
            "alias": "watched",
            "channelType": "GRPC",
            "endpointRef": "stock.Watch",
            "businessRules": ["response.messages[-1].status == 'SHIPPED'"],
        },
        "Look": {
            **FIND,
            "alias": "look",
            "kind": "ASSERTION",
            "businessRules": ["response.message.quantity == data.amount"],
            "timeoutMs": 500,
        },
    },
}


@pytest.fixture
def warehouse(tmp_path):
    """Write the process, its sidecar and all else into a folder; give the folder."""

    def write(sidecar):
        write_proto(tmp_path)
        (tmp_path / "pay.bpmn").write_text(BPMN)
        (tmp_path / "pay.orchestra.yaml").write_text(json.dumps(sidecar))
        (tmp_path / "environments.yaml").write_text("local:\n  services: {stock: {simulated: true}}\n")
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "rows.json").write_text('{"dataSets": [{"name": "n5", "data": {"amount": 5}}]}')
        return tmp_path

    return write


def _read(folder):
    hooks = command_hooks()
    return DefinitionLoader(collect_protocols(hooks, None), hooks).load(folder / "pay.bpmn")


def test_grpc_service_is_simulated_where_the_profile_says_so_and_spoiled_by_any_of_its_names(warehouse, pytester):
    """Steps of the scenario reach it, by streams too; only the assertion that looks notices another number."""
    folder = warehouse(SIDECAR)
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    options = ["--orchestra", "--orchestra-store=memory", "-p", "no:cacheprovider", f"--rootdir={folder}", str(folder)]
    spoiled = pytester.runpytest_subprocess(*options, "--orchestra-distort=stock.Warehouse.Find:numbers")
    spoiled.assert_outcomes(failed=1)
    spoiled.stdout.fnmatch_lines(
        ["*PASSED*find*", "*PASSED*watched*", "*FAILED*look*", "*response.message.quantity == data.amount*"]
    )


def test_mistakes_in_answers_of_grpc_are_problems_of_the_file(warehouse):
    """What the type of an answer does not have is told before anything runs, with a hint."""
    operations = {
        "Fnd": {},
        "Find": [
            {"status": 404},
            {"body": {"skuu": 1, "quantity": "{{count}}"}},
            {"messages": [{}]},
            {"status": "NOT_FOUND", "body": {}},
            {"trailers": {"grpc-x": "1"}},
            {"status": "ABORTED", "errorDetails": [{"count": 1}, {"@type": "shop.v1.Total", "cuont": 1}]},
            {"errorDetails": [{"@type": "shop.v1.Totl"}]},
        ],
        "Watch": [{"messages": [{"status": "SHIPED"}]}, {"messages": "none"}],
    }
    problems = _read(warehouse({**SIDECAR, "simulations": {"stock": {"operations": operations}}})).problems
    known = "Audit.Count, Warehouse.Chat, Warehouse.Count, Warehouse.Find, Warehouse.Watch"
    assert [(each.message.removeprefix("simulation of 'stock': "), each.hint) for each in problems] == [
        ("it has no operation 'Fnd'", f"operations: {known}"),
        ("'Warehouse.Find' answers by gRPC, which has no status '404'", "write its name: 'NOT_FOUND'"),
        ("'body.skuu' is no field of 'shop.v1.Stock'", "did you mean 'sku'?"),
        ("'Warehouse.Find' answers one message, not 'messages'", "write it as 'body'"),
        ("'Warehouse.Find' answers 'NOT_FOUND', and so no 'body'", "write 'details' in place of 'body'"),
        ("'trailers.grpc-x' is reserved by gRPC", "choose a key that does not begin with 'grpc-'"),
        ("'errorDetails[0]' has no '@type'", "name its type: '@type: google.rpc.ErrorInfo'"),
        ("'errorDetails[1].cuont' is no field of 'shop.v1.Total'", "did you mean 'count'?"),
        ("'errorDetails' go with an error, and there is none", "give a 'status' that is not 'OK'"),
        (
            "'errorDetails[0]' is of the unknown type 'shop.v1.Totl'",
            "import the file that defines it, or install 'googleapis-common-protos' for those of 'google.rpc'",
        ),
        ("'messages[0].status' takes a value of 'shop.v1.Status', not 'SHIPED'", "did you mean 'SHIPPED'?"),
        ("'messages' is 'none'", "write a list of messages, or a template that gives one"),
    ]


def test_http_service_does_not_answer_as_grpc_does(tmp_path):
    """Statuses are numbers there, and a message is a body."""
    spec = read_spec(tmp_path)
    rule = ReplyRule.model_validate({"status": "NOT_FOUND", "errorDetails": [], "messages": []})
    assert list(AnswerCheck(spec).find_faults(spec.operation["charge"], rule)) == [
        ("'charge' answers by HTTP, which has no status 'NOT_FOUND'", "write a number: '404'"),
        ("'charge' answers by HTTP, which has no 'errorDetails'", "write 'body', and 'headers'"),
        ("'charge' answers by HTTP, which has no 'messages'", "write 'body', and 'headers'"),
    ]
    with pytest.raises(DefinitionError, match="'NOT_FOUND' is no status of HTTP"):
        answer_to(spec.operation["charge"], spec, rule, {}, SpecificationContract())


@pytest.mark.parametrize(
    ("rule", "fact"),
    [
        (
            {"status": "NOTFOUND"},
            "a status is a number from 200 to 599, or a name of gRPC, such as 'NOT_FOUND', not 'NOTFOUND'",
        ),
        ({"status": 99}, "'99' is no status from 200 to 599"),
        ({"body": {}, "messages": []}, "give one of 'body' and 'messages'"),
    ],
)
def test_rule_that_no_protocol_has_is_told_with_its_place(warehouse, rule, fact):
    """Of a status by name, what is meant; of two answers, that there is one."""
    problems = _read(warehouse({**SIDECAR, "simulations": {"stock": {"operations": {"Find": rule}}}})).errors
    assert [each.message for each in problems] == [fact]


def test_service_that_only_tells_of_itself_cannot_be_simulated(warehouse):
    """There is nobody to ask by server reflection, whether the option or the profile says that it is simulated."""
    definitions = _read(warehouse({"bindings": SIDECAR["bindings"]}))
    environment = Environment.model_validate({"name": "local", "services": {"stock": {"simulated": True}}})
    with contextlib.closing(LoopHost()) as host, pytest.raises(SettingsError) as by_profile:
        SessionSimulation({}).furnish(environment, definitions, host)
    with pytest.raises(SettingsError) as by_option:
        SessionSimulation({}, simulate="stock").check_names([definitions])
    assert by_profile.value.fact == by_option.value.fact == "'stock' is to be simulated, and has no specification"
    assert by_profile.value.hint == "add 'stock' to 'specs' of the sidecar: nobody else can tell what it answers"
