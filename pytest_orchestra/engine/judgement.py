"""Judging a reply: what was expected, what came, and why they differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_orchestra.data.expressions import Expression, Part
from pytest_orchestra.engine.context import REPLY_NAMES
from pytest_orchestra.engine.ports import Reply
from pytest_orchestra.errors import EvaluationError, UndefinedVariableError
from pytest_orchestra.model.definition import ChannelType, Rule, StepDefinition
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Violation, ViolationType

__all__ = ["Finding", "check_rule", "judge_reply", "judge_rules", "judge_status", "observed_value", "status_matches"]

REPLY_ROOTS = frozenset({"response", *REPLY_NAMES})
"""Names whose content the system under test decides: what is missing there is its fault, not ours."""

DEFAULT_HUNDRED = 2
DEFAULT_STATUS = f"{DEFAULT_HUNDRED}XX"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether an expression holds, with the values of its parts where it does not."""

    holds: bool
    parts: tuple[Part, ...] = ()


def check_rule(expression: Expression, names: Mapping[str, object]) -> Finding:
    """Evaluate a rule. What is missing or unfit in the reply makes it false; anything else is an error of ours.

    Raises ``UndefinedVariableError``, ``EvaluationError``.
    """
    try:
        holds = bool(expression.evaluate(names))
    except UndefinedVariableError as missing:
        if missing.root not in REPLY_ROOTS:
            raise
        holds = False
    except EvaluationError as unfit:
        if not unfit.roots & REPLY_ROOTS:
            raise
        holds = False
    return Finding(True) if holds else Finding(False, expression.explain(names))


def judge_rules(
    rules: Sequence[tuple[Rule, Expression]], names: Mapping[str, object], step: StepDefinition
) -> tuple[Violation, ...]:
    """Hold a reply against business rules, each with its compiled form; one that does not hold is one violation."""
    broken = []
    for rule, expression in rules:
        finding = check_rule(expression, names)
        if finding.holds:
            continue
        meaning = f"{rule.name}: " if rule.name else ""
        broken.append(
            Violation(
                _rule_violation_type(step),
                "rule",
                f"{meaning}'{rule.rule}' does not hold",
                {"rule": rule.rule, "parts": parts_json(finding.parts)},
            )
        )
    return tuple(broken)


def _rule_violation_type(step: StepDefinition) -> ViolationType:
    if step.channel_type is ChannelType.DB:
        return ViolationType.DB_ASSERTION_FAILED
    return ViolationType.BUSINESS_RULE_VIOLATION


def parts_json(parts: Sequence[Part]) -> list[JsonObject]:
    """Give the parts of a rule as the details of a violation hold them."""
    return [{"expression": part.expression, "value": part.value} for part in parts]


def observed_value(parts: Sequence[Part]) -> JsonValue:
    """Give what a person wants to see of a poll: the one value that the condition reads, or all by expression."""
    if len(parts) == 1:
        return parts[0].value
    return {part.expression: part.value for part in parts}


def status_matches(status: int, expected: int | str | list[int | str] | None) -> bool:
    """Tell whether a status code is expected; ``2XX`` stands for a hundred of them, None for ``2XX``."""
    if expected is None:
        return status // 100 == DEFAULT_HUNDRED
    wanted = expected if isinstance(expected, list) else [expected]
    hundred = f"{status // 100}XX"
    return any(str(code) in (str(status), hundred) for code in wanted)


def judge_reply(reply: Reply, step: StepDefinition) -> tuple[Violation, ...]:
    """Hold the status of a reply, a code of HTTP or a name of gRPC, against what the step expects."""
    if reply.status_name is None:
        return judge_status(reply.status_code, step)
    expected = step.expected_status_code if step.expected_status_code is not None else "OK"
    wanted = [str(name) for name in (expected if isinstance(expected, list) else [expected])]
    if reply.status_name in wanted:
        return ()
    said = reply.response.get("details")
    return (
        Violation(
            ViolationType.GRPC_ERROR,
            "status",
            f"status {reply.status_name} came where {' or '.join(wanted)} is expected{f': {said}' if said else ''}",
            {"expected": list(wanted), "observed": reply.status_name},
        ),
    )


def judge_status(status: int | None, step: StepDefinition) -> tuple[Violation, ...]:
    """Hold a status code against what the step expects."""
    if status is None or status_matches(status, step.expected_status_code):
        return ()
    expected = step.expected_status_code if step.expected_status_code is not None else DEFAULT_STATUS
    wanted = " or ".join(str(code) for code in expected) if isinstance(expected, list) else expected
    return (
        Violation(
            ViolationType.HTTP_ERROR,
            "status",
            f"status {status} came where {wanted} is expected",
            {"expected": wanted, "observed": status},
        ),
    )
