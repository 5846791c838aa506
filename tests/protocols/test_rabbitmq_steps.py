"""Queue steps without a broker: what is wrong with them as written, and messages held against their schemas."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from protocol_calls import SPECS, make_call

from pytest_orchestra.engine.ports import Reply
from pytest_orchestra.errors import (
    DefinitionError,
    OrchestraError,
    SecretNotFoundError,
    StepError,
    UnknownAliasError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import Exchange, Violation, ViolationType
from pytest_orchestra.problem import Place, Severity
from pytest_orchestra.protocols.kafka import KafkaProtocol
from pytest_orchestra.protocols.queue import QueueProtocol

TASK = {
    "correlationId": "6f7c1f6e-6b8e-4a37-9d0d-0a4b4c6f1a11",
    "repoUrl": "http://git.example.com/plant.git",
    "branch": "issue/42-new-calculation",
    "commitHash": "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0",
    "input_files": ["inputs/condenser.json"],
    "output_file": "outputs/condenser.json",
}
"""A task for a worker: which commit of which repository to calculate, from which files, into which file."""

TASK_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A task for a worker",
    "type": "object",
    "required": ["correlationId", "repoUrl", "branch", "commitHash", "input_files", "output_file"],
    "additionalProperties": False,
    "properties": {
        "correlationId": {"type": "string", "format": "uuid"},
        "repoUrl": {"type": "string", "format": "uri"},
        "branch": {"$ref": "#/$defs/name"},
        "commitHash": {"type": "string", "pattern": "^[0-9a-f]{7,40}$"},
        "input_files": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/name"}},
        "output_file": {"$ref": "#/$defs/name"},
    },
    "$defs": {"name": {"type": "string", "minLength": 1}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a sidecar, with the schema of the task message in it."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "task.json").write_text(json.dumps(TASK_SCHEMA))
    return tmp_path


def step(folder: Path | None = None, **fields: Any) -> StepDefinition:
    """Give a step of a sidecar in that folder."""
    definition = StepDefinition.model_validate({"alias": "task", "exchange": "tasks", "kind": "ASSERTION", **fields})
    return definition if folder is None else definition.model_copy(update={"place": Place(f"{folder}/s.yaml", 3, 5)})


def call(definition: StepDefinition, environment: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Give a call of a step."""
    made = make_call({"exchange": "tasks"}, environment or {"queueProfiles": {"main": "amqp://127.0.0.1:1/"}})
    return replace(made, step=definition, **{"address": {"exchange": "tasks"}, **fields})


def judged(definition: StepDefinition, *values: Any) -> list[Violation]:
    """Hold messages of these values against the schemas of a step."""
    messages = [{"value": value} for value in values]
    reply = Reply({"messages": messages, "message": messages[0] if messages else None}, Exchange())
    return list(QueueProtocol().validate(call(definition), reply, SPECS))


# ---- schemas ------------------------------------------------------------------------------------------------------


def test_message_that_keeps_its_contract_has_no_violation(folder):
    """A task message as agreed passes; so does a look that found nothing."""
    assert judged(step(folder, schemaRefs=["schemas/task.json"]), TASK, TASK) == []
    assert judged(step(folder, schemaRefs=["schemas/task.json"])) == []


def test_every_message_that_is_found_is_held_against_the_schema(folder):
    """Each violation says which message is wrong where, as the CONTRACT_VIOLATION of a pointer into the response."""
    broken = {name: value for name, value in TASK.items() if name != "repoUrl"} | {"commitHash": "main"}
    violations = judged(step(folder, schemaRefs=["schemas/task.json"]), TASK, broken, "no task")
    assert [(violation.type, violation.code) for violation in violations] == [
        (ViolationType.CONTRACT_VIOLATION, "schema-ref")
    ] * 3
    assert [violation.message for violation in violations] == [
        "/messages/1/value: property 'repoUrl' is missing",
        "/messages/1/value/commitHash: expected a text that matches '^[0-9a-f]{7,40}$', observed 'main'",
        "/messages/2/value: expected object, observed 'no task'",
    ]
    assert violations[1].details["pointer"] == "/messages/1/value/commitHash"
    assert str(violations[1].details["schema"]).endswith("/schemas/task.json#/properties/commitHash/pattern")


@pytest.mark.parametrize(("protocol", "fields"), [(QueueProtocol, {}), (KafkaProtocol, {"topic": "tasks"})])
def test_field_that_no_schema_of_the_message_has_is_told_before_anything_runs(folder, protocol, fields):
    """What is looked for and what is read, each once, with what may be meant; of a service's schema as well."""
    definition = step(
        folder,
        **fields,
        schemaRefs=["schemas/task.json"],
        valueTemplate={"comitHash": "a", "branch": "{{data.branch}}", "{{data.name}}": 1},
        until="message.value.brnch == 'x' and messages[0].value.branch != '' and message.key == 'k'",
        businessRules=["(message.value.more | default(1)) == 1", "message.value.brnch != ''"],
        exportAs={"repository": "message.value.repoUrll"},
    )
    problems = protocol().check(definition, SPECS)
    assert [(problem.severity, problem.message, problem.hint) for problem in problems] == [
        (
            Severity.WARNING,
            "'valueTemplate.comitHash' is no field of 'schemas/task.json'",
            "did you mean 'commitHash'?",
        ),
        (Severity.WARNING, "'message.value.brnch' is no field of 'schemas/task.json'", "did you mean 'branch'?"),
        (Severity.WARNING, "'message.value.repoUrll' is no field of 'schemas/task.json'", "did you mean 'repoUrl'?"),
    ]
    (folder / "schemas" / "open.json").write_text("{}")
    another = definition.model_copy(update={"schema_refs": ["schemas/task.json", "schemas/open.json"]})
    assert protocol().check(another, SPECS) == []


def test_faults_beyond_the_fifth_are_counted(folder):
    """A message that is wrong all over does not flood the report."""
    violations = judged(step(folder, schemaRefs=["schemas/task.json"]), {})
    assert [violation.message for violation in violations][5:] == ["and 1 more"]


def test_part_of_a_schema_file_and_schema_of_a_service_can_be_named(folder):
    """A reference may name a part of a file, or a schema of a specification."""
    assert judged(step(folder, schemaRefs=["schemas/task.json#/$defs/name"]), "a") == []
    [violation] = judged(step(folder, schemaRefs=["schemas/task.json#/$defs/name"]), "")
    assert violation.message == "/messages/0/value: expected at least 1 character, observed ''"
    [violation] = judged(step(folder, schemaRefs=["orders#/components/schemas/Count"]), 0)
    assert violation.message == "/messages/0/value: expected at least 1, observed 0"


@pytest.mark.parametrize(
    ("ref", "fact", "hint"),
    [
        ("schemas/tusk.json", "schema reference 'schemas/tusk.json': no such file", "check the path"),
        ("schemas/text.json", "schema reference 'schemas/text.json' is no JSON Schema", "name a file of JSON Schema"),
        (
            "schemas/task.json#/$defs/nam",
            "'schemas/task.json' has no schema '/$defs/nam'",
            "correct the part of the reference after '#'",
        ),
        ("ordres#/components/schemas/Count", "service 'ordres' has no specification", "did you mean 'orders'?"),
        (
            "orders#/components/schemas/Cuont",
            "service 'orders' has no schema '/components/schemas/Cuont'",
            "see what its specification has there",
        ),
        (
            "Task",
            "schema reference 'Task' names no schema",
            "write it as 'service#/components/schemas/Name' or 'path/to/schema.json'",
        ),
    ],
)
def test_schema_reference_that_leads_nowhere_is_a_problem_before_and_an_error_after(folder, ref, fact, hint):
    """What verify says of a reference, a run says as well."""
    (folder / "schemas" / "text.json").write_text('"a"')
    definition = step(folder, schemaRefs=[ref])
    [problem] = QueueProtocol().check(definition, SPECS)
    assert (problem.severity, problem.place) == (Severity.ERROR, definition.place)
    assert (problem.message, problem.hint) == (fact, hint)
    with pytest.raises(StepError) as caught:
        judged(definition, 1)
    assert (caught.value.fact, caught.value.hint, caught.value.place) == (fact, hint, definition.place)


def test_schema_that_refers_to_nothing_is_an_error_of_its_file(folder):
    """A schema that is no good itself is never taken for a fault of the message."""
    (folder / "bad.json").write_text('{"$ref": "#/$defs/nowhere"}')
    with pytest.raises(DefinitionError, match=r"schema '.*bad\.json' of service 'bad\.json' cannot be used"):
        judged(step(folder, schemaRefs=["bad.json"]), 1)


async def test_message_that_breaks_its_own_schema_is_not_published_unless_on_purpose(folder):
    """What a test sends wrong by mistake is an error; with 'breaksContract' it is sent, here to nobody."""
    fields = {"kind": "ACTION", "schemaRefs": ["schemas/task.json"], "valueTemplate": {}}
    made = call(step(folder, **fields), message={"value": {**TASK, "input_files": []}})
    with pytest.raises(StepError) as caught:
        await QueueProtocol().execute(made, SPECS)
    assert caught.value.fact == (
        "the message breaks 'schemas/task.json': /value/input_files: expected at least 1 item, observed []"
    )
    assert caught.value.hint == "correct 'valueTemplate', or set 'breaksContract: true' if that is the purpose"
    pytest.importorskip("aio_pika", reason="needs 'aio-pika', the client of rabbitmq")
    on_purpose = replace(made, step=step(folder, breaksContract=True, **fields))
    with pytest.raises(UnusableEnvironmentError, match="connection refused"):
        await QueueProtocol().execute(on_purpose, SPECS)


# ---- steps as written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "fact", "hint"),
    [
        (
            {"queueName": "q", "kind": "ACTION"},
            "'exchange' and 'queueName' are both given",
            "publish to one of them",
        ),
        (
            {"queueName": "q"},
            "'exchange' and 'queueName' are both given",
            "listen at the exchange, or look into the queue",
        ),
        (
            {"exchange": None, "queueName": "q", "routingKey": "a"},
            "'routingKey' means nothing to a queue",
            "name the 'exchange' as well as the key, and no 'queueName'",
        ),
        (
            {"inputTemplate": {"body": 1}},
            "'inputTemplate' means nothing to a queue broker",
            "write 'valueTemplate' and 'headers'",
        ),
        (
            {"kind": "ACTION", "keyExpression": "data.id"},
            "'keyExpression' means nothing to what is published here",
            "write 'routingKey'",
        ),
    ],
)
async def test_step_that_contradicts_itself_is_a_problem_before_and_an_error_after(fields, fact, hint):
    """What verify says of a step, a run says as well."""
    definition = step(channelType="QUEUE", **fields)
    [problem] = QueueProtocol().check(definition, {})
    assert (problem.message, problem.hint) == (fact, hint)
    with pytest.raises(StepError) as caught:
        await QueueProtocol().execute(call(definition), {})
    assert (caught.value.fact, caught.value.hint) == (fact, hint)


def test_good_steps_have_no_problems(folder):
    """What a step may say is not complained about."""
    protocol = QueueProtocol()
    for definition in (
        step(routingKey="orders.#", valueTemplate={"a": 1}, keyExpression="'orders.placed'"),
        step(exchange=None, queueName="q", channelType="QUEUE", until="count == 2"),
        step(folder, kind="ACTION", routingKey="a.b", valueTemplate={}, schemaRefs=["schemas/task.json"]),
    ):
        assert list(protocol.check(definition, SPECS)) == []
    assert protocol.may_repeat(step(kind="ACTION"), {})


# ---- environments -------------------------------------------------------------------------------------------------


async def failure(profiles: dict[str, Any], **fields: Any) -> OrchestraError:
    """Give the error that publishing to a broker of these profiles ends with."""
    pytest.importorskip("aio_pika", reason="needs 'aio-pika', the client of rabbitmq")
    made = call(step(kind="ACTION", valueTemplate=1), {"queueProfiles": profiles}, **fields)
    with pytest.raises(OrchestraError) as caught:
        await QueueProtocol().execute(made, {})
    return caught.value


HERE = "amqp://127.0.0.1:1/"


@pytest.mark.parametrize(
    ("profiles", "alias", "kind", "fact", "hint"),
    [
        (
            {},
            None,
            UnknownAliasError,
            "environment 'local' has no queue broker",
            "add one to its 'queueProfiles'",
        ),
        (
            {"main": HERE, "other": HERE},
            None,
            UnknownAliasError,
            "environment 'local' has several queue brokers: 'main', 'other'",
            "say which one with 'brokerAlias'",
        ),
        (
            {"main": HERE},
            "mian",
            UnknownAliasError,
            "environment 'local' has no queue broker 'mian'",
            "did you mean 'main'?",
        ),
        (
            {"main": "http://u:secret@127.0.0.1"},
            None,
            UnusableEnvironmentError,
            "broker 'main' has the endpoint 'http://u:***@127.0.0.1', which is no address of RabbitMQ",
            "write it as 'amqp://host:port/vhost' in environment 'local'",
        ),
        (
            {"main": {"endpoint": HERE, "kind": "SQS"}},
            None,
            UnusableEnvironmentError,
            "broker 'main' is of kind 'SQS', which is not spoken here",
            "set 'kind: RABBITMQ', or use a plugin that brings a protocol for it",
        ),
        (
            {"main": {"endpoint": HERE, "passwordRef": "env:NOT_READ"}},
            None,
            SecretNotFoundError,
            "broker 'main' needs secret 'env:NOT_READ', which was not read",
            "set what 'env:NOT_READ' refers to",
        ),
        (
            {"main": {"endpoint": HERE, "credentialsRef": "env:BOTH"}},
            None,
            UnusableEnvironmentError,
            "broker 'main': the secret of 'credentialsRef' holds no ':'",
            "write user and password into it as 'user:password', or use 'usernameRef' and 'passwordRef'",
        ),
    ],
)
async def test_profile_that_is_no_good_is_said(profiles, alias, kind, fact, hint):
    """Each fault of a profile is an error that names it and one thing to do."""
    from pytest_orchestra.model.secret import Secret  # noqa: PLC0415

    address = {"exchange": "tasks"} | ({} if alias is None else {"brokerAlias": alias})
    error = await failure(profiles, address=address, secrets={"env:BOTH": Secret("nocolon")})
    assert type(error) is kind
    assert (error.fact, error.hint) == (fact, hint)


def test_profile_in_short_is_its_url():
    """A text stands for the endpoint; user, password and files of TLS are told by reference and by name."""
    environment = Environment.model_validate({"queueProfiles": {"main": "amqp://broker:5672/shop"}})
    profile = environment.queue_profiles["main"]
    assert (profile.endpoint, profile.kind) == ("amqp://broker:5672/shop", "RABBITMQ")
    with pytest.raises(ValueError, match="a secret is given by reference"):
        Environment.model_validate({"queueProfiles": {"main": {"endpoint": "amqp://b", "passwordRef": "hunter2"}}})


@pytest.mark.parametrize(
    ("endpoint", "address", "vhost"),
    [
        ("amqp://broker", "broker:5672/", "/"),
        ("amqps://broker/", "broker:5671/", "/"),
        ("amqp://broker:1/%2F", "broker:1/", "/"),
        ("amqp://broker:1/a%2Fb", "broker:1/a/b", "a/b"),
        ("amqp://[::1]:1/shop", "[::1]:1/shop", "shop"),
    ],
)
def test_login_reads_the_url_and_shows_no_password(endpoint, address, vhost):
    """Port and virtual host have the defaults of AMQP, and nothing shows the password."""
    from pytest_orchestra.model.secret import Secret  # noqa: PLC0415
    from pytest_orchestra.protocols.rabbitmq_login import BrokerLogin  # noqa: PLC0415

    profile = {"endpoint": endpoint, "credentialsRef": "env:BOTH"}
    made = call(step(), {"queueProfiles": {"main": profile}}, secrets={"env:BOTH": Secret("me:pa:ss")})
    login = BrokerLogin.of(made)
    assert (login.address, login.vhost) == (address, vhost)
    assert (login.user.reveal(), login.password.reveal()) == ("me", "pa:ss")
    assert "pa:ss" not in repr(login)
    assert (login.url.user, login.url.password, login.url.path[1:]) == ("me", "pa:ss", vhost)


def test_driver_is_loaded_when_it_is_needed():
    """A session without queue steps does not pay for the driver."""
    code = "import sys, pytest_orchestra.protocols.queue; print('aio_pika' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_missing_driver_is_said():
    """Without the extra, the first step says what to install."""
    code = """
import asyncio, sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == 'aio_pika' else PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from pytest_orchestra.protocols.queue import QueueProtocol
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.engine.ports import StepCall
step = StepDefinition.model_validate({'queueName': 'q'})
call = StepCall(step, 'a', 'c', {}, {}, Environment(), {}, 1.0, address={'queueName': 'q'})
try:
    asyncio.run(QueueProtocol().execute(call, {}))
except Exception as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == (
        "steps with a queue broker need the package 'aio-pika', which is not installed\n"
        "hint: pip install 'pytest-orchestra[rabbitmq]'\n"
    )
