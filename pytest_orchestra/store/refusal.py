"""What every store says when it refuses."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_orchestra.engine.ports import Lease
from pytest_orchestra.errors import LeaseLostError, StoreError

__all__ = ["lease_lost", "no_suite_run"]


def lease_lost(lease: Lease) -> LeaseLostError:
    """Give the error for a write whose fence has moved on."""
    return LeaseLostError(
        f"store: the lease of run '{lease.run_id}' with fence '{lease.fence}' is no longer held by '{lease.owner}'"
    )


def no_suite_run(ids: Iterable[str]) -> StoreError:
    """Give the error for runs of a SuiteRun that was never begun."""
    named = "', '".join(sorted(ids))
    return StoreError(f"store: there is no suite run '{named}'")
