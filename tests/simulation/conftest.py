"""Simulated services that are closed again, and a client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from simulated_shop import SIDECAR, make_service, write_project


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def start(tmp_path):
    """Start simulated payments."""
    started = []

    async def starting(simulation=None, **options):
        service = make_service(tmp_path, simulation, **options)
        await service.start()
        started.append(service)
        return service

    yield starting
    for service in started:
        await service.close()


@pytest.fixture
def correlated():
    """Headers of a request of a run."""
    return {"X-Correlation-ID": "corr-1"}


@pytest.fixture
def project(pytester):
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")

    def write(sidecar=SIDECAR, environments="local:\n  services: {payments: 'http://127.0.0.1:9'}\n"):
        folder = pytester.path
        write_project(folder, sidecar)
        (folder / "environments.yaml").write_text(environments)
        (folder / "data").mkdir(exist_ok=True)
        rows = [{"name": f"n{amount}", "data": {"amount": amount}} for amount in (5, 6, 7)]
        (folder / "data" / "rows.json").write_text(json.dumps({"dataSets": rows}))

        def run(*options):
            return pytester.runpytest_subprocess(
                "--orchestra", "--orchestra-store=memory", "-p", "no:cacheprovider", *options
            )

        return run

    return write
