"""The whole shop and its brokers, as processes that live no longer than the one that started them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from shop.brokers import run_kafka, run_rabbitmq, wait_until_listening
from shop.process import SERVICES
from shop.settings import Settings

_HOME: Final = Path(__file__).resolve().parents[1]
_START_S: Final = 120.0
_STOP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class RunningShop:
    """Where the shop can be reached, and the file that its processes log to."""

    orders_url: str
    payments_url: str
    warehouse_url: str
    prices_url: str
    """Its gRPC, ``grpc://host:port``."""
    kafka_servers: str
    amqp_url: str
    """Empty where there is no broker, and the warehouse answers over HTTP."""
    database_url: str
    health_urls: dict[str, str]
    """Of every service, where it is asked over HTTP whether it is up."""
    log: Path
    pids: tuple[int, ...]


@contextmanager
def run_shop(
    settings: Settings, *, log: Path, free_ports: bool = True, with_rabbitmq: bool = False
) -> Iterator[RunningShop]:
    """Run the services while the block runs; on free ports, or on those that the settings name.

    Brokers that the settings do not name are started: always Kafka's, RabbitMQ only if it is asked for.

    Raises ``RuntimeError`` with the log if a service does not start.
    """
    with ExitStack() as stack:
        listeners = {
            service: stack.enter_context(_listen(0 if free_ports else _port(settings, service))) for service in SERVICES
        }
        urls = {f"{name}_url": f"http://127.0.0.1:{s.getsockname()[1]}" for name, s in listeners.items()}
        output = stack.enter_context(log.open("ab"))
        chosen = {"kafka_servers": settings.kafka_servers or stack.enter_context(run_kafka(output))}
        if with_rabbitmq and not settings.amqp_url:
            chosen["amqp_url"] = stack.enter_context(run_rabbitmq(log.with_name("rabbitmq")))
        if free_ports:
            chosen["prices_address"] = stack.enter_context(_reserved_address())
        settings = settings.model_copy(update=urls | chosen)
        wait_until_listening(settings.kafka_servers.split(",")[0])
        processes = []
        for service, listener in listeners.items():
            command = [sys.executable, "-m", "shop", service, "--fd", str(listener.fileno())]
            process = subprocess.Popen(
                command,
                env=_environment(settings),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for the parent; it ends them in its own time
            )
            stack.callback(_stop, process)
            processes.append(process)
            listener.close()  # from now on, a service that dies refuses connections
        _wait_until_healthy(urls.values(), log)
        yield RunningShop(
            orders_url=settings.orders_url,
            payments_url=settings.payments_url,
            warehouse_url=settings.warehouse_url,
            prices_url=f"grpc://{settings.prices_address}",
            kafka_servers=settings.kafka_servers,
            amqp_url=settings.amqp_url,
            database_url=settings.database_url,
            health_urls={service: getattr(settings, f"{service}_url") for service in SERVICES},
            log=log,
            pids=tuple(process.pid for process in processes),
        )
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()  # all at once; each is waited for by its callback


def _listen(port: int) -> socket.socket:
    """Open a listening socket before its service runs: its address is known, and early callers just wait."""
    return socket.create_server(("127.0.0.1", port), backlog=128)


@contextmanager
def _reserved_address() -> Iterator[str]:
    """Hold a port that nobody else gets and a gRPC server, which shares it, may listen at."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


def _port(settings: Settings, service: str) -> int:
    return urlsplit(getattr(settings, f"{service}_url")).port or 80


def _environment(settings: Settings) -> Mapping[str, str]:
    path = os.pathsep.join(filter(None, [str(_HOME), os.environ.get("PYTHONPATH")]))
    chosen = {f"SHOP_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    return os.environ | chosen | {"PYTHONPATH": path}


def _wait_until_healthy(urls: Iterable[str], log: Path) -> None:
    with httpx.Client(timeout=_START_S, trust_env=False) as client:
        for url in urls:
            try:
                client.get(f"{url}/health").raise_for_status()
            except httpx.HTTPError as error:
                raise RuntimeError(f"the shop did not start ({error}); its log:\n{log.read_text()}") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
