"""What authors of protocols import, and the functions that spare them work."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from pytest_orchestra import spi
from pytest_orchestra.engine.ports import ListeningProtocol, ProtocolPlugin, RepeatingProtocol
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place
from pytest_orchestra.protocol_contract import ProtocolContract

HEAVY = ("pytest", "psycopg", "sqlalchemy", "httpx", "aiohttp", "jinja2", "yaml", "jsonschema_rs", "tenacity")


class Echo(spi.StepProtocol):
    """A protocol of an author who has written nothing but what he must."""

    channel_type = "ECHO"

    async def execute(self, call, specs):  # noqa: ARG002  the port's
        connection = spi.find_connection(call, call.input.get("connection"))
        response = {"said": call.input.get("say"), "to": connection.url}
        return spi.Reply(response, spi.Exchange({"connection": connection.alias}, response))


def echo_call(environment=None, *, secrets=None, **sent):
    """Give a call of the channel."""
    return ProtocolContract().make_call(
        {"channelType": "ECHO", "inputTemplate": sent},
        environment or {"connections": {"there": {"url": "echo:there", "secretRefs": {"token": "env:T"}}}},
        secrets={"env:T": "s3cret"} if secrets is None else secrets,
    )


def test_import_for_authors_is_light():
    """Importing the interface loads no driver, no template engine and no test framework."""
    program = f"import sys, pytest_orchestra.spi; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_protocol_with_execute_alone_is_whole():
    """All else has defaults: no specification, nothing to check, no contract, nothing to close."""
    protocol = Echo()
    assert isinstance(protocol, ProtocolPlugin)
    assert not isinstance(protocol, (ListeningProtocol, RepeatingProtocol))
    assert (protocol.protocol_id, protocol.unfulfilled, protocol.default_until) == ("echo", "TIMEOUT", None)
    call = echo_call(connection="there", say=[1])
    reply = await protocol.execute(call, {})
    assert reply.response == {"said": [1], "to": "echo:there"}
    assert list(protocol.check(call.step, {})) == list(protocol.validate(call, reply, {})) == []
    assert protocol.parse_spec(__file__, "any") is None
    operation = Operation("say", "SAY", "/")
    assert protocol.find_operation(ProtocolSpec("echo", "any", "1", operations=(operation,)), "say") is operation
    await protocol.close()


def test_channel_that_no_step_can_name_is_told_where_it_is_defined():
    """The mistake is found when the class is made, not when a step looks for its channel."""
    with pytest.raises(TypeError, match="'Small' has channel_type 'small': write it in capitals, as in 'FILE_DROP'"):
        type("Small", (spi.StepProtocol,), {"channel_type": "small"})
    with pytest.raises(TypeError, match="'None_' has channel_type ''"):
        type("None_", (spi.StepProtocol,), {})
    assert type("Shout", (Echo,), {"channel_type": "SHOUT"}).protocol_id == "shout"
    assert type("Louder", (Echo,), {"channel_type": "LOUD", "protocol_id": "l"}).protocol_id == "l"
    assert type("Same", (Echo,), {}).protocol_id == "echo"
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (spi.StepProtocol,), {"channel_type": "EMPTY"})()


def test_connection_is_found_with_its_secrets():
    """A connection has its URL, its options and its secrets by their names, which print as nothing."""
    connection = spi.find_connection(echo_call(), "there")
    assert (connection.alias, connection.url, connection.options) == ("there", "echo:there", {})
    assert connection.secrets["token"].reveal() == "s3cret"
    assert "s3cret" not in repr(connection)


@pytest.mark.parametrize(
    ("alias", "secrets", "kind", "text"),
    [
        (
            "ther",
            None,
            spi.UnknownAliasError,
            "environment 'contract' has no connection 'ther'\nhint: did you mean 'there'?",
        ),
        (
            "elsewhere-entirely",
            None,
            spi.UnknownAliasError,
            (
                "environment 'contract' has no connection 'elsewhere-entirely'\n"
                "hint: add 'elsewhere-entirely' to its 'connections'"
            ),
        ),
        (
            None,
            None,
            spi.StepError,
            "the step names no connection\nhint: name one of environment 'contract': 'there'",
        ),
        (
            "there",
            {},
            spi.SecretNotFoundError,
            "connection 'there' needs secret 'env:T', which was not read\nhint: set what 'env:T' refers to",
        ),
    ],
)
def test_connection_that_cannot_be_used_is_told_with_one_action(alias, secrets, kind, text):
    """Whoever named it wrong, or has not set its secret, reads what to do."""
    with pytest.raises(kind) as caught:
        spi.find_connection(echo_call(secrets=secrets), alias)
    assert str(caught.value) == text


def test_problem_of_a_step_has_its_place():
    """A problem stands where the step does, or bears its name."""
    step = StepDefinition.model_validate({"channelType": "ECHO", "alias": "say"})
    assert str(spi.step_problem(step, "it is wrong", "mend it")) == "say: it is wrong\nhint: mend it"
    placed = step.model_copy(update={"place": Place("s.yaml", 3)})
    warning = spi.step_problem(placed, "it is odd", severity=spi.Severity.WARNING)
    assert (str(warning), warning.severity) == ("s.yaml:3: it is odd", "warning")


async def test_time_limit_tells_what_was_sent():
    """What takes longer than the call may, ends with the exchange; other timeouts and results pass."""
    call, exchange = echo_call(), spi.Exchange({"say": 1})
    object.__setattr__(call, "timeout_s", 0.01)
    with pytest.raises(spi.CallTimeoutError) as caught:
        async with spi.time_limit(call, exchange):
            await asyncio.Event().wait()
    assert caught.value.exchange is exchange
    object.__setattr__(call, "timeout_s", 60.0)
    with pytest.raises(TimeoutError) as other:
        async with spi.time_limit(call, exchange):
            raise TimeoutError("a socket's own")
    assert type(other.value) is TimeoutError


async def test_function_that_blocks_runs_beside_the_loop():
    """It gives its result or its exception; a wait that is cancelled ends though the function goes on."""
    loop_thread = threading.get_ident()
    assert await spi.run_in_thread(threading.get_ident) != loop_thread
    with pytest.raises(ZeroDivisionError):
        await spi.run_in_thread(lambda: 1 // 0)
    go, gone = threading.Event(), threading.Event()

    def block():
        go.wait()
        gone.set()

    task = asyncio.create_task(spi.run_in_thread(block))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not gone.is_set()
    go.set()
    assert gone.wait(20)


def test_names_for_authors_are_exported():
    """Names are exported once, in order, and are there."""
    assert spi.__all__ == sorted(set(spi.__all__))
    assert [name for name in spi.__all__ if not hasattr(spi, name)] == []
