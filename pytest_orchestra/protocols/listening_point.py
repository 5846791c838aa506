"""Where an assertion listens at a queue broker: an exchange, and the pattern of routing keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.model.definition import StepKind

__all__ = ["ListeningPoint", "has_wildcard", "is_listened_for"]

_EVERYTHING: Final = "#"
_USUAL_HEADER: Final = "X-Correlation-ID"
_WILDCARD: Final = re.compile(r"(^|\.)[*#](\.|$)")


@dataclass(frozen=True, slots=True)
class ListeningPoint:
    """An exchange, the pattern of routing keys that is listened to, and the header that tells whose a message is."""

    exchange: str
    pattern: str
    correlation_header: str

    @classmethod
    def of(cls, call: StepCall) -> ListeningPoint:
        """Take it from a call that has an ``exchange``; without ``routingKey`` it is everything."""
        pattern = call.address.get("routingKey")
        return cls(
            str(call.address["exchange"]), _EVERYTHING if pattern is None else str(pattern), call.correlation_header
        )

    def __str__(self) -> str:
        address = f"{self.exchange}/{self.pattern}"
        return address if self.correlation_header == _USUAL_HEADER else f"{address} ({self.correlation_header})"


def has_wildcard(pattern: str) -> bool:
    """Say whether a pattern of an exchange of type ``topic`` has a word that stands for others."""
    return _WILDCARD.search(pattern) is not None


def is_listened_for(call: StepCall) -> bool:
    """Say whether a step is an assertion about what is published at an exchange."""
    return call.step.kind is StepKind.ASSERTION and call.step.exchange is not None
