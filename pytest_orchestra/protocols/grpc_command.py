"""A gRPC call as a ``grpcurl`` command that a person pastes into bash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.secret import MASK
from pytest_orchestra.model.specification import Operation
from pytest_orchestra.protocols.grpc_channel import Target
from pytest_orchestra.protocols.grpc_proxy import GrpcProxy
from pytest_orchestra.protocols.grpc_tls import TlsSettings
from pytest_orchestra.protocols.shell import quote_word

__all__ = ["grpcurl_command"]

_LONGEST_BODY: Final = 32_768


def grpcurl_command(
    target: Target,
    tls: TlsSettings,
    operation: Operation,
    *,
    spec_file: str,
    metadata: Iterable[tuple[str, str]],
    masked: Mapping[str, str],
    messages: Sequence[JsonValue],
    proxy: GrpcProxy | None = None,
) -> str:
    """Write the command that makes this call.

    ``spec_file`` is the ``.proto`` file or descriptor set, empty where the server tells of itself. ``masked`` has the
    keys of metadata that must not show, with what is to be seen of them (``Bearer ***``): in place of the mask stands
    a shell variable, ``$AUTHORIZATION``. A proxy is named in the command's environment, without user: grpcurl goes
    straight to loopback even so. Messages of more than 32 KiB are read from a file that the command names.
    """
    through = [f"https_proxy={quote_word(proxy.url)}"] if proxy is not None else []
    words = [*through, "grpcurl", *_tls_words(target, tls), *_spec_words(spec_file, operation)]
    for key, value in metadata:
        seen = masked.get(key)
        header = quote_word(f"{key}: {value}") if seen is None else f'"{key}: {seen.replace(MASK, _variable(key))}"'
        words += ["-H", header]
    content = " ".join(json.dumps(message, ensure_ascii=False) for message in messages)
    method = operation.path.lstrip("/")
    if len(content.encode()) > _LONGEST_BODY:
        words += ["-d", "@", target.address, method, "<", "request-body.json"]
        return f"{' '.join(words)} # {len(content.encode())} bytes of JSON, in a file of that name"
    return " ".join([*words, "-d", quote_word(content), quote_word(target.address), method])


def _tls_words(target: Target, tls: TlsSettings) -> list[str]:
    if not target.is_tls:
        return ["-plaintext"]
    words = [] if tls.verify else ["-insecure"]
    for option, path in (("-cacert", tls.ca_file), ("-cert", tls.certificate_file), ("-key", tls.key_file)):
        if path is not None and not (option == "-cacert" and not tls.verify):
            words += [option, quote_word(_shown(path))]
    if tls.certificate_file is not None and tls.key_file is None:
        words += ["-key", quote_word(_shown(tls.certificate_file))]
    return words


def _spec_words(spec_file: str, operation: Operation) -> list[str]:
    if not spec_file:
        return []
    path = Path(spec_file)
    if path.suffix != ".proto":
        return ["-protoset", quote_word(_shown(path))]
    package = operation.path.strip("/").rpartition("/")[0].split(".")[:-1]
    folders = path.parent.parts
    depth = len(package) if package and folders[-len(package) :] == tuple(package) else 0
    root = path.parents[depth]
    return ["-import-path", quote_word(_shown(root)), "-proto", quote_word(str(path.relative_to(root)))]


def _shown(path: Path) -> str:
    """Give a path as one writes it where the tests run."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _variable(key: str) -> str:
    return "$" + re.sub(r"[^A-Za-z0-9]|^(?=[0-9])", "_", key).upper()
