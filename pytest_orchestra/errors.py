"""The tree of errors: our input or our environment is wrong.

OrchestraError
├── DefinitionError            a file that a user wrote: process, sidecar, data, specification, environments
│   ├── UnreadableFileError    it cannot be read or parsed at all
│   └── DependencyCycleError   ``dependsOn`` leads back to where it began
├── SettingsError              an option, ini value or ``[tool.orchestra]`` key
├── TemplateError              a template or rule
│   ├── TemplateSyntaxError    it cannot be compiled
│   ├── UndefinedVariableError it names something that does not exist
│   └── EvaluationError        it cannot be evaluated with the values at hand
├── UnusableEnvironmentError   the environment does not provide what a step needs
│   ├── UnknownAliasError      no such service, database, cluster or broker
│   ├── SecretNotFoundError    a secret's reference leads nowhere
│   ├── VariableNotSetError    a profile names an environment variable that is not set
│   ├── UnreachableError       nothing listens, or the name does not resolve
│   └── LoginRefusedError      the peer refuses the credentials
├── StoreError                 the results store
│   ├── StoreUnavailableError  it cannot be started or reached
│   ├── SchemaVersionError     its schema is newer than this version understands
│   └── LeaseLostError         another worker holds the run by now; this one's writes are refused
└── StepError                  a step cannot be carried out as written
    └── StepInDoubtError       it was under way when its run was cut off, and must not be repeated

A *Violation* (``pytest_orchestra.model.run``) is the other thing: the system under test is wrong.
Every message reads ``place: fact with 'values'``; the hint, if any, is one action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_orchestra.problem import Place, Problem

__all__ = [
    "DefinitionError",
    "DependencyCycleError",
    "EvaluationError",
    "LeaseLostError",
    "LoginRefusedError",
    "OrchestraError",
    "SchemaVersionError",
    "SecretNotFoundError",
    "SettingsError",
    "StepError",
    "StepInDoubtError",
    "StoreError",
    "StoreUnavailableError",
    "SuiteTimeoutError",
    "TemplateError",
    "TemplateSyntaxError",
    "UndefinedVariableError",
    "UnknownAliasError",
    "UnreachableError",
    "UnreadableFileError",
    "UnusableEnvironmentError",
    "VariableNotSetError",
]


class OrchestraError(Exception):
    """Something on our side of the test is wrong; ``str()`` is what the user reads.

    ``fact`` is lower case and without a full stop; ``place`` says where; ``hint`` is one action.
    """

    def __init__(self, fact: str, *, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(fact, place, hint)
        self.fact = fact
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.place}: {self.fact}" if self.place is not None else self.fact
        return f"{text}\nhint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.fact, self.place, self.hint), self.__dict__)


def _rebuild(kind: type[OrchestraError], fact: str, place: Place | None, hint: str | None) -> OrchestraError:
    return kind(fact, place=place, hint=hint)


class DefinitionError(OrchestraError):
    """A file that a user wrote says something wrong. ``problems`` lists all that was found in it."""

    def __init__(
        self,
        fact: str,
        *,
        place: Place | None = None,
        hint: str | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(fact, place=place, hint=hint)
        self.problems = problems

    @classmethod
    def from_problems(cls, problems: tuple[Problem, ...]) -> DefinitionError:
        """Make one error of the given problems (at least one); the first leads, the rest follow."""
        first = problems[0]
        return cls(first.message, place=first.place, hint=first.hint, problems=problems)

    def __str__(self) -> str:
        if len(self.problems) <= 1:
            return super().__str__()
        return "\n".join(str(problem) for problem in self.problems)


class UnreadableFileError(DefinitionError):
    """A file cannot be read or parsed at all."""


class DependencyCycleError(DefinitionError):
    """``dependsOn`` leads back to the scenario where it began."""


class SettingsError(OrchestraError):
    """An option, an ini value or a key of ``[tool.orchestra]`` is wrong."""


class TemplateError(OrchestraError):
    """A template or rule cannot be used.

    ``roots`` are the root names (``response``, ``data`` ...) of all that the failing part of it reads: where
    ``response`` is among them, the reply of the system under test may be what is wrong. Empty if the text is.
    """

    def __init__(
        self,
        fact: str,
        *,
        place: Place | None = None,
        hint: str | None = None,
        roots: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(fact, place=place, hint=hint)
        self.roots = roots


class TemplateSyntaxError(TemplateError):
    """A template or rule cannot be compiled."""


class UndefinedVariableError(TemplateError):
    """A template or rule names something that does not exist; ``root`` is the name in which it was looked for."""

    def __init__(
        self,
        fact: str,
        *,
        place: Place | None = None,
        hint: str | None = None,
        root: str = "",
        roots: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(fact, place=place, hint=hint, roots=roots | {root} if root else roots)
        self.root = root


class EvaluationError(TemplateError):
    """A template or rule cannot be evaluated with the values at hand, or reaches out of its sandbox."""


class UnusableEnvironmentError(OrchestraError):
    """The environment does not provide what a step needs."""


class UnknownAliasError(UnusableEnvironmentError):
    """The environment has no service, database, cluster or broker of that alias."""


class SecretNotFoundError(UnusableEnvironmentError):
    """The reference of a secret leads nowhere."""


class VariableNotSetError(UnusableEnvironmentError):
    """A profile names an environment variable that is not set."""


class UnreachableError(UnusableEnvironmentError):
    """Nothing listens at the address, or its name does not resolve."""


class LoginRefusedError(UnusableEnvironmentError):
    """The peer refuses the credentials."""


class StoreError(OrchestraError):
    """The results store failed."""


class StoreUnavailableError(StoreError):
    """The results store cannot be started or reached."""


class SchemaVersionError(StoreError):
    """The store's schema is newer than this version of the plugin understands."""


class LeaseLostError(StoreError):
    """Another worker holds the run by now; this worker's writes are refused."""


class StepError(OrchestraError):
    """A step cannot be carried out as written."""


class StepInDoubtError(StepError):
    """A step was under way when its run was cut off; nobody knows whether it took effect, and it is not repeated."""


class SuiteTimeoutError(OrchestraError):
    """The time of the whole session was over before the run began."""
