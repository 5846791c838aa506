"""The closed sets of words of what a user writes beside a process."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = [
    "GRPC_STATUSES",
    "ActionMode",
    "BarrierReaction",
    "CallMode",
    "ChannelType",
    "Criterion",
    "OnResume",
    "RetryCause",
    "RunMode",
    "ScenarioStatus",
    "StepKind",
    "ValueMatcherMode",
]


class StepKind(StrEnum):
    """What a step is for."""

    ACTION = "ACTION"
    ASSERTION = "ASSERTION"
    BARRIER = "BARRIER"


class ChannelType(StrEnum):
    """What a step speaks to the system under test."""

    HTTP_REST = "HTTP_REST"
    KAFKA = "KAFKA"
    GRPC = "GRPC"
    DB = "DB"
    QUEUE = "QUEUE"
    WEBHOOK = "WEBHOOK"


class ActionMode(StrEnum):
    """Whether the scenario waits for an action's reply."""

    SYNC = "SYNC"
    FIRE_AND_FORGET = "FIRE_AND_FORGET"


class BarrierReaction(StrEnum):
    """What a barrier does when a step that it tracks failed."""

    ABORT_SUITE = "abortSuite"
    FAIL_SCENARIO = "failScenario"
    CONTINUE = "continue"


class OnResume(StrEnum):
    """What a resumed run does about an action of which nobody knows whether it took effect."""

    RETRY = "retry"
    FAIL = "fail"


class RetryCause(StrEnum):
    """A type of violation that lets a step be tried again."""

    HTTP_ERROR = "HTTP_ERROR"
    CONTRACT_VIOLATION = "CONTRACT_VIOLATION"
    BUSINESS_RULE_VIOLATION = "BUSINESS_RULE_VIOLATION"
    TIMEOUT = "TIMEOUT"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    DB_ASSERTION_FAILED = "DB_ASSERTION_FAILED"
    GRPC_ERROR = "GRPC_ERROR"
    KAFKA_MESSAGE_NOT_FOUND = "KAFKA_MESSAGE_NOT_FOUND"
    QUEUE_MESSAGE_NOT_FOUND = "QUEUE_MESSAGE_NOT_FOUND"
    WEBHOOK_NOT_RECEIVED = "WEBHOOK_NOT_RECEIVED"


class CallMode(StrEnum):
    """What a call activity stands for: the nodes of the called process, or one step."""

    INLINE = "inline"
    OPAQUE = "opaque"


class Criterion(StrEnum):
    """A coverage criterion: every node; every sequence flow; every branch of every decision; every pair of branches of
    independent decisions and of inclusive gateways; every loop not repeated, once, and more often; every two concurrent
    steps that share something, in both orders.
    """

    NODE = "node"
    EDGE = "edge"
    DECISION = "decision"
    PAIRWISE = "pairwise"
    LOOP = "loop"
    RACE = "race"


class ScenarioStatus(StrEnum):
    """The state of a scenario's definition."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DEPRECATED = "DEPRECATED"


class RunMode(StrEnum):
    """How much of a scenario runs."""

    RUN_ALL_STEPS = "RUN_ALL_STEPS"
    STOP_ON_FIRST_FAILURE = "STOP_ON_FIRST_FAILURE"
    SINGLE_STEP = "SINGLE_STEP"
    FROM_STEP = "FROM_STEP"


class ValueMatcherMode(StrEnum):
    """How the value of a message is compared with what a step expects: all fields that are named are equal; nothing
    else is there either; or texts are regular expressions that match somewhere.
    """

    SUBSET = "SUBSET"
    EXACT = "EXACT"
    REGEX = "REGEX"


GRPC_STATUSES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The statuses of gRPC by their codes, from 0 (gRPC, "Status codes and their use in gRPC")."""
