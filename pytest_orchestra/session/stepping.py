"""Stepping through runs at a terminal: what is said before each step, and the commands that are understood."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn, Protocol

from pytest_orchestra.engine.stepping import Decision, Pause
from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.run import StepResult, StepStatus
from pytest_orchestra.reporting.terminal import step_text, steps_table
from pytest_orchestra.reporting.typography import Page, duration_text, label, printable
from pytest_orchestra.reporting.values import value_lines
from pytest_orchestra.reporting.verdict import mark_of, step_reason, was_reached

__all__ = ["PROMPT", "Command", "CommandError", "Console", "Conversation", "Verb", "parse_command"]

PROMPT: Final = "(step) "
"""What stands where a command is awaited."""

_LONGEST_VALUE: Final = 200
"""How many lines of a value are shown."""


class Verb(StrEnum):
    """What somebody wants who steps through a run."""

    GO_ON = "c"
    RUN_ON = "run on"
    RETRY = "retry"
    SKIP = "s"
    QUIT = "q"
    PRINT = "p"
    LIST = "l"
    INFO = "i"
    SET = "set"
    HELP = "h"


_ALWAYS: Final[Mapping[str, Verb]] = {
    "": Verb.GO_ON,
    "c": Verb.GO_ON,
    "continue": Verb.GO_ON,
    "q": Verb.QUIT,
    "quit": Verb.QUIT,
    "p": Verb.PRINT,
    "print": Verb.PRINT,
    "l": Verb.LIST,
    "list": Verb.LIST,
    "i": Verb.INFO,
    "info": Verb.INFO,
    "set": Verb.SET,
    "h": Verb.HELP,
    "help": Verb.HELP,
    "?": Verb.HELP,
}
_BEFORE: Final[Mapping[str, Verb]] = {
    **_ALWAYS,
    "r": Verb.RUN_ON,
    "run": Verb.RUN_ON,
    "s": Verb.SKIP,
    "skip": Verb.SKIP,
}
_AFTER: Final[Mapping[str, Verb]] = {**_ALWAYS, "r": Verb.RETRY, "retry": Verb.RETRY}
_CHANGE: Final = re.compile(r"data\.(?P<name>[^\s.=]+(?:\.[^\s.=]+)*)\s*=\s*(?P<value>.*\S)", re.DOTALL)

_HELP_BEFORE: Final = """\
  Enter, c               carry the step out
  s                      skip it
  r                      carry out this and all further steps of the scenario without asking"""
_HELP_AFTER: Final = """\
  r                      carry the step out again
  Enter, c               go on with the failure"""
_HELP_ALWAYS: Final = """\
  p EXPRESSION           show a value: p data, p step.ALIAS.response.body
  i                      show what the step sends, rendered
  l                      list the steps
  set data.NAME = VALUE  change the data; VALUE is JSON, or else a text
  q                      cancel the run, clean up behind it and end the session
  h                      show this
"""


class CommandError(ValueError):
    """A line that is no command; its text says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """A verb, with what it is about: an expression, or the dotted name of data and its new value."""

    verb: Verb
    subject: str = ""
    value: JsonValue = None


def parse_command(line: str, *, has_failed: bool = False) -> Command:
    """Read a line; ``has_failed`` says that the question is what becomes of a step that failed.

    Raises ``CommandError``.
    """
    word, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    verb = (_AFTER if has_failed else _BEFORE).get(word)
    if verb is None:
        raise CommandError(f"'{word}' is no command here; h lists those that there are")
    if verb is Verb.PRINT:
        if not rest:
            raise CommandError("p needs an expression, for example: p data")
        return Command(verb, rest)
    if verb is Verb.SET:
        return _parse_change(rest)
    if rest:
        raise CommandError(f"'{word}' takes nothing behind it; p shows a value, h lists the commands")
    return Command(verb)


def _parse_change(text: str) -> Command:
    found = _CHANGE.fullmatch(text)
    if found is None:
        raise CommandError("set reads: set data.NAME = VALUE, for example: set data.amount = 5")
    try:
        value: JsonValue = json.loads(found["value"])
    except ValueError:
        value = found["value"]
    return Command(Verb.SET, found["name"], value)


class Console(Protocol):
    """Where somebody reads and types."""

    def write(self, text: str) -> None:
        """Show text at once."""

    async def read_line(self) -> str | None:
        """Wait for a line, without its end, while the event loop goes on; None where there will be no more."""


class Conversation:
    """The stepper at a console. ``interrupt`` ends the session as Ctrl-C does; ``width`` is that of the console.

    ``on_run`` is called before the first question about each run.
    """

    def __init__(
        self,
        console: Console,
        *,
        interrupt: Callable[[], None],
        width: Callable[[], int] = lambda: 80,
        encoding: str | None = None,
        on_run: Callable[[], None] = lambda: None,
    ) -> None:
        self._console = console
        self._interrupt = interrupt
        self._width = width
        self._encoding = encoding
        self._on_run = on_run
        self._runs: set[tuple[str, int]] = set()
        self._run_on: set[str] = set()
        self._told: set[tuple[str, int, str]] = set()

    async def before(self, pause: Pause) -> Decision:
        """Ask what becomes of a step that is next."""
        if pause.run_id in self._run_on:
            return Decision.GO_ON
        self._tell(pause)
        self._line(self._title(pause))
        while True:
            command = await self._ask(pause, has_failed=False)
            if command.verb is Verb.RUN_ON:
                self._run_on.add(pause.run_id)
            if command.verb in (Verb.GO_ON, Verb.RUN_ON):
                return Decision.GO_ON
            if command.verb is Verb.SKIP:
                return Decision.SKIP

    async def after(self, pause: Pause, failed: StepResult) -> Decision:
        """Ask what becomes of a step that failed; not where nobody wants to be asked any more."""
        if pause.run_id in self._run_on:
            return Decision.GO_ON
        self._line(step_text(failed, width=self._width(), encoding=self._encoding))
        self._line(f"\nstep '{label(pause.step.alias)}' failed; r carries it out again, c goes on")
        while True:
            command = await self._ask(pause, has_failed=True)
            if command.verb is Verb.GO_ON:
                return Decision.GO_ON
            if command.verb is Verb.RETRY:
                return Decision.RETRY

    async def _ask(self, pause: Pause, *, has_failed: bool) -> Command:
        """Give the next command that decides something, and carry out those before it that only look or change."""
        while True:
            self._console.write(PROMPT)
            line = await self._console.read_line()
            if line is None:
                self._line("")
                await self._quit()
            try:
                command = parse_command(line, has_failed=has_failed)
            except CommandError as error:
                self._line(printable(str(error)))
                continue
            if command.verb is Verb.QUIT:
                await self._quit()
            if not self._answer(command, pause, has_failed=has_failed):
                return command

    def _answer(self, command: Command, pause: Pause, *, has_failed: bool) -> bool:
        """Do what a command says that decides nothing; give whether it was one."""
        try:
            match command.verb:
                case Verb.PRINT:
                    self._show(pause.evaluate(command.subject))
                case Verb.INFO:
                    self._show(pause.preview() or "a barrier sends nothing")
                case Verb.SET:
                    pause.change(command.subject, command.value)
                    self._show(pause.evaluate("data"))
                case Verb.LIST:
                    self._line(steps_table(pause.results, width=self._width(), encoding=self._encoding))
                case Verb.HELP:
                    self._line(f"{_HELP_AFTER if has_failed else _HELP_BEFORE}\n{_HELP_ALWAYS}".rstrip())
                case _:
                    return False
        except OrchestraError as error:
            self._line(printable(pause.mask(str(error))))
        except Exception as error:  # noqa: BLE001  a fixture's own, which is shown; a look never ends a run
            self._line(printable(pause.mask(f"{type(error).__name__}: {error}")))
        return True

    async def _quit(self) -> NoReturn:
        """End the session: whoever runs it cancels this."""
        self._interrupt()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    def _tell(self, pause: Pause) -> None:
        """Say which run it is, where that is news, and how the steps ended that did so since the last question."""
        attempt = pause.context.attempt
        if (pause.run_id, attempt) not in self._runs:
            self._runs.add((pause.run_id, attempt))
            self._on_run()
            self._line(printable(pause.run_key) + (f", attempt {attempt}" if attempt > 1 else ""))
        page = Page.of(self._width(), color=False, encoding=self._encoding)
        for result in pause.results:
            known = (pause.run_id, attempt, result.alias)
            if result.status is StepStatus.PENDING or known in self._told:
                continue
            self._told.add(known)
            said = f"{mark_of(result.status, page.marks)} {result.status}  {label(result.alias)}"
            took = f"  {duration_text(result.duration_ms)}" if was_reached(result) else ""
            reason = "" if result.status is StepStatus.PASSED else step_reason(result)
            self._line(f"  {said}{took}" + (f": {reason}" if reason else ""))

    @staticmethod
    def _title(pause: Pause) -> str:
        step = pause.step
        number = next(n for n, each in enumerate(pause.results, 1) if each.alias == step.alias)
        name = "" if step.name in ("", step.alias) else f": {label(step.name)}"
        operation = step.definition.endpoint_ref
        kind = f"{step.kind} {step.definition.channel_type}" + ("" if operation is None else f" {operation}")
        what = "clean-up step" if step.cleans_up is not None else "step"
        return f"{what} {number} of {len(pause.results)}  {label(step.alias)}{name}  ({label(kind)})"

    def _show(self, value: JsonValue) -> None:
        width = self._width() - 2
        page = Page.of(width, color=False, encoding=self._encoding)
        for line in value_lines(value, page, width, _LONGEST_VALUE):
            self._line(f"  {line}")

    def _line(self, text: str) -> None:
        self._console.write(text + "\n")
