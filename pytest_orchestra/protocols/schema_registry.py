"""Values that name their schema: Confluent's wire format, with Avro, Protobuf or JSON, by the schemas of a registry.

The format is a zero byte, the number of the schema in four bytes, and the value ("Wire format", Confluent's
documentation of the Schema Registry); values of any other beginning are read as they are without a registry. What is
published has the latest schema of its subject.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from pytest_orchestra.errors import (
    LoginRefusedError,
    OrchestraError,
    StepError,
    UnknownAliasError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.protocols.avro_value import ValueMisfitError
from pytest_orchestra.protocols.kafka_login import KafkaLogin, RegistryLogin
from pytest_orchestra.protocols.message_codec import decode_value, encode_value
from pytest_orchestra.protocols.suggestion import suggest
from pytest_orchestra.protocols.value_schema import AvroSchema, JsonSchema, ProtobufSchema, ValueSchema

__all__ = ["PLAIN_VALUE", "SchemaRegistry", "WrittenValue"]

PLAIN_VALUE: Final = "none"
"""What ``valueSchema`` says of a value that is JSON or text, whatever the registry has."""

_MAGIC: Final = 0
_HEAD: Final = 5
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class WrittenValue:
    """The bytes of a value, and for people by which schema they are written; empty for plain JSON and text."""

    raw: bytes | None
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class _Subject:
    """The latest version of a subject."""

    name: str
    version: int
    number: int
    schema: ValueSchema


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """A schema that nothing can be read or written by, and why."""

    error: OrchestraError

    def decode(self, body: bytes) -> JsonValue:  # noqa: ARG002  the protocol's
        raise self.error

    def encode(self, value: JsonValue, message: str | None) -> bytes:  # noqa: ARG002  the protocol's
        raise self.error


class SchemaRegistry:
    """Reads and writes values by the schemas of a registry; each schema is fetched once."""

    def __init__(self, cluster: KafkaLogin, login: RegistryLogin) -> None:
        self._cluster = cluster
        self._login = login
        self._schemas: dict[int, ValueSchema] = {}
        self._subjects: dict[str, _Subject] = {}
        self._learning = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    @property
    def _subject(self) -> str:
        return f"schema registry of cluster '{self._cluster.alias}' at '{self._login.url}'"

    @property
    def _correct(self) -> str:
        return f"correct 'schemaRegistry' of '{self._cluster.alias}' in environment '{self._cluster.environment}'"

    def silent(self) -> UnreachableError:
        """Give what is wrong with a registry that takes too long."""
        return UnreachableError(f"{self._subject}: no answer came in time", hint=f"start it, or {self._correct}")

    async def check(self) -> None:
        """Raise what is wrong with the registry: ``UnreachableError``, ``LoginRefusedError``."""
        await self._get("/schemas/types")

    async def decode(self, raw: bytes | None) -> JsonValue:
        """Give the value that bytes say.

        Raises ``UnreachableError`` and ``LoginRefusedError`` where the registry cannot be asked,
        ``UnusableEnvironmentError`` where it has no such schema, ``StepError`` where the value does not fit it.
        """
        if raw is None or len(raw) < _HEAD or raw[0] != _MAGIC:
            return decode_value(raw)
        number = int.from_bytes(raw[1:_HEAD], "big")
        schema = self._schemas.get(number) or await self._learn(number)
        try:
            return schema.decode(raw[_HEAD:])
        except OrchestraError:
            raise
        except Exception as error:  # noqa: BLE001  the libraries raise whatever comes up while they read
            raise StepError(
                f"a value does not fit schema {number} of the {self._subject}: {error}",
                hint="see what the producer writes",
            ) from None

    async def write(self, value: JsonValue, topic: str, wanted: str | None, *, may_break: bool = False) -> WrittenValue:
        """Give a value to publish, by the latest schema of its subject.

        ``wanted`` is what the step says, ``subject`` or ``subject#message``; without it the subject is that of the
        topic ("TopicNameStrategy"), and a value whose topic has none is plain JSON or text. One that may break its
        schema and does is plain, too. Raises ``UnknownAliasError`` where a subject that is named is not there,
        ``StepError`` where the value does not fit, and what :meth:`decode` raises.
        """
        if value is None or wanted == PLAIN_VALUE:
            return WrittenValue(encode_value(value), {})
        name, _, message = (wanted or "").partition("#")
        subject = await self._latest(name or f"{topic}-value")
        if subject is None:
            if not wanted:
                return WrittenValue(encode_value(value), {})
            known = await self._get("/subjects")
            raise UnknownAliasError(
                f"{self._subject} has no subject '{name or f'{topic}-value'}'",
                hint=suggest(name, known, "correct 'valueSchema', or register its schema"),
            )
        told: JsonObject = {"subject": subject.name, "version": subject.version, "id": subject.number}
        try:
            body = subject.schema.encode(value, message or None)
        except ValueMisfitError as error:
            if may_break:
                return WrittenValue(encode_value(value), {})
            raise StepError(
                f"the message does not fit version {subject.version} of subject '{subject.name}' "
                f"of the {self._subject}: {error}",
                hint="correct 'valueTemplate', or set 'breaksContract: true' if that is the purpose",
            ) from None
        return WrittenValue(bytes([_MAGIC]) + subject.number.to_bytes(4, "big") + body, told)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _latest(self, name: str) -> _Subject | None:
        """Give the latest version that a subject had when it was first asked for; None where there is none yet."""
        known = self._subjects.get(name)
        if known is None:
            found = await self._get(f"/subjects/{quote(name, safe='')}/versions/latest", or_none=True)
            if found is None:
                return None
            number = int(found["id"])
            schema = self._schemas.get(number) or await self._learn(number)
            known = self._subjects[name] = _Subject(name, int(found["version"]), number, schema)
        return known

    async def _learn(self, number: int) -> ValueSchema:
        """Give what reads the values of a schema; what the registry says once of a schema holds for good."""
        async with self._learning:
            known = self._schemas.get(number)
            if known is None:
                try:
                    known = await self._fetch(number)
                except (UnreachableError, LoginRefusedError):
                    raise
                except OrchestraError as error:
                    known = _Unreadable(error)
                self._schemas[number] = known
            return known

    async def _fetch(self, number: int) -> ValueSchema:
        found = await self._get(f"/schemas/ids/{number}")
        kind = str(found.get("schemaType", "AVRO"))
        if kind not in ("AVRO", "PROTOBUF", "JSON"):
            raise StepError(
                f"{self._subject} has schema {number} of type '{kind}', which is not read",
                hint="use 'AVRO', 'PROTOBUF' or 'JSON'",
            )
        text, others = str(found["schema"]), await self._referenced(found)
        try:
            if kind == "AVRO":
                return AvroSchema.of(text, others)
            if kind == "JSON":
                return JsonSchema.of(text, others, f"{self._subject} (schema {number})")
            return await asyncio.to_thread(ProtobufSchema.of, text, others, self._subject)
        except OrchestraError:
            raise
        except Exception as error:  # noqa: BLE001  the libraries raise whatever comes up while they read
            raise StepError(f"schema {number} of the {self._subject} cannot be read: {error}", hint="see it") from None

    async def _referenced(self, found: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Give the names and texts of the schemas that one builds upon, those first that nothing else needs."""
        texts: dict[str, str] = {}
        for reference in found.get("references") or ():
            path = f"/subjects/{reference['subject']}/versions/{reference['version']}"
            other = await self._get(path)
            texts.update(await self._referenced(other))
            texts[str(reference["name"])] = str(other["schema"])
        return list(texts.items())

    async def _get(self, path: str, *, or_none: bool = False) -> Any:
        if self._client is None:
            login = self._login
            auth = (login.user.reveal(), login.password.reveal()) if login.user and login.password else None
            self._client = httpx.AsyncClient(auth=auth, timeout=_TIMEOUT_S)
        correct = self._correct
        try:
            answer = await self._client.get(self._login.url + path)
            if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                user = self._login.user.reveal() if self._login.user else ""
                raise LoginRefusedError(
                    f"{self._subject}: login of '{user}' refused",
                    hint=f"check 'usernameRef' and 'passwordRef' of the 'schemaRegistry' of '{self._cluster.alias}'",
                )
            if answer.is_success:
                return answer.json()
            if or_none and answer.status_code == httpx.codes.NOT_FOUND:
                return None
            if answer.is_server_error:
                raise UnreachableError(f"{self._subject} answers with {answer.status_code}", hint="see its log")
        except httpx.HTTPError as error:
            if isinstance(error, httpx.TimeoutException):
                raise self.silent() from None
            raise UnreachableError(f"{self._subject}: it cannot be reached", hint=f"start it, or {correct}") from None
        except ValueError:
            raise UnusableEnvironmentError(
                f"{self._subject}: what answers is no schema registry", hint=correct
            ) from None
        raise UnusableEnvironmentError(f"{self._subject} answers '{path}' with {answer.status_code}", hint=correct)
