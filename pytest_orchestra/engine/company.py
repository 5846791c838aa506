"""The workers of a SuiteRun: this one shows that it lives, and sees whether the others do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from pytest_orchestra.engine.ports import Presence, SignOfLife
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.errors import StoreError

__all__ = ["Company"]

_BEAT_S: Final = 2.0
"""How often a sign of life is renewed at least: others wait for the next one when they have nothing else to do."""


class Company:
    """Keeps this worker's sign of life in the store while it has something to do, and reads those of the others.

    A sign counts for as long as a lease does. A worker that leaves takes it along: one whose sign has expired is dead,
    or stood still for so long that it counts as dead. ``presence`` knows the dead of this machine sooner.
    """

    def __init__(self, store: StoreGuard, owner: str, lease_s: float, presence: Presence | None) -> None:
        self._store = store
        self._owner = owner
        self._lease_s = lease_s
        self._presence = presence
        self._suite_run_id = ""
        self._is_shown = False
        self._signs: Mapping[str, SignOfLife] = {}

    async def join(self, suite_run_id: str) -> None:
        """Show from now on that this worker goes on with a SuiteRun. Raises ``StoreError``."""
        self._suite_run_id = suite_run_id
        await self.show()

    async def show(self) -> None:
        """Renew the sign of life, or show it again. Raises ``StoreError``."""
        self._is_shown = True
        await self._store.sign_in(self._suite_run_id, self._owner, self._lease_s)

    async def leave(self) -> None:
        """Take the sign of life away: what this worker has ended, it tells. Raises ``StoreError``."""
        if self._is_shown:
            self._is_shown = False
            await self._store.sign_out(self._suite_run_id, self._owner)

    async def look(self) -> Mapping[str, SignOfLife]:
        """Give the signs of those that have not left, by worker. Raises ``StoreError``."""
        self._signs = {sign.owner: sign for sign in await self._store.read_signs(self._suite_run_id)}
        return self._signs

    @property
    def living(self) -> frozenset[str]:
        """The workers that lived at the last look."""
        return frozenset(owner for owner in self._signs if not self.is_gone(owner))

    def is_gone(self, owner: str) -> bool:
        """Tell whether a worker is known to be dead; False if it left in order, or nothing is known of it."""
        sign = self._signs.get(owner)
        is_silent = sign is not None and not sign.is_alive
        return is_silent or (self._presence is not None and self._presence.is_gone(owner))

    async def keep_showing(self) -> None:
        """Renew the sign of life, until cancelled."""
        while True:
            await asyncio.sleep(min(self._lease_s / 3, _BEAT_S))
            if self._is_shown:
                with contextlib.suppress(StoreError):  # the next write of a run will say what is wrong
                    await self.show()
