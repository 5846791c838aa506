"""Protocol Buffers: ``.proto`` files and compiled descriptor sets as protocol specifications."""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    SourceCodeInfo,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from pytest_orchestra.errors import DefinitionError
from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.model.specification import MediaType, Operation, ProtocolSpec, ResponseSpec, SchemaRef
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.readers.proto_schema import message_schemas
from pytest_orchestra.readers.source_text import decode_text, read_bytes, unreadable

__all__ = [
    "DESCRIPTOR_SET_URI",
    "IDEMPOTENCY",
    "MissingFileError",
    "descriptor_set_of",
    "pool_of",
    "read_proto",
    "specification_of",
]

DESCRIPTOR_SET_URI: Final = "urn:pytest-orchestra:descriptor-set"
"""The URI of the document ``{"base64": ...}`` that holds a specification's serialized ``FileDescriptorSet``."""

IDEMPOTENCY: Final = "idempotency"
"""The extension of an operation that has its ``idempotency_level``, if that is known."""

_WELL_KNOWN: Final = "google/protobuf/"
_SERVICES: Final = 6  # the numbers of the fields in descriptor.proto, of which source paths are made
_METHODS: Final = 2
_COMPLAINT: Final = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<said>.+)")
_PACKAGE: Final = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)
_LONGEST_S: Final = 60.0
_KINDS: Final = {
    (False, False): "UNARY",
    (True, False): "CLIENT_STREAM",
    (False, True): "SERVER_STREAM",
    (True, True): "BIDI_STREAM",
}


class MissingFileError(Exception):
    """A descriptor set lacks a file that one of its files imports; ``name`` is that file's."""

    def __init__(self, name: str, importer: str) -> None:
        super().__init__(name)
        self.name = name
        self.importer = importer


def read_proto(path: Path, service_name: str) -> ProtocolSpec:
    """Read the gRPC services of a ``.proto`` file, with all that it imports, or of a compiled descriptor set.

    Imports are looked for in the file's folder, in the folder where its package begins (``proto`` for the package
    ``shop.v1`` of ``proto/shop/v1/orders.proto``) and among the well-known types. Nothing is written beside the file.
    Operations are named ``Service.Method``, with the package before it where two services have the same name; their
    ``method`` is ``UNARY``, ``CLIENT_STREAM``, ``SERVER_STREAM`` or ``BIDI_STREAM``, their ``path`` that of the wire.
    Raises ``DefinitionError`` with every complaint of the compiler, and ``UnreadableFileError``.
    """
    if path.suffix == ".proto":
        root, name = _root_of(path)
        files = _compile(path, root, name)
    else:
        root, files = path.parent, _parse(path)
    try:
        return specification_of(files, service_name, file=str(path), root=root if path.suffix == ".proto" else None)
    except MissingFileError as missing:
        raise unreadable(
            Place(str(path)),
            f"lacks file '{missing.name}', which '{missing.importer}' imports",
            "compile it with 'protoc --include_imports'",
        ) from None
    except (TypeError, ValueError) as error:  # the pool refuses files that contradict each other
        reason = str(error).strip().partition("\n")[0].rstrip(".:")
        raise unreadable(Place(str(path)), f"is no valid descriptor set: {reason}", "compile it anew") from None


def specification_of(
    files: FileDescriptorSet, service_name: str, *, file: str = "", root: Path | None = None
) -> ProtocolSpec:
    """Make the specification of compiled files; ``root`` is where their sources are, if they are.

    Raises ``MissingFileError``; ``TypeError`` where the files contradict each other.
    """
    ordered = list(_in_order(files.file))
    pool = pool_of(files)
    uri = f"urn:grpc:{service_name}"
    schemas = message_schemas(pool, _message_types(ordered), uri)
    operations = tuple(_operations(ordered, uri, root))
    bare = FileDescriptorSet(file=[_without_source(each) for each in ordered])
    documents: dict[str, JsonValue] = {
        uri: {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": schemas},
        DESCRIPTOR_SET_URI: {"base64": base64.b64encode(bare.SerializeToString(deterministic=True)).decode()},
    }
    problems = () if operations else (_no_service(file),)
    return ProtocolSpec(
        protocol_id="grpc",
        service_name=service_name,
        version=_version(bare),
        title=next((each.package for each in reversed(ordered) if each.service), ""),
        file=file,
        operations=operations,
        documents=documents,
        problems=problems,
    )


def descriptor_set_of(spec: ProtocolSpec) -> FileDescriptorSet:
    """Give the compiled files of a specification that this module made."""
    document = spec.documents[DESCRIPTOR_SET_URI]
    assert isinstance(document, Mapping)
    return FileDescriptorSet.FromString(base64.b64decode(str(document["base64"])))


def pool_of(files: FileDescriptorSet) -> DescriptorPool:
    """Give a pool of one's own with the types of these files. Raises as :func:`specification_of` does."""
    pool = DescriptorPool()
    for each in _in_order(files.file):
        pool.AddSerializedFile(each.SerializeToString())
    return pool


# ---- files --------------------------------------------------------------------------------------------------------


def _root_of(path: Path) -> tuple[Path, str]:
    """Give the folder to which imports are relative, and the file's name from there."""
    text = decode_text(read_bytes(path), str(path))
    package = _PACKAGE.search(text)
    parts = tuple(package[1].split(".")) if package else ()
    folders = path.parent.parts
    if parts and folders[-len(parts) :] == parts:
        return path.parents[len(parts)], "/".join((*parts, path.name))
    return path.parent, path.name


def _compile(path: Path, root: Path, name: str) -> FileDescriptorSet:
    folders = dict.fromkeys([".", name.rpartition("/")[0] or "."])
    with tempfile.TemporaryDirectory(prefix="orchestra-proto-") as scratch:
        compiled = Path(scratch) / "compiled.binpb"
        command = [
            *(sys.executable, "-P", "-m", "grpc_tools.protoc", *(f"-I{folder}" for folder in folders)),
            *("--include_imports", "--include_source_info", f"--descriptor_set_out={compiled}", name),
        ]
        try:
            done = subprocess.run(  # noqa: S603  the command is ours, the file's name one word of it
                command, cwd=root, capture_output=True, timeout=_LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            fact = f"was not compiled within {_LONGEST_S:.0f} s"
            raise unreadable(Place(str(path)), fact, "see whether the machine is busy") from None
        if done.returncode:
            raise DefinitionError.from_problems(tuple(_complaints(done.stderr.decode(errors="replace"), path, root)))
        return FileDescriptorSet.FromString(compiled.read_bytes())


def _complaints(said: str, path: Path, root: Path) -> Iterator[Problem]:
    """Read what protoc says; a complaint without a line only repeats one that has it."""
    lines = [line for line in said.splitlines() if line.strip()]
    placed = [found for line in lines if (found := _COMPLAINT.fullmatch(line))]
    for found in placed:
        if found["said"].startswith("warning: "):
            continue
        place = Place(str(root / found["file"]), int(found["line"]), int(found["column"]))
        yield Problem(Severity.ERROR, place, _worded(found["said"]), _hint(found["said"], path, root))
    if not placed:
        fact = _worded(lines[-1]) if lines else "does not compile"
        yield Problem(Severity.ERROR, Place(str(path)), fact, "see what 'protoc' says about it")


def _worded(said: str) -> str:
    text = said.rstrip(". ").replace('"', "'")
    return text[:1].lower() + text[1:]


def _hint(said: str, path: Path, root: Path) -> str:
    imported = re.match(r'Import "(.+)" was not found', said)
    if imported and (root / imported[1]).exists():
        return f"mend '{imported[1]}' first"
    if imported:
        folder = root.name or str(root)
        return f"put it at '{folder}/{imported[1]}', or name a descriptor set: 'buf build -o {path.stem}.binpb'"
    if "is not defined" in said:
        return "define it, or import the file that does"
    if said.startswith(("Expected", "Missing", "Unexpected")):
        return "mend the syntax there"
    return "mend it there"


def _parse(path: Path) -> FileDescriptorSet:
    hint = "make it with 'protoc --include_imports --descriptor_set_out=NAME.binpb', or name the '.proto' file"
    try:
        files = FileDescriptorSet.FromString(read_bytes(path))
    except DecodeError:
        raise unreadable(Place(str(path)), "is no descriptor set", hint) from None
    if not files.file or not all(each.name for each in files.file):
        raise unreadable(Place(str(path)), "is no descriptor set", hint)
    return files


def _in_order(files: Iterable[FileDescriptorProto]) -> Iterator[FileDescriptorProto]:
    """Give files after those that they import; well-known ones that are missing are added."""
    known = {each.name: each for each in files}
    done: set[str] = set()
    for name in sorted(known):
        waiting: list[tuple[str, bool]] = [(name, False)]
        while waiting:
            current, is_ready = waiting.pop()
            if is_ready and current not in done:
                done.add(current)
                yield known[current]
            elif current not in done and not is_ready:
                waiting.append((current, True))
                for imported in known[current].dependency:
                    if imported not in known:
                        known[imported] = _well_known(imported, current)
                    if imported not in done and (imported, True) not in waiting:
                        waiting.append((imported, False))


def _well_known(name: str, importer: str) -> FileDescriptorProto:
    stem = name.removeprefix(_WELL_KNOWN).removesuffix(".proto")
    if not name.startswith(_WELL_KNOWN) or not stem.isidentifier():
        raise MissingFileError(name, importer)
    try:
        module = importlib.import_module(f"google.protobuf.{stem}_pb2")
    except ImportError:
        raise MissingFileError(name, importer) from None
    return FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


def _without_source(file: FileDescriptorProto) -> FileDescriptorProto:
    bare = FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    return bare


def _version(files: FileDescriptorSet) -> str:
    """Hash what the files say; well-known types are left out, which belong to the compiler."""
    digest = hashlib.sha256()
    for each in sorted(files.file, key=lambda file: file.name):
        if not each.name.startswith(_WELL_KNOWN):
            content = each.SerializeToString(deterministic=True)
            digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


# ---- operations ---------------------------------------------------------------------------------------------------


def _message_types(files: Iterable[FileDescriptorProto]) -> list[str]:
    methods = [method for file in files for service in file.service for method in service.method]
    return [name.lstrip(".") for method in methods for name in (method.input_type, method.output_type)]


def _operations(files: list[FileDescriptorProto], uri: str, root: Path | None) -> Iterator[Operation]:
    named = Counter(service.name for file in files for service in file.service)
    for file in files:
        located = {tuple(spot.path): spot for spot in file.source_code_info.location}
        for number, service in enumerate(file.service):
            full_name = f"{file.package}.{service.name}" if file.package else service.name
            short = service.name if named[service.name] == 1 else full_name
            for index, method in enumerate(service.method):
                spot = located.get((_SERVICES, number, _METHODS, index))
                place = Place(str(root / file.name), spot.span[0] + 1, spot.span[1] + 1) if root and spot else None
                yield _operation(method, short, full_name, uri, spot, place)


def _operation(
    method: MethodDescriptorProto,
    short: str,
    full_name: str,
    uri: str,
    spot: SourceCodeInfo.Location | None,
    place: Place | None,
) -> Operation:
    level = MethodOptions.IdempotencyLevel.Name(method.options.idempotency_level)
    extensions: JsonObject = {
        "request": method.input_type.lstrip("."),
        "response": method.output_type.lstrip("."),
        **({} if level == "IDEMPOTENCY_UNKNOWN" else {IDEMPOTENCY: level}),
    }
    return Operation(
        name=f"{short}.{method.name}",
        method=_KINDS[method.client_streaming, method.server_streaming],
        path=f"/{full_name}/{method.name}",
        summary=spot.leading_comments.strip().partition("\n")[0].strip() if spot else "",
        deprecated=method.options.deprecated,
        request_bodies=(_media_type(uri, method.input_type),),
        request_required=True,
        responses=(ResponseSpec("OK", media_types=(_media_type(uri, method.output_type),)),),
        extensions=tuple(extensions.items()),
        place=place,
    )


def _media_type(uri: str, type_name: str) -> MediaType:
    return MediaType("application/grpc", SchemaRef(f"{uri}#/$defs/{type_name.lstrip('.')}"))


def _no_service(file: str) -> Problem:
    return Problem(Severity.WARNING, Place(file), "has no service", "name the file in which the service stands")
