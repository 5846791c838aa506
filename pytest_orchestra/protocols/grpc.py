"""gRPC: steps that call the methods of services, described by ``.proto`` files or by the servers themselves."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, cast

from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import DefinitionError, StepError
from pytest_orchestra.model.definition import ChannelType, EndpointRef, StepDefinition
from pytest_orchestra.model.grpc_operation import find_grpc_operation, named_alike
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Violation, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.model.vocabulary import GRPC_STATUSES
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.suggestion import suggest

if TYPE_CHECKING:
    from pytest_orchestra.protocols.grpc_caller import GrpcCaller
    from pytest_orchestra.protocols.grpc_message import MessageTypes

__all__ = ["GrpcProtocol"]

_INSTALL: Final = "pip install 'pytest-orchestra[grpc]'"
_MODULES: Final = ("grpc", "google.protobuf", "grpc_tools", "grpc_reflection")
_INPUT_KEYS: Final = ("message", "messages", "metadata", "most")
_AS_IN_HTTP: Final = {"body": "message", "headers": "metadata"}
_SAFE_LEVELS: Final = ("NO_SIDE_EFFECTS", "IDEMPOTENT")

_Fault = tuple[Severity, str, str]


class GrpcProtocol:
    """Calls methods of gRPC services: unary ones and streams.

    Messages are JSON, with fields as the ``.proto`` file calls them. A service without a specification is asked for
    one, by server reflection. Calls are never retried behind the scenes, and proxies of the process environment do
    not count.
    """

    protocol_id: ClassVar[str] = "grpc"
    channel_type: ClassVar[str] = ChannelType.GRPC
    unfulfilled: ClassVar[ViolationType] = ViolationType.TIMEOUT

    def __init__(self) -> None:
        self._caller: GrpcCaller | None = None
        self._types: dict[tuple[str, str], MessageTypes] = {}

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:
        """Read a ``.proto`` file or a compiled descriptor set. Raises ``DefinitionError``."""
        missing = _missing_library()
        if missing is not None:
            raise DefinitionError(f"needs '{missing}' to be read", place=Place(str(path)), hint=_INSTALL)
        from pytest_orchestra.readers.proto import read_proto  # noqa: PLC0415  its libraries load when needed

        return read_proto(path, service_name)

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:
        """Find ``Service.Method``, ``package.Service/Method``, or a method alone that only one service has."""
        return find_grpc_operation(spec, endpoint_name)

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:
        """Say what is wrong with the step's method, its messages and metadata, and what it expects of the response."""
        place = step.place or Place(step.alias or step.name or str(step.endpoint_ref or "step"))
        if step.endpoint_ref is None:
            return (
                Problem(Severity.ERROR, place, "a gRPC step needs 'endpointRef'", "write 'service.Service.Method'"),
            )
        missing = _missing_library()
        if missing is not None:
            return (Problem(Severity.ERROR, place, f"a gRPC step needs '{missing}', which is not installed", _INSTALL),)
        faults = [*_plain_faults(step), *self._faults_against_spec(step, step.endpoint_ref, specs)]
        return [Problem(severity, place, fact, hint) for severity, fact, hint in faults]

    def _faults_against_spec(
        self, step: StepDefinition, ref: EndpointRef, specs: Mapping[str, ProtocolSpec]
    ) -> Iterator[_Fault]:
        from pytest_orchestra.protocols.grpc_check import find_expectation_faults, find_message_faults  # noqa: PLC0415

        spec = specs.get(ref.service_name)
        if spec is None:  # the server itself may tell
            return
        if spec.protocol_id != self.protocol_id:
            yield Severity.ERROR, *_foreign(ref, spec)
            return
        operation = self.find_operation(spec, ref.endpoint_name)
        if operation is None:
            yield Severity.ERROR, *_no_operation(ref, spec)
            return
        types = self._types_of(spec)
        for fact, hint in find_message_faults(types, operation, cast("JsonObject", step.input_template)):
            yield Severity.ERROR, fact, hint
        for fact, hint in find_expectation_faults(types, operation, step):
            yield Severity.WARNING, fact, hint

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:
        """Call the method. ``Reply.status_name`` is the status; see the port for what is raised."""
        ref = call.step.endpoint_ref
        if ref is None:
            raise StepError("a gRPC step needs 'endpointRef'", place=call.step.place)
        missing = _missing_library() if self._caller is None else None
        if missing is not None:
            raise StepError(
                f"a gRPC step needs '{missing}', which is not installed", place=call.step.place, hint=_INSTALL
            )
        spec = specs.get(ref.service_name)
        operation = None if spec is None else self._operation_of(call.step, ref, spec)
        try:
            if self._caller is None:
                from pytest_orchestra.protocols.grpc_caller import GrpcCaller  # noqa: PLC0415  heavy: grpc

                self._caller = GrpcCaller()
            if spec is None:
                spec = await self._caller.reflect(call)
                operation = self._operation_of(call.step, ref, spec)
            assert operation is not None  # else it would have been raised
            may_repeat = dict(operation.extensions).get("idempotency") in _SAFE_LEVELS
            return await self._caller.call(call, spec, operation, self._types_of(spec), may_repeat=may_repeat)
        except StepError as error:
            raise StepError(error.fact, place=error.place or call.step.place, hint=error.hint) from None

    def may_repeat(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> bool:
        """Say yes for methods whose ``idempotency_level`` in the specification lets them be called again."""
        ref = step.endpoint_ref
        spec = specs.get(ref.service_name) if ref is not None else None
        operation = self.find_operation(spec, ref.endpoint_name) if ref is not None and spec is not None else None
        return operation is not None and dict(operation.extensions).get("idempotency") in _SAFE_LEVELS

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:  # noqa: ARG002
        """Give nothing: what is no message of its type could not be read."""
        return ()

    async def close(self) -> None:
        """Close every channel; a later call opens new ones."""
        caller, self._caller = self._caller, None
        if caller is not None:
            await caller.close()

    def _operation_of(self, step: StepDefinition, ref: EndpointRef, spec: ProtocolSpec) -> Operation:
        if spec.protocol_id != self.protocol_id:
            fact, hint = _foreign(ref, spec)
            raise StepError(fact, place=step.place, hint=hint)
        operation = self.find_operation(spec, ref.endpoint_name)
        if operation is None:
            fact, hint = _no_operation(ref, spec)
            raise StepError(fact, place=step.place, hint=hint)
        return operation

    def _types_of(self, spec: ProtocolSpec) -> MessageTypes:
        key = (spec.service_name, spec.version)
        types = self._types.get(key)
        if types is None:
            from pytest_orchestra.protocols.grpc_message import MessageTypes  # noqa: PLC0415  heavy: protobuf

            types = self._types[key] = MessageTypes(spec)
        return types


def _missing_library() -> str | None:
    for name in _MODULES:
        try:
            if importlib.util.find_spec(name) is None:
                return name
        except ModuleNotFoundError:  # the package above it is missing
            return name
    return None


def _plain_faults(step: StepDefinition) -> Iterator[_Fault]:
    """Say what is wrong whatever the service is."""
    from pytest_orchestra.protocols.grpc_metadata import find_metadata_faults  # noqa: PLC0415  with the rest

    given = cast("JsonObject", step.input_template)
    for key in given:
        if key not in _INPUT_KEYS:
            meant = _AS_IN_HTTP.get(key)
            listed = f"its keys: {', '.join(_INPUT_KEYS)}"
            hint = f"write '{meant}'" if meant is not None else suggest(key, _INPUT_KEYS, listed)
            yield Severity.ERROR, f"'inputTemplate' of a gRPC step has no key '{key}'", hint
    if "message" in given and "messages" in given:
        yield Severity.ERROR, "'inputTemplate' has both 'message' and 'messages'", "write one of them"
    most = given.get("most")
    is_number = isinstance(most, int) and not isinstance(most, bool) and most > 0
    if "most" in given and not is_number and not (isinstance(most, str) and "{{" in most):
        yield Severity.ERROR, f"'most' is '{most}'", "say how many messages are enough, 1 at least"
    for where, group in (("headers", step.headers), ("inputTemplate.metadata", given.get("metadata"))):
        if isinstance(group, Mapping):
            for fact, hint in find_metadata_faults(group, where):
                yield Severity.ERROR, fact, hint
        elif group is not None and not (isinstance(group, str) and "{{" in group):
            yield Severity.ERROR, f"'{where}' holds keys and values", "write them as an object"
    expected = step.expected_status_code
    for status in expected if isinstance(expected, list) else [expected]:
        if status is not None and status not in GRPC_STATUSES:
            yield Severity.ERROR, f"gRPC has no status '{status}'", f"its statuses: {', '.join(GRPC_STATUSES)}"
    if step.schema_refs:
        yield (
            Severity.WARNING,
            "'schemaRefs' of a gRPC step are not looked at",
            "take them away: a response that can be read has the type of its method",
        )


def _foreign(ref: EndpointRef, spec: ProtocolSpec) -> tuple[str, str]:
    fact = f"the specification of service '{ref.service_name}' is one of protocol '{spec.protocol_id}', not of gRPC"
    return fact, "name a '.proto' file or a descriptor set in 'specs'"


def _no_operation(ref: EndpointRef, spec: ProtocolSpec) -> tuple[str, str]:
    several = [each.name for each in named_alike(spec, ref.endpoint_name)]
    if several:
        fact = f"several services of '{ref.service_name}' have operation '{ref.endpoint_name}'"
        return fact, f"name one of {', '.join(several)}"
    fact = f"unknown operation '{ref.endpoint_name}' of service '{ref.service_name}'"
    names = [each.name for each in spec.operations]
    methods = {name.rpartition(".")[2]: name for name in names}
    listed = f"its operations: {', '.join(names[:10]) or 'none'}"
    if "." in ref.endpoint_name or "/" in ref.endpoint_name:
        return fact, suggest(ref.endpoint_name.replace("/", "."), names, listed)
    return fact, suggest(ref.endpoint_name, methods, listed)
