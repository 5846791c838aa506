"""The leases that this worker holds: kept alive while their runs go on, and told when they are lost."""

from __future__ import annotations

import asyncio
import contextlib

from pytest_orchestra.engine.ports import Lease
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.errors import StoreError

__all__ = ["LeaseKeeper"]


class LeaseKeeper:
    """Prolongs leases three times in their lifetime, and stops the tasks of runs whose lease another worker took."""

    def __init__(self, store: StoreGuard, owner: str, lease_s: float) -> None:
        self.owner = owner
        self.lease_s = lease_s
        self._store = store
        self._held: dict[str, tuple[Lease, asyncio.Task[object] | None]] = {}
        self._lost: set[str] = set()

    async def claim(self, run_id: str) -> Lease | None:
        """Take the lease of a run for the task that calls; None if it is not to be had. Raises ``StoreError``."""
        lease = await self._store.claim(run_id, self.owner, self.lease_s)
        if lease is not None:
            self._lost.discard(run_id)
            self._held[run_id] = (lease, asyncio.current_task())
        return lease

    def drop(self, lease: Lease) -> None:
        """Forget a lease that is given back, or lost."""
        self._held.pop(lease.run_id, None)

    def was_lost(self, lease: Lease) -> bool:
        """Tell whether another worker has taken a lease over."""
        return lease.run_id in self._lost

    async def keep(self) -> None:
        """Prolong what is held, until cancelled."""
        while True:
            await asyncio.sleep(self.lease_s / 3)
            if self._held:
                with contextlib.suppress(StoreError):  # the next write of each run will say what is wrong
                    await self._prolong()

    async def _prolong(self) -> None:
        asked = [lease for lease, _ in self._held.values()]
        held = {lease.run_id for lease in await self._store.heartbeat(asked, self.lease_s)}
        for lease in asked:
            known = self._held.get(lease.run_id)
            if known is None or known[0] is not lease or lease.run_id in held:
                continue
            self._lost.add(lease.run_id)
            if known[1] is not None:
                known[1].cancel()
