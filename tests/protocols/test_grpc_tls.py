"""gRPC over TLS, with an authority of one's own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

if any(importlib.util.find_spec(name) is None for name in ("grpc", "grpc_tools", "grpc_reflection")):
    pytest.skip("needs the extra 'grpc'", allow_module_level=True)

from grpc_peers import OrdersServer, call, plain_tls, server_credentials, write_protos

from pytest_orchestra.errors import SecretNotFoundError, UnreachableError, UnusableEnvironmentError
from pytest_orchestra.protocols.grpc import GrpcProtocol

PASSWORD = "key pass"


@dataclass(frozen=True)
class Authority:
    """Certificates that one authority has signed, as files of one folder."""

    folder: Path

    def path(self, name: str) -> Path:
        """Give one of them."""
        return self.folder / f"{name}.pem"


def make_authority(folder: Path) -> Authority:
    """Make an authority with certificates for a server, for one of another name, and for a client."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("needs the program 'openssl' to make a certificate")

    def run(*words: str) -> None:
        subprocess.run([program, *words], check=True, capture_output=True, cwd=folder)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *new_key, "-days", "2", "-subj", "/CN=shop", "-out", "ca.pem", "-keyout", "ca-key.pem")
    for name, alternative in (("server", "IP:127.0.0.1"), ("other", "DNS:*.shop.example"), ("client", "DNS:client")):
        run("req", *new_key, "-subj", f"/CN={name}", "-out", f"{name}.csr", "-keyout", f"{name}-key.pem")
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-days", "2"),
            *("-extfile", f"{name}.ext", "-out", f"{name}.pem", "-set_serial", str(len(name))),
        )
    run("pkcs8", "-topk8", "-in", "client-key.pem", "-out", "client-locked.pem", "-passout", f"pass:{PASSWORD}")
    both = folder / "client.pem", folder / "client-key.pem"
    (folder / "client-both.pem").write_bytes(b"".join(path.read_bytes() for path in both))
    (folder / "client-both-locked.pem").write_bytes(both[0].read_bytes() + (folder / "client-locked.pem").read_bytes())
    (folder / "empty.pem").write_text("")
    return Authority(folder)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Give certificates."""
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """Give the specification of the service."""
    return {"orders": GrpcProtocol().parse_spec(write_protos(tmp_path_factory.mktemp("shop")), "orders")}


@pytest.fixture
async def protocol():
    """Give the protocol under test, closed in the end."""
    protocol = GrpcProtocol()
    yield protocol
    await protocol.close()


@pytest.fixture
async def serve(specs, authority):
    """Start servers that show one of the certificates."""
    started = []

    async def start(name="server", *, wants_client=False):
        key = authority.path(f"{name}-key")
        credentials = server_credentials(authority.path(name), key, authority.path("ca") if wants_client else None)
        started.append(await OrdersServer(specs["orders"]).start(credentials=credentials))
        return started[-1]

    yield start
    for server in started:
        await server.stop()


def secure(server, scheme="grpcs", **profile):
    """Give a profile of a server that speaks TLS."""
    return {"baseUrl": f"{scheme}://127.0.0.1:{server.port}", **profile}


async def test_authority_of_the_profile_is_trusted(protocol, serve, specs, authority):
    """``caFile`` is relative to the file of environments; the command names it too."""
    server = await serve()
    for scheme in ("grpcs", "https"):
        made = call(secure(server, scheme, caFile="ca.pem"), "Orders.Place", folder=authority.folder)
        reply = await protocol.execute(made, specs)
        assert reply.status_name == "OK"
        assert f"grpcurl -cacert {authority.path('ca')} -import-path" in reply.exchange.reproduce


async def test_authority_that_nobody_trusts_is_unreachable(protocol, serve, specs):
    """The reason and the two ways out are told."""
    server = await serve()
    with pytest.raises(UnreachableError) as caught:
        await protocol.execute(call(secure(server), "Orders.Place"), specs)
    assert str(caught.value) == (
        f"service 'orders' at '127.0.0.1:{server.port}': its certificate is not trusted: "
        "unable to get local issuer certificate\n"
        "hint: name the authority's certificate in 'caFile', or set 'verifyTls: false'"
    )


async def test_certificate_of_another_name_is_unreachable(protocol, serve, specs, authority):
    """A trusted certificate for somebody else is refused."""
    server = await serve("other")
    made = call(secure(server, caFile="ca.pem"), "Orders.Place", folder=authority.folder)
    with pytest.raises(UnreachableError) as caught:
        await protocol.execute(made, specs)
    assert str(caught.value) == (
        f"service 'orders' at '127.0.0.1:{server.port}': its certificate is not for '127.0.0.1'\n"
        "hint: correct the host name, or set 'verifyTls: false'"
    )


@pytest.mark.parametrize("name", ["server", "other", "ca"])
async def test_unverified_certificate_is_taken_whatever_it_says(protocol, serve, specs, name):
    """With ``verifyTls: false`` neither issuer nor name count, a wildcard included."""
    server = await serve(name)
    reply = await protocol.execute(call(secure(server, verifyTls=False), "Orders.Place"), specs)
    assert reply.status_name == "OK"
    assert reply.exchange.reproduce.startswith("grpcurl -insecure -import-path")


@pytest.mark.parametrize(
    "files",
    [
        {"certificateFile": "client.pem", "keyFile": "client-key.pem"},
        {"certificateFile": "client-both.pem"},
        {"certificateFile": "client.pem", "keyFile": "client-locked.pem", "keyPasswordRef": "env:KEY"},
        {"certificateFile": "client-both-locked.pem", "keyPasswordRef": "env:KEY"},
    ],
)
async def test_client_shows_its_certificate(protocol, serve, specs, authority, files):
    """The key is in its own file or in the same, encrypted or not."""
    server = await serve(wants_client=True)
    made = call(
        secure(server, caFile="ca.pem", **files),
        "Orders.Place",
        folder=authority.folder,
        secrets={"env:KEY": PASSWORD},
    )
    reply = await protocol.execute(made, specs)
    assert reply.status_name == "OK"
    assert PASSWORD not in str(reply)


async def test_client_without_the_certificate_that_is_wanted_is_told(protocol, serve, specs, authority):
    """A server that asks for a certificate and gets none ends the handshake."""
    server = await serve(wants_client=True)
    made = call(secure(server, caFile="ca.pem"), "Orders.Place", folder=authority.folder)
    with pytest.raises(UnreachableError) as caught:
        await protocol.execute(made, specs)
    assert "'certificateFile'" in caught.value.hint


@pytest.mark.parametrize(
    ("profile", "fact", "hint"),
    [
        (
            {"caFile": "nowhere.pem"},
            "service 'orders': 'caFile' cannot be read: 'nowhere.pem': no such file or directory",
            "correct 'caFile'",
        ),
        (
            {"caFile": "empty.pem"},
            "service 'orders': 'caFile' is no PEM file: 'empty.pem'",
            "name a PEM file in 'caFile'",
        ),
        (
            {"certificateFile": "client.pem"},
            "service 'orders': 'certificateFile' has no private key: 'client.pem'",
            "name the key's file in 'keyFile'",
        ),
        (
            {"certificateFile": "client.pem", "keyFile": "client-locked.pem"},
            "service 'orders': the key in 'keyFile' is encrypted",
            "name its password in 'keyPasswordRef'",
        ),
        (
            {"certificateFile": "client.pem", "keyFile": "client-locked.pem", "keyPasswordRef": "env:WRONG"},
            "service 'orders': its password does not open the key in 'keyFile'",
            "check 'keyPasswordRef'",
        ),
    ],
)
async def test_files_of_no_use_are_errors_of_the_environment(protocol, specs, authority, profile, fact, hint):
    """What is wrong with a file is told with the field that names it."""
    made = call(
        {"baseUrl": "grpcs://127.0.0.1:9", **profile},
        "Orders.Place",
        folder=authority.folder,
        secrets={"env:WRONG": "wr0ng"},
    )
    with pytest.raises(UnusableEnvironmentError) as caught:
        await protocol.execute(made, specs)
    assert str(caught.value) == f"{fact}\nhint: {hint}"
    assert "wr0ng" not in str(caught.value)


async def test_password_that_was_not_read_is_told(protocol, specs):
    """A reference without its secret is an error of the environment."""
    made = call({"baseUrl": "grpcs://127.0.0.1:9", "keyPasswordRef": "env:KEY"}, "Orders.Place")
    with pytest.raises(SecretNotFoundError) as caught:
        await protocol.execute(made, specs)
    assert caught.value.fact == "'keyPasswordRef' of service 'orders' needs secret 'env:KEY', which was not read"


async def test_plain_and_secure_that_meet_are_unreachable(protocol, serve, specs):
    """TLS to a plain server and the reverse tell which scheme is meant."""
    plain = await OrdersServer(specs["orders"]).start()
    for profile in ({}, {"verifyTls": False}):
        with pytest.raises(UnreachableError) as caught:
            await protocol.execute(call(secure(plain, **profile), "Orders.Place"), specs)
        assert "TLS" in str(caught.value)
    await plain.stop()
    server = await serve()
    with pytest.raises(UnreachableError) as caught:
        await protocol.execute(call(server.url, "Orders.Place"), specs)
    assert "grpcs://" in str(caught.value)
    with pytest.raises(UnreachableError, match="connection refused"):
        await protocol.execute(call({"baseUrl": "grpcs://127.0.0.1:9", "verifyTls": False}, "Orders.Place"), specs)


async def test_web_server_with_tls_is_no_grpc_server(protocol, specs, peers, authority):
    """TLS alone does not make a peer speak gRPC."""
    tls = plain_tls(authority.path("server"), authority.path("server-key"))
    peer = await peers.http(tls=tls)
    made = call({"baseUrl": peer.url, "caFile": "ca.pem"}, "Orders.Place", folder=authority.folder)
    with pytest.raises(UnreachableError) as caught:
        await protocol.execute(made, specs)
    address = peer.url.removeprefix("https://")
    assert str(caught.value) == (
        f"service 'orders' at '{address}': what answers is no gRPC server\n"
        "hint: correct the port: it speaks TLS, but not HTTP/2"
    )
