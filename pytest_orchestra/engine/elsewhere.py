"""The runs that other workers hold: watched until they have ended, or are free to be taken over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from pytest_orchestra.engine.limits import Deadline
from pytest_orchestra.engine.ports import Presence, RunState, StoredRun
from pytest_orchestra.engine.request import RunRequest
from pytest_orchestra.engine.store_guard import StoreGuard
from pytest_orchestra.errors import StoreError

__all__ = ["NEVER_S", "Elsewhere", "stop"]

_LOOK_S: Final = 0.25
NEVER_S: Final = 1e9
"""So many seconds that no lease has ended before them."""


class Elsewhere:
    """Looks at the runs of other workers a few times a second, all in one query.

    ``on_ended`` is called with what the store has of a run that has ended, ``on_free`` when the lease of one has ended
    without its end, ``on_error`` when the store is lost.
    """

    def __init__(
        self,
        store: StoreGuard,
        presence: Presence | None,
        *,
        on_ended: Callable[[RunRequest, StoredRun], Awaitable[None]],
        on_free: Callable[[RunRequest], None],
        on_error: Callable[[RunRequest, StoreError], Awaitable[None]],
    ) -> None:
        self._store = store
        self._presence = presence
        self._on_ended = on_ended
        self._on_free = on_free
        self._on_error = on_error
        self._watched: dict[str, RunRequest] = {}
        self._suite_run_id = ""
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, request: RunRequest) -> None:
        """Watch a run that could not be claimed."""
        self._suite_run_id = request.run.suite_run_id
        self._watched[request.run.id] = request
        self._wake.set()

    def withdraw_all(self) -> list[RunRequest]:
        """Stop watching; give what was watched."""
        watched = list(self._watched.values())
        self._watched.clear()
        return watched

    async def keep_looking(self) -> None:
        """Look, until cancelled; costs nothing while there is nothing to look at."""
        while True:
            await self._wake.wait()
            try:
                await self._look()
            except StoreError as error:
                for request in self.withdraw_all():
                    await self._on_error(request, error)
            await asyncio.sleep(_LOOK_S)  # also behind the last one, which may be back at once
            if not self._watched:
                self._wake.clear()

    async def follow(self, request: RunRequest, deadline: Deadline | None) -> StoredRun | None:
        """Wait for a single run: give it when it has ended, None when it is free, or when the session's time is over.

        Raises ``StoreError``.
        """
        while deadline is None or not deadline.is_over:
            states = await self._store.read_states([request.run.id])
            if states and states[0].status.is_final:
                return (await self._store.read_runs([request.run.id]))[0]
            if not states or not states[0].is_leased:
                return None
            if states[0].owner:
                await self.release_dead({states[0].owner})
            await asyncio.sleep(_LOOK_S)
        return None

    async def has_company(self, suite_run_id: str, owner: str) -> bool:
        """Tell whether others than ``owner`` carry out runs of a SuiteRun, and so may take those that are left."""
        with contextlib.suppress(StoreError):
            stored = await self._store.list_runs(suite_run_id)
            return any(each.is_leased and each.owner != owner for each in stored)
        return False

    def is_gone(self, owner: str) -> bool:
        """Tell whether a worker is known to be dead."""
        return self._presence is not None and self._presence.is_gone(owner)

    async def release_dead(self, owners: set[str]) -> None:
        """End the leases of workers that are known to be dead. Raises ``StoreError``."""
        gone = sorted(owner for owner in owners if self.is_gone(owner))
        if gone:
            await self._store.release_leases(gone)

    async def _look(self) -> None:
        await self._store.reap_runs(NEVER_S, self._suite_run_id)
        states = {state.run_id: state for state in await self._store.read_states(list(self._watched))}
        await self.release_dead({state.owner for state in states.values() if state.is_leased and state.owner})
        ended = [run_id for run_id, state in states.items() if state.status.is_final]
        stored = {each.run.id: each for each in await self._store.read_runs(ended)} if ended else {}
        for run_id, request in list(self._watched.items()):
            await self._judge(request, states.get(run_id), stored.get(run_id))

    async def _judge(self, request: RunRequest, state: RunState | None, stored: StoredRun | None) -> None:
        if stored is not None:
            await self._on_ended(request, stored)
            self._watched.pop(request.run.id, None)
        elif state is None or not state.is_leased:
            self._watched.pop(request.run.id, None)
            self._on_free(request)


async def stop(task: asyncio.Task[None] | None) -> None:
    """Cancel a task that runs without end, and wait for it."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(task, return_exceptions=True)
