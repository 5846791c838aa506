"""What authors of protocols import: the port that a protocol implements, its values, its errors, and a base class.

Everything here is stable; what a protocol needs and does not find here is a gap to be told of.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pytest_orchestra.data.redaction import mask_headers, mask_url, shorten
from pytest_orchestra.engine.ports import (
    CallTimeoutError,
    ListeningProtocol,
    ProtocolPlugin,
    ProtocolViolation,
    RepeatingProtocol,
    Reply,
    StepCall,
)
from pytest_orchestra.errors import (
    LoginRefusedError,
    OrchestraError,
    SecretNotFoundError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.definition import ActionMode, ChannelType, StepDefinition, StepKind
from pytest_orchestra.model.environment import ConnectionProfile, Environment
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Exchange, Violation, ViolationType
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.suggestion import suggest
from pytest_orchestra.protocols.worker_thread import run_in_thread

__all__ = [
    "ActionMode",
    "CallTimeoutError",
    "ChannelType",
    "Connection",
    "ConnectionProfile",
    "Environment",
    "Exchange",
    "JsonObject",
    "JsonValue",
    "ListeningProtocol",
    "LoginRefusedError",
    "Operation",
    "OrchestraError",
    "Place",
    "Problem",
    "ProtocolPlugin",
    "ProtocolSpec",
    "ProtocolViolation",
    "RepeatingProtocol",
    "Reply",
    "Secret",
    "SecretNotFoundError",
    "Severity",
    "StepCall",
    "StepDefinition",
    "StepError",
    "StepKind",
    "StepProtocol",
    "UnknownAliasError",
    "UnreachableError",
    "UnusableEnvironmentError",
    "Violation",
    "ViolationType",
    "find_connection",
    "mask_headers",
    "mask_url",
    "run_in_thread",
    "shorten",
    "step_problem",
    "suggest",
    "time_limit",
]

_CHANNEL = re.compile(r"[A-Z][A-Z0-9_]*")


class StepProtocol(ABC):
    """A protocol that lacks only ``execute``: no specifications, nothing to check, no contract, nothing to close.

    A subclass says its ``channel_type``, in capitals; its ``protocol_id`` is that in small letters, unless it says
    another.
    """

    protocol_id: ClassVar[str] = ""
    channel_type: ClassVar[str] = ""
    unfulfilled: ClassVar[ViolationType] = ViolationType.TIMEOUT
    default_until: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        """Raise ``TypeError`` where the channel is not one that a step can name."""
        super().__init_subclass__()
        if not _CHANNEL.fullmatch(cls.channel_type):
            raise TypeError(
                f"'{cls.__name__}' has channel_type '{cls.channel_type}': write it in capitals, as in 'FILE_DROP'"
            )
        if "channel_type" in vars(cls) and "protocol_id" not in vars(cls):
            cls.protocol_id = cls.channel_type.lower()

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:  # noqa: ARG002  the port's signature
        """Give None: there are no specifications."""
        return None

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:
        """Find an operation by its name."""
        return spec.operation.get(endpoint_name)

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:  # noqa: ARG002
        """Find nothing wrong."""
        return ()

    @abstractmethod
    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Make one call, as :meth:`ProtocolPlugin.execute` says."""

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:  # noqa: ARG002
        """Find no violation."""
        return ()

    async def close(self) -> None:  # noqa: B027  there need not be anything to close
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One of the environment's ``connections``, with its secrets by the names of its ``secretRefs``."""

    alias: str
    url: str
    options: JsonObject = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)


def find_connection(call: StepCall, alias: JsonValue) -> Connection:
    """Give the environment's connection of that alias, which the step says.

    Raises ``StepError`` where ``alias`` is no text, ``UnknownAliasError`` where the environment has no such connection,
    ``SecretNotFoundError`` where one of its secrets was not read.
    """
    environment = call.environment
    if not isinstance(alias, str) or not alias:
        known = ", ".join(f"'{name}'" for name in environment.connections) or "none"
        raise StepError(
            "the step names no connection",
            place=call.step.place,
            hint=f"name one of environment '{environment.name}': {known}",
        )
    profile = environment.connections.get(alias)
    if profile is None:
        raise UnknownAliasError(
            f"environment '{environment.name}' has no connection '{alias}'",
            hint=suggest(alias, environment.connections, f"add '{alias}' to its 'connections'"),
        )
    secrets: dict[str, Secret] = {}
    for name, reference in profile.secret_refs.items():
        secret = call.secrets.get(reference)
        if secret is None:
            raise SecretNotFoundError(
                f"connection '{alias}' needs secret '{reference}', which was not read",
                hint=f"set what '{reference}' refers to",
            )
        secrets[name] = secret
    return Connection(alias, profile.url, profile.options, secrets)


def step_problem(
    step: StepDefinition, message: str, hint: str | None = None, *, severity: Severity = Severity.ERROR
) -> Problem:
    """Give a problem at the step's place in the sidecar, for ``check``."""
    return Problem(severity, step.place or Place(step.alias or step.name or "step"), message, hint)


@asynccontextmanager
async def time_limit(call: StepCall, exchange: Exchange | None = None) -> AsyncIterator[None]:
    """End what is inside when the call's time is over, and raise ``CallTimeoutError`` with what was sent."""
    limit = asyncio.timeout(call.timeout_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise CallTimeoutError(exchange) from None
