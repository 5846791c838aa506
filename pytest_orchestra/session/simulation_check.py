"""What is wrong with the simulations of a sidecar, found before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import TemplateError
from pytest_orchestra.model.definition import Bindings
from pytest_orchestra.model.grpc_operation import find_grpc_operation
from pytest_orchestra.model.simulation import MessageRule, ReplyRule
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.session.reply_rule_check import AnswerCheck

__all__ = ["check_simulations"]


def check_simulations(bindings: Bindings | None, specs: Mapping[str, ProtocolSpec]) -> Iterator[Problem]:
    """Say what is wrong with the simulations of a sidecar: unknown operations, expressions that cannot be read."""
    for name, simulation in (bindings.simulations if bindings is not None else {}).items():
        assert bindings is not None
        place = bindings.place_of("simulations", name) or Place("")
        spec = specs.get(name)
        answers = AnswerCheck(spec) if spec is not None else None
        for operation, rules in simulation.operations.items():
            found = _find(spec, operation)
            if spec is None or found is None:
                known = sorted({each.name for each in spec.operations}) if spec is not None else []
                nearest = difflib.get_close_matches(operation, known, 1)
                fact = f"simulation of '{name}': it has no operation '{operation}'"
                hint = f"add '{name}' to 'specs'" if spec is None else f"operations: {', '.join(known)}"
                hint = f"did you mean '{nearest[0]}'?" if nearest else hint
                yield Problem(Severity.ERROR, place, fact, hint)
            for rule in rules:
                yield from _rule_problems(name, rule, "request", place)
                for fact, hint in answers.find_faults(found, rule) if answers is not None and found is not None else ():
                    yield Problem(Severity.ERROR, place, f"simulation of '{name}': {fact}", hint)
        for message_rule in simulation.on_message:
            yield from _rule_problems(name, message_rule, "message", place)


def _find(spec: ProtocolSpec | None, name: str) -> Operation | None:
    if spec is None:
        return None
    return find_grpc_operation(spec, name) if spec.protocol_id == "grpc" else spec.operation.get(name)


def _rule_problems(name: str, rule: ReplyRule | MessageRule, seen: str, place: Place) -> Iterator[Problem]:
    roots = {seen, "state", "correlationId", "count", "services"}
    written = rule.model_dump(mode="json", exclude={"when", "correlation_id_expr"}, exclude_none=True)
    try:
        read = compile_template(written, place).names
        if rule.when is not None:
            read |= compile_expression(rule.when, place).names
    except TemplateError as error:
        yield Problem(Severity.ERROR, place, f"simulation of '{name}': {error.fact}", error.hint)
        return
    for strange in sorted({path.split(".")[0] for path in read} - roots):
        fact = f"simulation of '{name}': a rule reads '{strange}', which there is not"
        yield Problem(Severity.ERROR, place, fact, f"rules read {', '.join(sorted(roots))}")
