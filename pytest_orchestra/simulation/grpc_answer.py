"""What a simulated gRPC service answers: as its rules say, else a message that is made after its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pytest_orchestra.data.operators import to_text
from pytest_orchestra.data.templates import compile_template
from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.generation.binding.schemas import Schemas
from pytest_orchestra.generation.scaffold.samples import sample_value
from pytest_orchestra.model.grpc_operation import STREAMS_IN
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.simulation import ReplyRule
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.simulation.answer import with_sent
from pytest_orchestra.simulation.distortion import DistortionKind, distort, kinds_of
from pytest_orchestra.simulation.grpc_codec import GrpcCodec

__all__ = ["OK", "GrpcAnswer", "distortions_of", "grpc_answer_to", "made_answer", "placed_messages", "spoilt_answer"]

OK: Final = "OK"


@dataclass(frozen=True, slots=True)
class GrpcAnswer:
    """An answer: its messages, each after a pause of ``delay_ms`` milliseconds, and the status that ends it."""

    messages: tuple[JsonValue, ...] = ()
    status: str = OK
    details: str = ""
    error_details: tuple[JsonObject, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    trailers: Mapping[str, JsonValue] = field(default_factory=dict)
    delay_ms: int = 0


def grpc_answer_to(
    operation: Operation, spec: ProtocolSpec, rule: ReplyRule | None, names: JsonObject, codec: GrpcCodec
) -> GrpcAnswer:
    """Give the answer to a request; ``names`` are what templates see.

    Raises ``TemplateError``, and ``DefinitionError`` where the rule asks for what gRPC does not have.
    """
    if rule is None:
        return made_answer(operation, spec, names, codec)
    if isinstance(rule.status, int):
        raise DefinitionError(f"'{rule.status}' is no status of gRPC", hint="name one: 'NOT_FOUND'")
    status = rule.status or OK
    answer = GrpcAnswer(
        _messages(rule, names),
        status,
        "" if rule.details is None else to_text(compile_template(rule.details).render(names)),
        tuple(_rendered(each, names) for each in rule.error_details),
        {name: compile_template(text).render(names) for name, text in rule.headers.items()},
        {name: compile_template(text).render(names) for name, text in rule.trailers.items()},
        rule.delay_ms,
    )
    if status == OK and not rule.model_fields_set & {"body", "messages"}:
        return replace(answer, messages=made_answer(operation, spec, names, codec).messages)
    if operation.method not in STREAMS_IN and len(answer.messages) != (status == OK):
        wanted = "one message" if status == OK else f"no message beside '{status}'"
        raise DefinitionError(
            f"'{operation.name}' answers {wanted}, not {len(answer.messages)}", hint="correct 'messages'"
        )
    return answer


def made_answer(operation: Operation, spec: ProtocolSpec, names: JsonObject, codec: GrpcCodec) -> GrpcAnswer:
    """Give an answer of success that nothing but the specification says, with what was sent under the same names."""
    schemas = Schemas(spec)
    uri = _schema_of(operation.responses[0].media_types[0].schema)
    members = schemas.whole({"$ref": uri}).get("properties", {})
    # no field is required in protobuf, but an answer that has them all shows more
    wanted: JsonObject = {"$ref": uri, **({"required": list(members)} if members else {})}

    def accepts(value: JsonValue) -> bool:
        return _fits(codec, operation, value)

    message = sample_value(wanted, schemas, accepts).value
    request = names.get("request")
    sent = request.get("body") if isinstance(request, Mapping) else None
    if isinstance(sent, Mapping):
        kind = schemas.at(operation.request_bodies[0].schema).get("properties", {})
        given: JsonObject = {
            name: value for name, value in sent.items() if value and not _is_unset(value, schemas.whole(kind.get(name)))
        }
        message = with_sent(message, {"body": given}, accepts)
    return GrpcAnswer((message,))


def spoilt_answer(
    answer: GrpcAnswer, operation: Operation, spec: ProtocolSpec, kind: DistortionKind, codec: GrpcCodec
) -> GrpcAnswer:
    """Give an answer as a faulty participant has it; refusals are accepted where that is its fault."""
    if kind is DistortionKind.ACCEPTED:
        return made_answer(operation, spec, {}, codec) if answer.status != OK else answer
    schema = {"$ref": _schema_of(operation.responses[0].media_types[0].schema)}

    def accepts(value: JsonValue) -> bool:
        return _fits(codec, operation, value)

    whole = _whole_messages(answer, operation, codec)
    return replace(answer, messages=tuple(distort(each, kind, accepts, schema, Schemas(spec)) for each in whole))


def distortions_of(answer: GrpcAnswer, operation: Operation, codec: GrpcCodec) -> frozenset[DistortionKind]:
    """Give in what ways an answer can be spoiled."""
    kinds = {kind for message in _whole_messages(answer, operation, codec) for kind in kinds_of(message)}
    return frozenset(kinds if answer.status == OK else kinds | {DistortionKind.ACCEPTED})


def _whole_messages(answer: GrpcAnswer, operation: Operation, codec: GrpcCodec) -> tuple[JsonValue, ...]:
    """Give the messages as a client reads them: what a rule leaves out comes as a default, as good as any value.

    Raises ``DefinitionError``.
    """
    return tuple(
        codec.read_answer(operation, codec.write_answer(operation, each, place))
        for place, each in placed_messages(answer)
    )


def placed_messages(answer: GrpcAnswer) -> Iterator[tuple[str, JsonValue]]:
    """Give the messages with where they stand in a rule."""
    for number, message in enumerate(answer.messages):
        yield "body" if len(answer.messages) == 1 else f"messages[{number}]", message


def _messages(rule: ReplyRule, names: JsonObject) -> tuple[JsonValue, ...]:
    if "messages" in rule.model_fields_set:
        rendered = compile_template(rule.messages).render(names)
        if not isinstance(rendered, (list, tuple)):
            raise DefinitionError(f"'messages' is '{to_text(rendered)}'", hint="let it be a list of messages")
        return tuple(rendered)
    return (compile_template(rule.body).render(names),) if "body" in rule.model_fields_set else ()


def _rendered(detail: JsonObject, names: JsonObject) -> JsonObject:
    rendered = compile_template(detail).render(names)
    assert isinstance(rendered, Mapping)  # as an object's template always is
    return rendered


def _fits(codec: GrpcCodec, operation: Operation, value: JsonValue) -> bool:
    try:
        codec.write_answer(operation, value, "body")
    except DefinitionError:
        return False
    return True


def _schema_of(ref: object) -> str:
    return str(getattr(ref, "uri", ""))


def _is_unset(value: JsonValue, schema: Mapping[str, JsonValue]) -> bool:
    """Tell whether an enum has the name that stands for none being given."""
    names = schema.get("enum")
    return isinstance(names, list) and value == names[0]
