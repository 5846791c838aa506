"""The HTTP call that a process model names for an element, before any specification is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pytest_orchestra.model.json import JsonValue

__all__ = ["METHODS", "BindingRule", "ModelCall"]

METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"})
"""The methods of HTTP that a model may name."""


class BindingRule(StrEnum):
    """How an element found its operation, in words for people; in the order in which they are tried."""

    OPERATION_REF = "operationRef"
    CAMUNDA_CONNECTOR = "camunda:connector"
    ZEEBE_CONNECTOR = "zeebe http-json"
    FLOWABLE_HTTP = "flowable http task"
    KOGITO_REST = "Rest work item"
    TM_FORUM_ROUTE = "signal route"
    LITERAL_URL = "URL in the model"
    OPERATION_ID = "operationId"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What a model says of a call, its expressions translated to templates.

    ``url`` may begin with a template where the host is a variable; ``{name}`` in it are parameters whose values are in
    ``path``. ``shown`` is the URL as the model has it. ``operation`` is the name of an operation where the model names
    that and no URL; ``service`` narrows where it is looked for. ``untranslated`` are the parts that are not carried
    over, ``method url`` and the like with the expression. ``suffix_of`` has words that the path in front of ``url``
    must end with, where the model leaves that path to be known.
    """

    rule: BindingRule
    method: str | None = None
    url: str | None = None
    shown: str = ""
    operation: str | None = None
    service: str | None = None
    suffix_of: str | None = None
    path: Mapping[str, JsonValue] = field(default_factory=dict)
    query: Mapping[str, JsonValue] = field(default_factory=dict)
    headers: Mapping[str, JsonValue] = field(default_factory=dict)
    body: JsonValue = None
    statuses: tuple[int, ...] = ()
    untranslated: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The call as messages show it: ``POST https://...``."""
        where = self.shown or self.url or self.operation or ""
        return f"{self.method} {where}" if self.method else where
