"""How a simulated service holds requests and its own answers against its specification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.specification import ProtocolSpec

__all__ = ["Contract"]


class Contract(Protocol):
    """Holds values against the schemas of a specification; whoever opens the session brings it."""

    def request_faults(self, spec: ProtocolSpec, uri: str, value: JsonValue, *, is_text: bool) -> Sequence[str]:
        """Say what is wrong with a part of a request, each fault with its JSON Pointer; ``is_text`` as it came."""

    def accepts(self, spec: ProtocolSpec, uri: str, value: JsonValue) -> bool:
        """Say whether a body of an answer is what the schema allows."""
