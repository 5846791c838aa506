"""Whom a gRPC channel trusts, and who it says it is."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from pytest_orchestra.errors import UnusableEnvironmentError
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.wire import ConnectFailedError
from pytest_orchestra.readers.grpc_library import grpc

__all__ = ["TlsSettings", "make_credentials"]

_ENCRYPTED: Final = b"ENCRYPTED"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files of a service's profile, found; ``where`` names it: ``service 'orders'``."""

    where: str
    verify: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = None


async def make_credentials(
    tls: TlsSettings, host: str, port: int
) -> tuple[grpc.ChannelCredentials, tuple[tuple[str, str], ...]]:
    """Give the credentials of a channel and the options that go with them.

    Trusted are the certificates that HTTP calls trust, and those of ``ca_file``. gRPC cannot leave a certificate
    unchecked, so without ``verify`` the very certificate that the server shows is trusted, whatever name is in it.
    Raises ``UnusableEnvironmentError`` where a file cannot be used, ``ConnectFailedError``.
    """
    options: tuple[tuple[str, str], ...] = ()
    if tls.verify:
        roots = _usual_roots() + (b"" if tls.ca_file is None else _pem(tls, "caFile", tls.ca_file))
    else:
        roots, name = await _shown_certificate(host, port)
        options = (("grpc.ssl_target_name_override", name),)
    chain = None if tls.certificate_file is None else _pem(tls, "certificateFile", tls.certificate_file)
    key = _key(tls) if chain is not None else None
    return grpc.ssl_channel_credentials(roots, key, chain), options


def _usual_roots() -> bytes:
    import httpx  # noqa: PLC0415  only where TLS is spoken

    context = httpx.create_ssl_context()  # heeds SSL_CERT_FILE and SSL_CERT_DIR
    return "".join(ssl.DER_cert_to_PEM_cert(each) for each in context.get_ca_certs(binary_form=True)).encode()


def _pem(tls: TlsSettings, field: str, path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnusableEnvironmentError(
            f"{tls.where}: '{field}' cannot be read: '{path.name}': {reason}", hint=f"correct '{field}'"
        ) from None
    if b"-----BEGIN " not in content:
        raise UnusableEnvironmentError(
            f"{tls.where}: '{field}' is no PEM file: '{path.name}'", hint=f"name a PEM file in '{field}'"
        )
    return content


def _key(tls: TlsSettings) -> bytes:
    field = "certificateFile" if tls.key_file is None else "keyFile"
    path = tls.key_file or tls.certificate_file
    assert path is not None
    content = _pem(tls, field, path)
    if b"PRIVATE KEY-----" not in content:
        raise UnusableEnvironmentError(
            f"{tls.where}: '{field}' has no private key: '{path.name}'", hint="name the key's file in 'keyFile'"
        )
    return _decrypted(tls, field, content) if _ENCRYPTED in content else content


def _decrypted(tls: TlsSettings, field: str, content: bytes) -> bytes:
    if tls.key_password is None:
        raise UnusableEnvironmentError(
            f"{tls.where}: the key in '{field}' is encrypted", hint="name its password in 'keyPasswordRef'"
        )
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  only where a key is encrypted
    except ImportError:
        raise UnusableEnvironmentError(
            f"{tls.where}: an encrypted key needs 'cryptography'", hint="pip install 'pytest-orchestra[grpc]'"
        ) from None
    start = content.index(b"-----BEGIN ", max(0, content.index(b"PRIVATE KEY-----") - 40))
    try:
        key = serialization.load_pem_private_key(content[start:], tls.key_password.reveal().encode())
    except (ValueError, TypeError):
        raise UnusableEnvironmentError(
            f"{tls.where}: its password does not open the key in '{field}'", hint="check 'keyPasswordRef'"
        ) from None
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


# ---- without verification -----------------------------------------------------------------------------------------


async def _shown_certificate(host: str, port: int) -> tuple[bytes, str]:
    """Give the certificate that a server shows, and a name that is in it."""
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    shown = await _handshake(host, port, anything)
    pem = ssl.DER_cert_to_PEM_cert(cast("bytes", shown.getpeercert(binary_form=True)))
    # ssl tells the names in a certificate only if it could verify it, so it is shown once more to be trusted
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cadata=pem)
    told = (await _handshake(host, port, trusting)).getpeercert() or {}
    return pem.encode(), _name_in(told) or host


async def _handshake(host: str, port: int, context: ssl.SSLContext) -> ssl.SSLObject:
    context.set_alpn_protocols(["h2"])
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        reason = (getattr(error, "verify_message", None) or error.reason or str(error)).replace("_", " ").lower()
        raise ConnectFailedError(f"the TLS handshake failed: {reason}", "see whether its address speaks TLS") from None
    except socket.gaierror:
        raise ConnectFailedError("its name does not resolve", "correct its host name") from None
    except ConnectionRefusedError:
        raise ConnectFailedError("connection refused") from None
    except OSError as error:
        raise ConnectFailedError(f"no connection came about: {os.strerror(error.errno or 0).lower()}") from None
    try:
        return cast("ssl.SSLObject", writer.get_extra_info("ssl_object"))
    finally:
        writer.transport.abort()  # nothing was said that a proper end would save


def _name_in(told: object) -> str | None:
    names = dict(told) if isinstance(told, dict) else {}
    for _, name in names.get("subjectAltName", ()):
        return str(name).replace("*", "any", 1)
    for part in names.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None
