"""The values of messages held against the schemas that a step names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote

from pytest_orchestra.data.redaction import shorten
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import DefinitionError, StepError
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.run import Violation, ViolationType
from pytest_orchestra.model.specification import ProtocolSpec
from pytest_orchestra.protocols.contract import resolve_schema_ref
from pytest_orchestra.protocols.message_fields import find_message_field_faults
from pytest_orchestra.protocols.schema_check import SchemaFault, SchemaValidators, resolve_pointer
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["MessageContract"]

_FAULTS_SHOWN: Final = 5
_DETAIL_LIMIT: Final = 2_000
_SCHEMA_FILES: Final = (".json", ".yaml", ".yml")


class _UnusableRefError(Exception):
    """A schema reference leads nowhere: ``fact`` says why, ``hint`` what to do."""

    def __init__(self, fact: str, hint: str) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class MessageContract:
    """Holds messages against schemas; each file is read once, and each schema compiled once.

    A reference is ``service#/components/schemas/Name``, into a specification, or ``path/to/schema.json``, a JSON Schema
    of its own (2020-12, JSON or YAML) relative to the file of the step; ``path/to/schema.json#/$defs/Name`` is a part.
    """

    def __init__(self) -> None:
        self._validators = SchemaValidators()
        self._files: dict[Path, ProtocolSpec] = {}

    def find_faults(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Iterator[tuple[str, str]]:
        """Say what is wrong with the step's references, each fault with its hint."""
        for ref in step.schema_refs:
            try:
                self._resolve(ref, step, specs)
            except _UnusableRefError as error:
                yield error.fact, error.hint

    def find_doubts(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Iterator[tuple[str, str]]:
        """Say which fields an assertion expects of a message that none of its schemas has, each with a hint."""
        try:
            schemas = [self._resolve(ref, step, specs) for ref in step.schema_refs]
        except _UnusableRefError:  # which is told as a fault
            return
        yield from find_message_field_faults(step, schemas)

    def judge(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> list[Violation]:
        """Hold the value of every message in a reply against every schema of the step.

        Every violation's ``pointer`` is a JSON Pointer into the response. Raises ``StepError`` for a reference that
        leads nowhere and ``DefinitionError`` where a schema is of no use.
        """
        messages = cast("Sequence[JsonObject]", reply.response.get("messages") or ())
        violations: list[Violation] = []
        for ref in call.step.schema_refs:
            spec, uri = self._resolve_or_raise(ref, call.step, specs)
            for index, message in enumerate(messages):
                faults, total = self._validators.find_faults(spec, uri, message["value"], _FAULTS_SHOWN)
                violations += [_violation(f"/messages/{index}/value{fault.pointer}", fault) for fault in faults]
                more = total - len(faults)
                if more > 0:
                    details: JsonObject = {"schema": uri, "more": more}
                    violations.append(
                        Violation(ViolationType.CONTRACT_VIOLATION, "schema-ref", f"and {more} more", details)
                    )
        return violations

    def refuse_broken(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> None:
        """Raise ``StepError`` if the message that a step publishes breaks a schema of its own."""
        for ref in call.step.schema_refs:
            spec, uri = self._resolve_or_raise(ref, call.step, specs)
            faults, _ = self._validators.find_faults(spec, uri, call.message.get("value"), 1)
            for fault in faults:
                raise StepError(
                    f"the message breaks '{ref}': /value{fault.pointer}: {fault.text}",
                    place=call.step.place,
                    hint="correct 'valueTemplate', or set 'breaksContract: true' if that is the purpose",
                )

    def _resolve_or_raise(
        self, ref: str, step: StepDefinition, specs: Mapping[str, ProtocolSpec]
    ) -> tuple[ProtocolSpec, str]:
        try:
            return self._resolve(ref, step, specs)
        except _UnusableRefError as error:
            raise StepError(error.fact, place=step.place, hint=error.hint) from None

    def _resolve(self, ref: str, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> tuple[ProtocolSpec, str]:
        """Give the specification of a reference, and the URI of the schema in it."""
        name, sign, pointer = ref.partition("#")
        if name.lower().endswith(_SCHEMA_FILES):
            spec = self._read(name, step)
            uri = next(iter(spec.documents))
            if pointer in ("", "/"):
                return spec, uri
            try:
                resolve_pointer(spec.documents[uri], unquote(pointer))
            except LookupError:
                raise _UnusableRefError(
                    f"'{name}' has no schema '{pointer}'", "correct the part of the reference after '#'"
                ) from None
            return spec, f"{uri}#{pointer}"
        if not sign or not name or not pointer.startswith("/"):
            raise _UnusableRefError(
                f"schema reference '{ref}' names no schema",
                "write it as 'service#/components/schemas/Name' or 'path/to/schema.json'",
            )
        known = specs.get(name)
        if known is None:
            raise _UnusableRefError(
                f"service '{name}' has no specification",
                suggest(name, specs, f"add '{name}' to 'specs' of the sidecar"),
            )
        found = resolve_schema_ref(known, pointer)
        if found is None:
            raise _UnusableRefError(
                f"service '{name}' has no schema '{pointer}'", "see what its specification has there"
            )
        return known, found

    def _read(self, name: str, step: StepDefinition) -> ProtocolSpec:
        """Read a schema of its own. It is taken for a specification of one document, which is what it is."""
        folder = Path(step.place.file).parent if step.place else Path()
        path = folder / name
        spec = self._files.get(path)
        if spec is None:
            from pytest_orchestra.readers.yaml_source import read_source  # noqa: PLC0415  only where one is named

            try:
                document = cast("JsonValue", read_source(path).value)
            except DefinitionError as error:
                raise _UnusableRefError(
                    f"schema reference '{name}': {error.fact}", error.hint or "name a file of JSON Schema"
                ) from None
            if not isinstance(document, (Mapping, bool)):
                raise _UnusableRefError(f"schema reference '{name}' is no JSON Schema", "name a file of JSON Schema")
            version = hashlib.sha256(path.read_bytes()).hexdigest()
            documents: dict[str, JsonValue] = {path.absolute().as_uri(): document}
            spec = self._files[path] = ProtocolSpec("json-schema", name, version, file=str(path), documents=documents)
        return spec


def _violation(pointer: str, fault: SchemaFault) -> Violation:
    details: dict[str, JsonValue] = {
        "pointer": pointer,
        "schema": fault.schema,
        "expected": shorten(fault.expected, _DETAIL_LIMIT),
        "observed": shorten(fault.observed, _DETAIL_LIMIT),
    }
    return Violation(ViolationType.CONTRACT_VIOLATION, "schema-ref", f"{pointer}: {fault.text}", details)
