"""Wall time of 200 scenarios: the plugin against a bare asyncio script, against itself one by one, and by store."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from httpx_aiohttp import AiohttpTransport
from workload import server, write_project

POLL_S = 0.05


async def _bare(base_url: str, scenarios: int, concurrency: int) -> None:
    """Do what the scenarios do, with the same client, and nothing else."""
    limit = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(base_url=base_url, transport=AiohttpTransport(limits=limits)) as client:

        async def poll(path: str, status: str) -> None:
            while (await client.get(path)).json()["status"] != status:
                await asyncio.sleep(POLL_S)

        async def scenario(n: int) -> None:
            async with limit:
                customer = (await client.post("/customers", json={"name": f"customer {n}"})).json()["id"]
                order = (await client.post("/orders", json={"customer": customer})).json()["id"]
                await poll(f"/orders/{order}", "SHIPPED")
                await client.get(f"/invoices/{order}")
                await client.post(f"/orders/{order}/cancellation")
                await poll(f"/orders/{order}", "CANCELLED")

        await asyncio.gather(*(scenario(n) for n in range(scenarios)))


def _pytest(folder: Path, *options: str) -> float:
    """Run the project and give the seconds that pytest reports for the run itself."""
    command = [sys.executable, "-m", "pytest", "--orchestra", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ})
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode or " passed in " not in last:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return float(last.partition(" in ")[2].split("s")[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenarios", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=200)
    parser.add_argument("--settle", type=float, default=0.5)
    parser.add_argument("--sequential", type=int, default=20, help="how many to run one after another")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with server(options.settle) as base_url, tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        write_project(project, base_url, options.scenarios)
        few = Path(folder) / "few"
        write_project(few, base_url, options.sequential)
        began = time.perf_counter()
        asyncio.run(_bare(base_url, options.scenarios, options.concurrency))
        bare = time.perf_counter() - began
        concurrency = f"--orchestra-concurrency={options.concurrency}"
        memory = _pytest(project, concurrency, "--orchestra-store=memory")
        embedded = _pytest(project, concurrency)
        embedded = min(embedded, _pytest(project, concurrency))  # the first one also makes the database
        one_by_one = _pytest(few, "--orchestra-concurrency=1", "--orchestra-store=memory")
    sequential = one_by_one / options.sequential * options.scenarios
    print(f"bare asyncio script  {bare:6.2f} s")
    print(f"memory store         {memory:6.2f} s   {memory / bare:5.2f} of bare       (limit 1.5)")
    print(f"embedded store       {embedded:6.2f} s   {embedded / memory:5.2f} of memory     (limit 1.2)")
    print(f"one after another    {sequential:6.1f} s   {sequential / memory:5.1f} times slower  (at least 10)")
    if options.check and (memory > 1.5 * bare or embedded > 1.2 * memory or sequential < 10 * memory):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
