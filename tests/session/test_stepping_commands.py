"""The commands of whoever steps through a run, and the conversation that they are part of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestra.data.environments import ResolvedEnvironment
from pytest_orchestra.engine.clock import SystemClock
from pytest_orchestra.engine.context import ExecutionContext
from pytest_orchestra.engine.results import blank_result
from pytest_orchestra.engine.stepping import Decision, Pause
from pytest_orchestra.engine.steps import StepPerformer
from pytest_orchestra.model.definition import Bindings, StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.run import StepStatus, Violation, ViolationType
from pytest_orchestra.model.scenario import ScenarioStep
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.session.stepping import PROMPT, Command, CommandError, Conversation, Verb, parse_command
from pytest_orchestra.testing import ScriptedProtocol


class Script:
    """A console at which somebody types what a test says; behind the last line the input ends."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = list(lines)
        self.text = ""
        self.was_interrupted = asyncio.Event()

    def write(self, text: str) -> None:
        self.text += text

    async def read_line(self) -> str | None:
        return self._lines.pop(0) if self._lines else None

    @property
    def answers(self) -> list[str]:
        """What was said behind each prompt."""
        return self.text.split(PROMPT)[1:]


def _step(alias: str, **more: object) -> ScenarioStep:
    definition = StepDefinition.model_validate({"alias": alias, "endpointRef": "orders.any", **more})
    return ScenarioStep(0, alias, f"The {alias}", f"element_{alias}", definition)


PLACE = _step("place", inputTemplate={"body": {"amount": "{{data.amount}}"}})
PAID = _step("paid", until="true")


def pause_at(step: ScenarioStep = PLACE, run_id: str = "run-1") -> Pause:
    environment = ResolvedEnvironment(Environment(), {"env:WORD": Secret("s3cret-word")})
    context = ExecutionContext(
        run_id=run_id,
        run_key=f"order.bpmn::{run_id}",
        correlation_id="c-1",
        data={"amount": 10},
        suite={},
        environment={"word": "s3cret-word"},
        fixtures={},
    )
    protocol = ScriptedProtocol()
    performer = StepPerformer(
        protocols={protocol.channel_type: protocol},
        specs={},
        bindings=Bindings(),
        environment=environment,
        clock=SystemClock(),
        emit=lambda _: None,
    )
    results = tuple(blank_result(each, StepStatus.PENDING) for each in (PLACE, PAID))
    return Pause(step, context, performer, results)


def talk(*lines: str) -> tuple[Conversation, Script]:
    script = Script(lines)
    return Conversation(script, interrupt=script.was_interrupted.set), script


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", Command(Verb.GO_ON)),
        ("  c ", Command(Verb.GO_ON)),
        ("continue", Command(Verb.GO_ON)),
        ("r", Command(Verb.RUN_ON)),
        ("s", Command(Verb.SKIP)),
        ("quit", Command(Verb.QUIT)),
        ("l", Command(Verb.LIST)),
        ("i", Command(Verb.INFO)),
        ("?", Command(Verb.HELP)),
        ("p step.place.response.body", Command(Verb.PRINT, "step.place.response.body")),
        ("p  data.a + 1", Command(Verb.PRINT, "data.a + 1")),
        ("set data.amount = 5", Command(Verb.SET, "amount", 5)),
        ("set data.customer.id=null", Command(Verb.SET, "customer.id", None)),
        ("set data.name = a = b", Command(Verb.SET, "name", "a = b")),
        ('set data.items = [{"n": 1}]', Command(Verb.SET, "items", [{"n": 1}])),
        ('set data.text = "5"', Command(Verb.SET, "text", "5")),
    ],
)
def test_parse_command_reads_what_is_typed_before_a_step(line: str, command: Command) -> None:
    """Letters and words mean the same, blanks around them nothing; a value is JSON or else a text."""
    assert parse_command(line) == command


def test_parse_command_reads_r_as_retry_behind_a_failure() -> None:
    """What it means otherwise would be no answer there; what has run cannot be skipped."""
    assert parse_command("r", has_failed=True) == parse_command("retry", has_failed=True) == Command(Verb.RETRY)
    assert parse_command("", has_failed=True) == Command(Verb.GO_ON)
    with pytest.raises(CommandError, match=r"^'s' is no command here; h lists those that there are$"):
        parse_command("s", has_failed=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x", "'x' is no command here; h lists those that there are"),
        ("data.amount", "'data.amount' is no command here; h lists those that there are"),
        ("p", "p needs an expression, for example: p data"),
        ("c now", "'c' takes nothing behind it; p shows a value, h lists the commands"),
        ("set amount = 5", "set reads: set data.NAME = VALUE, for example: set data.amount = 5"),
        ("set data.amount =", "set reads: set data.NAME = VALUE, for example: set data.amount = 5"),
        ("set data. = 5", "set reads: set data.NAME = VALUE, for example: set data.amount = 5"),
        ("set data.a..b = 5", "set reads: set data.NAME = VALUE, for example: set data.amount = 5"),
    ],
)
def test_parse_command_says_what_is_wrong_with_a_line(line: str, message: str) -> None:
    """Nothing is carried out by a slip of the finger."""
    with pytest.raises(CommandError) as error:
        parse_command(line)
    assert str(error.value) == message


@given(st.text(max_size=40), st.booleans())
def test_parse_command_reads_or_refuses_every_line(line: str, has_failed: bool) -> None:
    """No line makes it fail otherwise, and what decides something is never read from a longer line."""
    try:
        command = parse_command(line, has_failed=has_failed)
    except CommandError:
        return
    if command.verb in (Verb.GO_ON, Verb.RUN_ON, Verb.RETRY, Verb.SKIP, Verb.QUIT):
        assert len(line.split()) <= 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_parse_command_gives_every_json_value_as_it_is(value: object) -> None:
    """What can be written as JSON can be set."""
    assert parse_command(f"set data.x = {json.dumps(value)}").value == value


async def test_conversation_shows_looks_and_changes_before_it_decides() -> None:
    """A question is asked again until it is answered; mistakes are told and change nothing."""
    conversation, script = talk("p data", "set data.amount = 5", "p data.gone", "p environment.word", "what", "i", "s")
    pause = pause_at()
    assert await conversation.before(pause) is Decision.SKIP
    assert script.text.startswith(
        "order.bpmn::run-1\nstep 1 of 2  place: The place  (ACTION HTTP_REST orders.any)\n(step) "
    )
    shown, changed, gone, word, what, info, _ = script.answers
    assert (shown, changed) == ('  {"amount": 10}\n', '  {"amount": 5}\n')
    assert gone == "'gone' is not in 'data'\nhint: there is only 'amount'\n"
    assert word == '  "***"\n'
    assert what == "'what' is no command here; h lists those that there are\n"
    assert '"amount": 5' in info
    assert pause.changed == {"amount": 5}


class Prickly:
    """What a fixture may give."""

    def __repr__(self) -> str:
        raise ValueError("s3cret-word is not for you")


async def test_conversation_survives_values_that_cannot_be_shown() -> None:
    """A look never ends a run."""
    conversation, script = talk("p [fixture]", "p fixture.loop", "c")
    pause = pause_at()
    loop: list[object] = []
    loop.append(loop)
    pause.context.fixtures = {"thing": Prickly(), "loop": loop}
    assert await conversation.before(pause) is Decision.GO_ON
    assert script.answers[0] == "ValueError: *** is not for you\n"
    assert script.answers[1].startswith("RecursionError: ")


async def test_conversation_tells_once_how_steps_ended() -> None:
    """What has ended since the last question stands before the next one."""
    conversation, script = talk("", "")
    pause = pause_at()
    await conversation.before(pause)
    done = replace(pause.results[0], status=StepStatus.PASSED, duration_ms=12.0)
    again = replace(pause_at(PAID), results=(done, pause.results[1]))
    await conversation.before(again)
    assert script.text.count("order.bpmn::run-1\n") == 1
    assert "PASSED  place  12 ms\nstep 2 of 2  paid: The paid  (ASSERTION HTTP_REST orders.any)\n" in script.text


async def test_conversation_lists_steps_and_commands() -> None:
    """The list has every step with its state, the help every command that there is at this point."""
    conversation, script = talk("l", "h", "c")
    assert await conversation.before(pause_at()) is Decision.GO_ON
    table, commands, _ = script.answers
    assert [line.split()[1:3] for line in table.splitlines()[1:]] == [["PENDING", "place"], ["PENDING", "paid"]]
    assert "skip it" in commands
    assert "carry the step out again" not in commands


async def test_conversation_asks_nothing_more_about_a_run_that_is_to_run_on() -> None:
    """The next run is asked about again."""
    conversation, script = talk("r", "s")
    assert await conversation.before(pause_at()) is Decision.GO_ON
    assert await conversation.before(pause_at(PAID)) is Decision.GO_ON
    failed = replace(pause_at().results[0], status=StepStatus.FAILED)
    assert await conversation.after(pause_at(), failed) is Decision.GO_ON
    assert script.text.count(PROMPT) == 1
    assert await conversation.before(pause_at(run_id="run-2")) is Decision.SKIP


async def test_conversation_shows_a_failure_with_its_evidence_and_asks_what_next() -> None:
    """The violation is there before the question, and the help says what can be done about it."""
    conversation, script = talk("h", "r", "")
    violation = Violation(ViolationType.HTTP_ERROR, "status", "status 500 came where 2XX is expected")
    failed = replace(pause_at().results[0], status=StepStatus.FAILED, violations=(violation,))
    assert await conversation.after(pause_at(), failed) is Decision.RETRY
    before, commands, _ = script.text.split(PROMPT)
    assert "HTTP_ERROR  status 500 came where 2XX is expected" in before
    assert before.endswith("\nstep 'place' failed; r carries it out again, c goes on\n")
    assert "carry the step out again" in commands
    assert await conversation.after(pause_at(), failed) is Decision.GO_ON


@pytest.mark.parametrize("lines", [["q"], []], ids=["q", "end-of-input"])
async def test_conversation_that_is_quit_interrupts_and_waits_for_its_end(lines: list[str]) -> None:
    """It never decides what becomes of the step; whoever ends the session cancels it."""
    conversation, script = talk(*lines)
    asking = asyncio.create_task(conversation.before(pause_at()))
    await asyncio.wait_for(script.was_interrupted.wait(), 60)
    assert not asking.done()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
