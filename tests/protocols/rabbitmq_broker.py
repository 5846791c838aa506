"""A RabbitMQ broker of one's own on loopback, started once for all tests of a session."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestra.protocols.queue import QueueProtocol

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on the path switches the user and has a fixed home
USER = "shop"
PASSWORD = "p@ss/word:1"
_START_LIMIT_S = 90

_CONFIGURATION = """
listeners.tcp.default = 127.0.0.1:{port}
listeners.ssl.default = 127.0.0.1:{tls_port}
ssl_options.cacertfile = {authority}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
distribution.listener.interface = 127.0.0.1
default_user = {user}
default_pass = {password}
default_vhost = shop
loopback_users = none
log.console = true
log.console.level = warning
log.file = false
"""


@dataclass(frozen=True)
class RabbitBroker:
    """A broker, and how one logs in. The TLS port wants a certificate of the client; the broker's own will do."""

    host: str
    port: int
    tls_port: int
    authority: Path
    certificate: Path
    key: Path

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets of its environments."""
        return {"env:RABBIT_USER": USER, "env:RABBIT_PASSWORD": PASSWORD}

    def environment(self, *, port: int | None = None, **profile: Any) -> dict[str, Any]:
        """Give an environment in which ``main`` is this broker, by that port if one is given."""
        url = f"amqp://{self.host}:{port or self.port}/shop"
        known = {"endpoint": url, "usernameRef": "env:RABBIT_USER", "passwordRef": "env:RABBIT_PASSWORD"}
        return {"queueProfiles": {"main": {**known, **profile}}}


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitBroker]:
    """Start a broker, with a node name, ports and folders of its own, and end it."""
    epmd, openssl = shutil.which("epmd"), shutil.which("openssl")
    if not SERVER.exists() or epmd is None:
        pytest.skip("needs rabbitmq: Debian's package 'rabbitmq-server'")
    if openssl is None:
        pytest.skip("needs the program 'openssl' to make a certificate for rabbitmq")
    folder = tmp_path_factory.mktemp("rabbitmq")
    authority, certificate, key = _make_certificate(folder, openssl)
    port, tls_port, names_port, node_port = _free_ports(4)
    broker = RabbitBroker("127.0.0.1", port, tls_port, authority, certificate, key)
    configuration = folder / "rabbitmq.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            port=port,
            tls_port=tls_port,
            authority=authority,
            certificate=certificate,
            key=key,
            user=USER,
            password=PASSWORD,
        )
    )
    (folder / "plugins").write_text("[].\n")
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"orchestra{port}@localhost",
        "RABBITMQ_DIST_PORT": str(node_port),
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    # in the foreground and before the broker, which would leave one behind otherwise
    names = subprocess.Popen([*_mortal(), epmd, "-port", str(names_port), "-address", "127.0.0.1"], env=environment)
    log = folder / "console.log"
    try:
        with log.open("wb") as console:
            server = subprocess.Popen(
                [*_mortal(), str(SERVER)],
                cwd=folder,  # where it would leave what it dumps
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _await_port(server, port, log)
            yield broker
        finally:
            server.send_signal(signal.SIGTERM)
            _await_end(server)
    finally:
        names.terminate()
        names.wait()


@pytest.fixture
async def shop(rabbit) -> AsyncIterator[Any]:
    """Give the system under test."""
    import aio_pika  # noqa: PLC0415  only where tests need it
    from rabbitmq_shop import Shop  # noqa: PLC0415

    connection = await aio_pika.connect(
        host=rabbit.host, port=rabbit.port, login=USER, password=PASSWORD, virtualhost="shop"
    )
    async with connection:
        yield Shop(rabbit, connection, await connection.channel())


@pytest.fixture
async def queues() -> AsyncIterator[QueueProtocol]:
    """Give the protocol under test, closed in the end; nothing of it may go on after that."""
    before = asyncio.all_tasks()
    protocol = QueueProtocol()
    yield protocol
    await protocol.close()
    for _ in range(20):  # what the driver has cancelled ends in the next rounds of the loop
        await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if "queues" in str(task) or "aiormq" in str(task)} == set()


def _mortal() -> list[str]:
    """Give what lets a program end with the tests, should they be killed, where the system has such a thing."""
    program = shutil.which("setpriv")
    return [] if program is None else [program, "--pdeathsig", "TERM", "--"]


def _make_certificate(folder: Path, openssl: str) -> tuple[Path, Path, Path]:
    """Make an authority and a certificate of it: Erlang takes none that a client signed itself."""
    make = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    authority, authority_key = folder / "authority.pem", folder / "authority-key.pem"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    for command in (
        [*make, "-subj", "/CN=tests", "-out", str(authority), "-keyout", str(authority_key)],
        [
            *(*make, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE", "-CA", str(authority), "-CAkey", str(authority_key)),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return authority, certificate, key


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [taken_port.getsockname()[1] for taken_port in taken]
    for taken_port in taken:
        taken_port.close()
    return ports


def _await_port(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise RuntimeError(f"the broker did not start: {log.read_text(errors='replace')[-2000:]}")


def _await_end(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)  # a session of its own: the shell that starts it, and the node
        server.wait()
