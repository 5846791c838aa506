"""The reference of ``concurrency.py``: what the scenarios do, by the same client, in a bare asyncio script.

Prints its wall and processor seconds as JSON, from before the import of the client on, as a session has it as well.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

POLL_S = 0.05


async def run(base_url: str, scenarios: int, concurrency: int) -> None:
    import httpx  # noqa: PLC0415  part of what is measured
    from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415

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


def main() -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main()
