"""The example's processes live exactly as long as what started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from shop.launch import run_shop
from shop.settings import Settings

_STARTER = """
import os, sys, time
from pathlib import Path
from shop.launch import run_shop
from shop.settings import Settings
with run_shop(Settings.read(os.environ), log=Path(sys.argv[1])) as shop:
    print(*shop.health_urls.values(), shop.kafka_servers, flush=True)
    time.sleep(60)
"""


def test_processes_end_with_their_block(shop_settings: Settings, tmp_path: Path) -> None:
    """When the block ends, the processes are gone and their ports are free."""
    with run_shop(shop_settings, log=tmp_path / "shop.log") as shop:
        assert httpx.get(f"{shop.orders_url}/health").json() == {"status": "UP", "service": "orders"}
    for pid in shop.pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not _answers(shop.orders_url)
    assert not _listens(shop.kafka_servers)


def test_processes_end_when_their_starter_is_killed(example: Path, shop_settings: Settings, tmp_path: Path) -> None:
    """``kill -9`` of the starter leaves nothing behind."""
    chosen = {f"SHOP_{name.upper()}": str(value) for name, value in shop_settings.model_dump().items()}
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(tmp_path / "shop.log")],
        env=os.environ | chosen | {"PYTHONPATH": str(example)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        *urls, kafka = starter.stdout.readline().split()
        assert [_answers(url) for url in urls] == [True] * 4
        assert _listens(kafka)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    deadline = time.monotonic() + 10
    while any(_answers(url) for url in urls) or _listens(kafka):
        assert time.monotonic() < deadline, "a service or a broker outlived its starter"
        time.sleep(0.02)


def test_service_that_cannot_start_shows_its_log(shop_settings: Settings, tmp_path: Path) -> None:
    """A shop that does not start is an error that carries what its processes said."""
    with (
        pytest.raises(RuntimeError, match="'wrong-colour' is not a valid Fault"),
        run_shop(shop_settings.model_copy(update={"misbehave": "wrong-colour"}), log=tmp_path / "shop.log"),
    ):
        pytest.fail("it started")


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False
