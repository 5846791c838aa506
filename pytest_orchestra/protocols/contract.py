"""A reply held against its operation's contract and against the schemas that a step names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from pytest_orchestra.data.redaction import shorten
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Violation, ViolationType
from pytest_orchestra.model.specification import (
    HeaderSpec,
    MediaType,
    Operation,
    ProtocolSpec,
    ResponseSpec,
)
from pytest_orchestra.protocols.media_type import essence_of, media_type_matches
from pytest_orchestra.protocols.schema_check import SchemaValidators, resolve_pointer, shown

__all__ = ["ContractJudge", "find_response", "resolve_schema_ref"]

_FAULTS_SHOWN = 5
_DETAIL_LIMIT = 2_000
_BODILESS_STATUSES = frozenset({204, 205, 304})


class ContractJudge:
    """Judges replies; keeps the compiled schemas of all specifications that it was asked about."""

    def __init__(self, validators: SchemaValidators | None = None) -> None:
        self._validators = validators or SchemaValidators()

    def judge(
        self, operation: Operation, spec: ProtocolSpec, response: JsonObject, defect: str | None = None
    ) -> list[Violation]:
        """Hold a response (``status``, ``headers``, ``body``) against what the operation declares.

        ``defect`` says why the body is not the JSON that it claims to be. Every violation's ``pointer`` is a JSON
        Pointer into the response. Raises ``DefinitionError`` where a schema of the specification is of no use.
        """
        status = response["status"]
        assert isinstance(status, int)
        declared = find_response(operation, status)
        if declared is None:
            return [_undeclared(operation, status)]
        headers = response["headers"]
        assert isinstance(headers, Mapping)
        violations = list(self._judge_headers(declared, spec, headers))
        if operation.method.upper() != "HEAD" and status not in _BODILESS_STATUSES:
            violations += self._judge_body(declared, spec, response, defect)
        return violations

    def judge_schema(self, uri: str, spec: ProtocolSpec, response: JsonObject) -> list[Violation]:
        """Hold a response's body against a schema that the step names.

        Raises ``DefinitionError`` where the schema is of no use.
        """
        return self._judge_value(spec, uri, response["body"], ViolationType.VALIDATION_ERROR, "schema-ref")

    def _judge_headers(self, declared: ResponseSpec, spec: ProtocolSpec, headers: JsonObject) -> Iterator[Violation]:
        for header in declared.headers:
            name = header.name.lower()
            if name == "content-type":  # "shall be ignored", OpenAPI 3.1.1, section 4.8.17.1
                continue
            text = headers.get(name)
            if text is None:
                if header.required:
                    fact = f"required header '{header.name}' is missing"
                    yield _violation("header", f"/headers/{name}", fact, "", {"required": True})
                continue
            yield from self._judge_header(header, spec, str(text))

    def _judge_header(self, header: HeaderSpec, spec: ProtocolSpec, text: str) -> Iterator[Violation]:
        if header.schema is None:
            return
        fault = self._validators.find_text_fault(spec, header.schema.uri, text)
        if fault is not None:
            place = f"/headers/{header.name.lower()}"
            yield _violation("header", place, fault.text, fault.schema, fault.expected, text)

    def _judge_body(
        self, declared: ResponseSpec, spec: ProtocolSpec, response: JsonObject, defect: str | None
    ) -> list[Violation]:
        if not declared.media_types:
            return []
        body = response["body"]
        headers = response["headers"]
        assert isinstance(headers, Mapping)
        content_type = headers.get("content-type")
        media_type = _find_media_type(declared.media_types, content_type)
        if media_type is None:
            return [_wrong_media_type(declared, content_type, has_body=body is not None)]
        if defect is not None:
            fact = f"the body is not the '{essence_of(str(content_type))}' that it claims to be: {defect}"
            return [_violation("media-type", "/body", fact, "", media_type.media_type, body)]
        if media_type.schema is None:
            return []
        return self._judge_value(spec, media_type.schema.uri, body, ViolationType.CONTRACT_VIOLATION, "schema")

    def _judge_value(
        self, spec: ProtocolSpec, uri: str, body: JsonValue, kind: ViolationType, code: str
    ) -> list[Violation]:
        faults, total = self._validators.find_faults(spec, uri, body, _FAULTS_SHOWN)
        violations = [
            _violation(code, f"/body{fault.pointer}", fault.text, fault.schema, fault.expected, fault.observed, kind)
            for fault in faults
        ]
        more = total - len(violations)
        if more > 0:
            violations.append(Violation(kind, code, f"and {more} more", {"schema": uri, "more": more}))
        return violations


def find_response(operation: Operation, status: int) -> ResponseSpec | None:
    """Give what an operation declares for a status: by the very code, else by its range, else ``default``."""
    known = operation.response
    return known.get(str(status)) or known.get(f"{status // 100}XX") or known.get("DEFAULT")


def resolve_schema_ref(spec: ProtocolSpec, pointer: str) -> str | None:
    """Give the URI of the schema at a JSON Pointer of a specification; None where nothing stands there."""
    for document_uri, document in spec.documents.items():
        try:
            resolve_pointer(document, unquote(pointer))
        except LookupError:
            continue
        return f"{document_uri}#{pointer}"
    return None


def _find_media_type(declared: Sequence[MediaType], content_type: JsonValue) -> MediaType | None:
    """Give the most specific declared media type that the content's falls under."""
    if not isinstance(content_type, str):
        return None
    fitting = [m for m in declared if media_type_matches(content_type, m.media_type)]
    return min(fitting, key=lambda m: essence_of(m.media_type).count("*"), default=None)


def _undeclared(operation: Operation, status: int) -> Violation:
    declared = [response.status for response in operation.responses]
    fact = f"status {status} is not declared for operation '{operation.name}', which has {_listed(declared)}"
    return _violation("status-undeclared", "/status", fact, "", declared, status)


def _wrong_media_type(declared: ResponseSpec, content_type: JsonValue, *, has_body: bool) -> Violation:
    names = [media_type.media_type for media_type in declared.media_types]
    if not has_body:
        fact = f"expected a body of {_listed(names)}, observed none"
        return _violation("media-type", "/body", fact, "", names, None)
    observed = "none" if content_type is None else shown(essence_of(str(content_type)))
    fact = f"expected media type {_listed(names)}, observed {observed}"
    return _violation("media-type", "/headers/content-type", fact, "", names, content_type)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names) or "none"


def _violation(
    code: str,
    pointer: str,
    fact: str,
    schema: str,
    expected: JsonValue,
    observed: JsonValue = None,
    kind: ViolationType = ViolationType.CONTRACT_VIOLATION,
) -> Violation:
    details: dict[str, JsonValue] = {
        "pointer": pointer,
        "schema": schema,
        "expected": shorten(expected, _DETAIL_LIMIT),
        "observed": shorten(observed, _DETAIL_LIMIT),
    }
    return Violation(kind, code, f"{pointer}: {fact}", details)
