"""What a simulated service answers: as its rules say, else an example, else a value that its schema allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pytest_orchestra.data.expressions import compile_expression
from pytest_orchestra.data.operators import to_text
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import DefinitionError, UndefinedVariableError
from pytest_orchestra.generation.binding.schemas import Schemas, json_media_type, success_response
from pytest_orchestra.generation.scaffold.samples import sample_body
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.simulation import MessageRule, ReplyRule
from pytest_orchestra.model.specification import Operation, ProtocolSpec, ResponseSpec
from pytest_orchestra.simulation.contract import Contract
from pytest_orchestra.simulation.memory import Recollection

__all__ = ["Answer", "accepted_answer", "answer_to", "holds", "problem_answer", "remember", "with_sent"]

_PROBLEM: Final = "application/problem+json"
_JSON: Final = "application/json"
_BODILESS: Final = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; ``has_body`` tells null from nothing. ``schema`` is the URI of what its body is held to."""

    status: int
    body: JsonValue = None
    has_body: bool = False
    media_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_ms: int = 0
    schema: str | None = None


def problem_answer(status: int, title: str, detail: str, faults: Sequence[str] = ()) -> Answer:
    """Give an answer that says what is wrong, as RFC 9457 has it; ``faults`` are its ``errors``."""
    body: dict[str, JsonValue] = {"title": title, "status": status, "detail": detail}
    if faults:
        body["errors"] = list(faults)
    return Answer(status, body, has_body=True, media_type=_PROBLEM)


def holds(rule: ReplyRule | MessageRule, names: Mapping[str, object]) -> bool:
    """Say whether a rule holds; not, if it names what is not there. Raises ``TemplateError``."""
    if rule.when is None:
        return True
    try:
        return bool(compile_expression(rule.when).evaluate(names))
    except UndefinedVariableError:
        return False


def remember(rule: ReplyRule | MessageRule, names: Mapping[str, object], known: Recollection) -> None:
    """Let a rule's values be remembered. Raises ``TemplateError``."""
    for name, value in rule.remember.items():
        known.state[name] = compile_template(value).render({**names, "state": known.state})


def answer_to(
    operation: Operation, spec: ProtocolSpec, rule: ReplyRule | None, names: Mapping[str, object], contract: Contract
) -> Answer:
    """Give the answer to a request that keeps the contract; ``names`` are what templates see.

    Raises ``TemplateError``, and ``DefinitionError`` where the rule's status is none of HTTP.
    """
    asked = rule.status if rule is not None else None
    if isinstance(asked, str):
        raise DefinitionError(f"'{asked}' is no status of HTTP", hint="write a number: '404'")
    status = _usual_status(operation) if asked is None else asked
    declared = _declared(operation, status)
    media_type = json_media_type(declared.media_types) if declared is not None else None
    written = media_type.media_type if media_type is not None else _JSON
    schema = media_type.schema.uri if media_type is not None and media_type.schema is not None else None
    headers: Mapping[str, str] = {}
    delay_ms = 0
    if rule is not None:
        headers = {name: to_text(compile_template(text).render(names)) for name, text in rule.headers.items()}
        delay_ms = rule.delay_ms
    if rule is not None and "body" in rule.model_fields_set:
        body = compile_template(rule.body).render(names)
        return Answer(status, body, True, written, headers, delay_ms, schema)
    if media_type is None or status in _BODILESS:
        return Answer(status, headers=headers, delay_ms=delay_ms)

    def accepts(value: JsonValue) -> bool:
        return schema is None or contract.accepts(spec, schema, value)

    body = sample_body(media_type, Schemas(spec), accepts).value
    if body not in media_type.examples:
        body = with_sent(body, names.get("request"), accepts)
    return Answer(status, body, True, written, headers, delay_ms, schema)


def accepted_answer(operation: Operation, spec: ProtocolSpec, contract: Contract) -> Answer:
    """Give the answer of success that nothing but the specification says."""
    return answer_to(operation, spec, None, {}, contract)


def _usual_status(operation: Operation) -> int:
    """Give the lowest ``2xx`` that is declared; 200 where only a range or ``default`` is."""
    found = success_response(operation)
    return int(found.status) if found is not None and found.status.isdecimal() else 200


def _declared(operation: Operation, status: int) -> ResponseSpec | None:
    by_key = {response.status.upper(): response for response in operation.responses}
    return by_key.get(str(status)) or by_key.get(f"{status // 100}XX") or by_key.get("DEFAULT")


def with_sent(body: JsonValue, request: object, accepts: object) -> JsonValue:
    """Give a made body with what was sent under the names of its members, one by one as far as its schema allows."""
    if not isinstance(body, Mapping) or not isinstance(request, Mapping) or not callable(accepts):
        return body
    sent = request.get("body")
    given: JsonObject = {
        **request.get("query", {}),
        **(sent if isinstance(sent, Mapping) else {}),
        **request.get("path", {}),
    }
    made = dict(body)
    for name in made.keys() & given.keys():
        tried = {**made, name: given[name]}
        if accepts(tried):
            made = tried
    return made
