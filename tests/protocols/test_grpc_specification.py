"""Specifications of gRPC services, and what is known to be wrong with steps before anything is called."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_peers import MONEY, ORDERS, call, step, write_protos

from pytest_orchestra.errors import DefinitionError, StepError, UnreadableFileError
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.problem import Place, Severity
from pytest_orchestra.protocols.grpc import GrpcProtocol
from pytest_orchestra.readers.proto import descriptor_set_of


@pytest.fixture(scope="module")
def proto(tmp_path_factory):
    """Give the service's ``.proto`` file."""
    return write_protos(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def spec(proto):
    """Give its specification."""
    return GrpcProtocol().parse_spec(proto, "orders")


# ---- reading ------------------------------------------------------------------------------------------------------


def test_proto_file_gives_its_operations(spec, proto):
    """Each method is an operation with its kind, its path on the wire, its types and its place."""
    assert [(each.name, each.method, each.path) for each in spec.operations] == [
        ("Orders.Place", "UNARY", "/shop.v1.Orders/Place"),
        ("Orders.Watch", "SERVER_STREAM", "/shop.v1.Orders/Watch"),
        ("Orders.Import", "CLIENT_STREAM", "/shop.v1.Orders/Import"),
        ("Orders.Chat", "BIDI_STREAM", "/shop.v1.Orders/Chat"),
        ("Stock.Place", "UNARY", "/shop.v1.Stock/Place"),
        ("Stock.Count", "UNARY", "/shop.v1.Stock/Count"),
    ]
    place = spec.operation["Orders.Place"]
    assert place.summary == "Places one order."
    assert place.place == Place(str(proto), 15, 3)
    assert spec.operation["Stock.Count"].deprecated
    assert (spec.protocol_id, spec.service_name, spec.title, spec.file) == ("grpc", "orders", "shop.v1", str(proto))
    assert dict(spec.operation["Orders.Watch"].extensions) == {
        "request": "shop.v1.Query",
        "response": "shop.v1.Order",
        "idempotency": "NO_SIDE_EFFECTS",
    }


def test_messages_are_told_in_json_schema(spec):
    """The schemas stand where the operations' bodies say, with all that they refer to."""
    uri, _, pointer = spec.operation["Orders.Place"].request_bodies[0].schema.uri.partition("#")
    schemas = spec.documents[uri]["$defs"]
    assert pointer == "/$defs/shop.v1.Order"
    properties = schemas["shop.v1.Order"]["properties"]
    line = {"$ref": f"{uri}#/$defs/shop.v1.Line"}
    assert properties["total"] == {"$ref": f"{uri}#/$defs/shop.v1.Money"}
    assert properties["lines"] == {"type": "array", "items": line}
    assert properties["by_sku"] == {"type": "object", "additionalProperties": line}
    statuses = ["UNKNOWN", "PLACED", "SHIPPED"]
    assert properties["status"] == {"type": "string", "enum": statuses, "examples": ["PLACED"]}
    assert schemas["shop.v1.Order"]["not"] == {"anyOf": [{"required": ["person", "company"]}]}
    assert schemas["google.protobuf.Timestamp"] == {"type": "string", "format": "date-time"}


def test_nothing_is_written_beside_the_file(spec, proto):
    """Reading leaves the user's folder as it was."""
    assert sorted(path.name for path in proto.parent.iterdir()) == ["money.proto", "orders.proto"]


def test_descriptor_set_is_as_good_as_its_sources(spec, tmp_path):
    """A compiled file gives the same operations, schemas and version, in any order of its files."""
    files = descriptor_set_of(spec)
    compiled = tmp_path / "orders.binpb"
    compiled.write_bytes(FileDescriptorSet(file=list(reversed(files.file))).SerializeToString())
    again = GrpcProtocol().parse_spec(compiled, "orders")
    assert [each.signature for each in again.operations] == [each.signature for each in spec.operations]
    assert (again.version, again.documents) == (spec.version, spec.documents)


def test_version_changes_with_any_file_and_not_with_comments(spec, tmp_path):
    """The hash goes over what the files say."""
    proto = write_protos(tmp_path)
    proto.write_text(ORDERS.replace("// Takes orders.", "// Takes any orders."))
    assert GrpcProtocol().parse_spec(proto, "orders").version == spec.version
    (proto.parent / "money.proto").write_text(MONEY.replace("currency", "currency_code"))
    assert GrpcProtocol().parse_spec(proto, "orders").version != spec.version


def test_file_that_imports_from_its_own_folder_is_read(tmp_path):
    """A flat folder whose name says nothing of the package is fine, blanks and colons in it too."""
    folder = tmp_path / "my protos: old"
    folder.mkdir()
    (folder / "money.proto").write_text(MONEY)
    (folder / "orders.proto").write_text(ORDERS.replace("shop/v1/money", "money"))
    assert len(GrpcProtocol().parse_spec(folder / "orders.proto", "orders").operations) == 6


def test_proto_file_that_does_not_compile_tells_every_complaint(tmp_path):
    """Each has its file, line and column, and one action; those of imported files come first."""
    proto = write_protos(tmp_path)
    (proto.parent / "money.proto").write_text(MONEY.replace("= 1;", "= 1"))
    proto.write_text(ORDERS.replace("returns (Summary) { option dep", "returns (Sumary) { option dep"))
    with pytest.raises(DefinitionError) as caught:
        GrpcProtocol().parse_spec(proto, "orders")
    problems = [
        (Path(each.place.file).name, each.place.line, each.message, each.hint) for each in caught.value.problems
    ]
    assert problems[:2] == [
        ("money.proto", 7, "expected ';'", "mend the syntax there"),
        (
            "orders.proto",
            10,
            "import 'shop/v1/money.proto' was not found or had errors",
            "mend 'shop/v1/money.proto' first",
        ),
    ]
    assert ("orders.proto", 23, "'Sumary' is not defined", "define it, or import the file that does") in problems
    assert all(each.place.column for each in caught.value.problems)


def test_import_that_is_nowhere_is_told_with_two_ways_out(tmp_path):
    """The place where the file is missed, and the alternative of a descriptor set."""
    proto = write_protos(tmp_path)
    (proto.parent / "money.proto").unlink()
    with pytest.raises(DefinitionError) as caught:
        GrpcProtocol().parse_spec(proto, "orders")
    first = caught.value.problems[0]
    assert str(first) == (
        f"{proto}:10:1: import 'shop/v1/money.proto' was not found or had errors\n"
        "hint: put it at 'proto/shop/v1/money.proto', or name a descriptor set: 'buf build -o orders.binpb'"
    )


def test_file_that_is_no_descriptor_set_is_unreadable(tmp_path):
    """Anything else than compiled files is refused."""
    hint = "make it with 'protoc --include_imports --descriptor_set_out=NAME.binpb', or name the '.proto' file"
    for number, content in enumerate((b"", b"openapi: 3.1.0\n", b"\x00\x01\x02")):
        path = tmp_path / f"{number}.desc"
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError) as caught:
            GrpcProtocol().parse_spec(path, "orders")
        assert str(caught.value) == f"{path}: is no descriptor set\nhint: {hint}"
    with pytest.raises(UnreadableFileError, match="no such file"):
        GrpcProtocol().parse_spec(tmp_path / "nowhere.proto", "orders")


def test_descriptor_set_without_imports_is_unreadable(spec, tmp_path):
    """What lacks a file names it; well-known types need not be in it."""
    path = tmp_path / "orders.desc"
    own = [file for file in descriptor_set_of(spec).file if file.name == "shop/v1/orders.proto"]
    path.write_bytes(FileDescriptorSet(file=own).SerializeToString())
    with pytest.raises(UnreadableFileError) as caught:
        GrpcProtocol().parse_spec(path, "orders")
    assert str(caught.value) == (
        f"{path}: lacks file 'shop/v1/money.proto', which 'shop/v1/orders.proto' imports\n"
        "hint: compile it with 'protoc --include_imports'"
    )


def test_file_without_service_is_read_with_a_warning(tmp_path):
    """Messages alone are no mistake of syntax, and of no use."""
    path = tmp_path / "money.proto"
    path.write_text(MONEY)
    spec = GrpcProtocol().parse_spec(path, "orders")
    assert [(each.severity, each.message) for each in spec.problems] == [(Severity.WARNING, "has no service")]


# ---- operations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("Orders.Place", "/shop.v1.Orders/Place"),
        ("shop.v1.Orders.Place", "/shop.v1.Orders/Place"),
        ("shop.v1.Orders/Place", "/shop.v1.Orders/Place"),
        ("/shop.v1.Stock/Place", "/shop.v1.Stock/Place"),
        ("Orders/Chat", "/shop.v1.Orders/Chat"),
        ("Watch", "/shop.v1.Orders/Watch"),
        ("Place", None),
        ("ders.Place", None),
        ("", None),
    ],
)
def test_operation_is_found_by_any_of_its_names(spec, endpoint, path):
    """A method alone will do where only one service has it."""
    found = GrpcProtocol().find_operation(spec, endpoint)
    assert (found.path if found else None) == path


def test_services_of_one_name_are_told_apart_by_package(tmp_path):
    """Two packages may have a service of the same name, whose operations are then named in full."""
    (tmp_path / "a.proto").write_text(
        'syntax = "proto3"; package a; import "b.proto"; message M {} service S { rpc Do(M) returns (M); }'
    )
    (tmp_path / "b.proto").write_text('syntax = "proto3"; package b; message M {} service S { rpc Do(M) returns (M); }')
    spec = GrpcProtocol().parse_spec(tmp_path / "a.proto", "orders")
    assert sorted(each.name for each in spec.operations) == ["a.S.Do", "b.S.Do"]
    assert GrpcProtocol().find_operation(spec, "S.Do") is None
    assert GrpcProtocol().find_operation(spec, "b.S.Do").path == "/b.S/Do"


# ---- steps --------------------------------------------------------------------------------------------------------


def check(spec, endpoint, given=None, **fields):
    """Check a step and give problems as text, warnings marked."""
    problems = GrpcProtocol().check(step(endpoint, given, **fields), {} if spec is None else {"orders": spec})
    assert all(each.place == Place("order.orchestra.yaml", 7) for each in problems)
    return [
        f"{'' if each.severity is Severity.ERROR else 'warning '}{each.message} -> {each.hint}" for each in problems
    ]


def test_check_of_a_right_step_finds_nothing(spec):
    """Templates are taken as they come, both spellings of fields too; what lists and maps can do is left alone."""
    message = {
        "orderId": "{{data.id}}",
        "status": "{{data.status}}",
        "lines": [{"quantity": "{{data.n}}"}, "{{data.line}}"],
        "labels": {"{{data.k}}": "v"},
        "placed_at": "{{data.at}}",
        "extra": {"a": "{{data.a}}"},
        "{{data.field}}": 1,
        "total": None,
    }
    until = (
        "response.message.order_id == 'response.message.no' and message.lines[0].sku == 'a' and message.labels.any == 1"
        " and messages[0].extra.what and response.message.get('x') and message.lines.count('x') == 0"
        " and step.other.response.message.nothing and response.messages | length == 1"
    )
    assert check(spec, "Orders.Place", {"message": message, "metadata": {"a": "{{data.a}}"}}, until=until) == []
    assert check(spec, "Orders.Place", {"message": "{{data.order}}"}) == []
    assert check(spec, "Orders.Chat", {"messages": "{{data.orders}}", "most": "{{data.n}}"}) == []
    assert check(None, "Anything", {"message": {"any": 1}}) == []


def test_check_tells_an_unknown_operation_with_the_nearest(spec):
    """So does it for a method that several services have."""
    assert check(spec, "Orders.Plase") == [
        "unknown operation 'Orders.Plase' of service 'orders' -> did you mean 'Orders.Place'?"
    ]
    assert check(spec, "Wach") == ["unknown operation 'Wach' of service 'orders' -> did you mean 'Watch'?"]
    assert check(spec, "Place") == [
        "several services of 'orders' have operation 'Place' -> name one of Orders.Place, Stock.Place"
    ]
    other = replace(spec, protocol_id="http")
    told = (
        "the specification of service 'orders' is one of protocol 'http', not of gRPC -> "
        "name a '.proto' file or a descriptor set in 'specs'"
    )
    assert check(other, "Place") == [told]


@pytest.mark.parametrize(
    ("endpoint", "given", "problem"),
    [
        (
            "Orders.Place",
            {"mesage": {}},
            "'inputTemplate' of a gRPC step has no key 'mesage' -> did you mean 'message'?",
        ),
        ("Orders.Place", {"body": {}}, "'inputTemplate' of a gRPC step has no key 'body' -> write 'message'"),
        (
            "Orders.Chat",
            {"message": {}, "messages": []},
            "'inputTemplate' has both 'message' and 'messages' -> write one of them",
        ),
        ("Orders.Place", {"messages": []}, "'Orders.Place' takes one message, not 'messages' -> write it as 'message'"),
        ("Orders.Chat", {"messages": {}}, "'messages' is a list of messages -> write each as an item of a list"),
        (
            "Orders.Place",
            {"most": 2},
            "'Orders.Place' gives one message, there is no 'most' of them -> take 'most' away",
        ),
        ("Orders.Watch", {"most": 0}, "'most' is '0' -> say how many messages are enough, 1 at least"),
        (
            "Orders.Place",
            {"metadata": ["a"]},
            "'inputTemplate.metadata' holds keys and values -> write them as an object",
        ),
        (
            "Orders.Place",
            {"metadata": {"a b": "c"}},
            "'inputTemplate.metadata.a b' is no key of metadata -> use letters, digits, '-', '_' and '.'",
        ),
        (
            "Orders.Place",
            {"message": {"totl": {}, "total": {"cents": "many"}}},
            "'message.totl' is no field of 'shop.v1.Order' -> did you mean 'total'?",
        ),
        (
            "Orders.Place",
            {"message": {"order_id": "a", "orderId": "b"}},
            "'message' has both 'order_id' and 'orderId', of which there is only one -> write one of them",
        ),
        ("Orders.Place", {"message": {"lines": {}}}, "'message.lines' takes a list, not '{}' -> write '[{}]'"),
        (
            "Orders.Place",
            {"message": ["a"]},
            "'message' takes an object of type 'shop.v1.Order', not '['a']' -> give its fields",
        ),
        (
            "Orders.Place",
            {"message": {"is_gift": "yes"}},
            "'message.is_gift' takes true or false, not 'yes' -> correct the value",
        ),
    ],
)
def test_check_tells_what_is_wrong_with_the_input(spec, endpoint, given, problem):
    """Keys, messages and metadata are known to be wrong before the run."""
    assert problem in check(spec, endpoint, given)


def test_check_warns_of_fields_that_no_response_has(spec):
    """Paths in conditions, rules and exports are followed through the response's type, unless they are guarded."""
    fine = ["response.message.gone | default(1) == 1", "response.message.labels.any == response['message'].weight"]
    found = check(
        spec,
        "Orders.Place",
        until="response.message.orderId == 'a' and message.totl.cents > 0",
        failWhen="response.messages[0].lines[0].skuu == 'x'",
        businessRules=["response.message.total.amount == 1", "response.body.id == response.trailer.id", *fine],
        exportAs={"id": "response.message.orderId"},
    )
    meant = "write 'order_id', as its '.proto' file does"
    assert found == [
        f"warning 'response.message.orderId' is no field of 'shop.v1.Order' -> {meant}",
        "warning 'message.totl' is no field of 'shop.v1.Order' -> did you mean 'total'?",
        "warning 'response.messages[0].lines[0].skuu' is no field of 'shop.v1.Line' -> did you mean 'sku'?",
        "warning 'response.message.total.amount' is no field of 'shop.v1.Money' -> its fields: cents, currency",
        "warning 'response.body' is nothing that a response of gRPC has -> write 'response.message'",
        "warning 'response.trailer' is nothing that a response of gRPC has -> did you mean 'trailers'?",
    ]


def test_check_tells_statuses_and_schemas_that_grpc_does_not_have(spec):
    """Codes of HTTP are no statuses of gRPC, and responses have the type of their method anyway."""
    statuses, schemas = check(spec, "Orders.Place", expectedStatusCode=[200, "NOT_FOUND"], schemaRefs=["orders#/x"])
    assert statuses.startswith("gRPC has no status '200' -> its statuses: OK, CANCELLED, ")
    assert schemas == (
        "warning 'schemaRefs' of a gRPC step are not looked at"
        " -> take them away: a response that can be read has the type of its method"
    )


# ---- the library --------------------------------------------------------------------------------------------------


async def test_missing_extra_is_told_with_the_command_that_installs_it(spec, tmp_path, monkeypatch):
    """Whatever part of it is missing: before the run, at reading, and at the call."""
    monkeypatch.setitem(sys.modules, "grpc_reflection", None)
    install = "pip install 'pytest-orchestra[grpc]'"
    assert check(spec, "Orders.Place") == [f"a gRPC step needs 'grpc_reflection', which is not installed -> {install}"]
    with pytest.raises(DefinitionError) as unread:
        GrpcProtocol().parse_spec(tmp_path / "orders.proto", "orders")
    assert str(unread.value) == f"{tmp_path / 'orders.proto'}: needs 'grpc_reflection' to be read\nhint: {install}"
    with pytest.raises(StepError) as uncalled:
        await GrpcProtocol().execute(call("grpc://127.0.0.1:9", "Orders.Place"), {"orders": spec})
    assert uncalled.value.hint == install


QUIET = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from pytest_orchestra.protocols.grpc import GrpcProtocol
protocol = GrpcProtocol()
assert not {"grpc", "google.protobuf", "grpc_tools"} & set(sys.modules), "loaded before it is needed"
specs = {"orders": protocol.parse_spec(Path(sys.argv[1]), "orders")}
import pytest_orchestra.readers.grpc_library
assert "GRPC_VERBOSITY" not in os.environ, "left behind"
from grpc_peers import OrdersServer, call

async def main():
    server = await OrdersServer(specs["orders"]).start()
    assert (await protocol.execute(call(server.url, "Orders.Place"), specs)).status_name == "OK"
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    secure = call(server.url.replace("grpc:", "grpcs:"), "Orders.Place")
    try:
        await protocol.execute(secure, specs)
    except Exception as error:
        print(type(error).__name__)
    await server.stop()
    await protocol.close()

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs 'os.fork'")
def test_library_is_loaded_late_and_says_nothing(proto):
    """Neither a fork nor a failed handshake makes the C core write into the output of pytest."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", QUIET, str(proto), str(Path(__file__).parent)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
    assert (done.stdout, done.stderr, done.returncode) == ("UnreachableError\n", "", 0)


def test_specification_is_a_plain_value(spec):
    """It can be kept and compared like those of other protocols."""
    assert isinstance(spec, ProtocolSpec)
    assert spec == replace(spec)
