"""From the value of ``--orchestra-store`` to a store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from pytest_orchestra.errors import SettingsError, StoreUnavailableError

if TYPE_CHECKING:
    from pytest_orchestra.engine.ports import RunStore

__all__ = ["PATIENCE_S", "migrate_store", "open_store", "refuse_unknown_store", "start_server"]

PATIENCE_S: Final = 30.0

_SERVER: Final = "postgres"
"""The folder of the embedded server, in the cache folder."""

_SCHEMES: Final = ("postgresql://", "postgres://")


@runtime_checkable
class _Migrated(Protocol):
    async def migrate(self) -> tuple[int, ...]: ...


def open_store(url: str, *, tenant: str, cache_folder: Path, patience_s: float = PATIENCE_S) -> RunStore:
    """Make the store that ``url`` names; nothing is started or connected before its ``open()``.

    ``url`` is ``embedded``, ``memory`` or a ``postgresql://`` URL; ``cache_folder`` is where the embedded one lives;
    ``patience_s`` is how long a store that was lost is waited for.
    Raises ``SettingsError`` for anything else, and ``StoreUnavailableError`` where there can be no embedded one.
    """
    if url == "memory":
        from pytest_orchestra.store.memory import MemoryStore  # noqa: PLC0415 - only the chosen one is imported

        return MemoryStore(tenant)
    if url == "embedded":
        if sys.platform == "win32":
            raise StoreUnavailableError(
                "store: there is no embedded store on Windows",
                hint="choose --orchestra-store=memory or --orchestra-store=postgresql://...",
            )
        from pytest_orchestra.store.embedded_store import EmbeddedStore  # noqa: PLC0415 - as above

        return EmbeddedStore(cache_folder / _SERVER, tenant, patience_s=patience_s)
    if url.startswith(_SCHEMES):
        from pytest_orchestra.store.postgres import PostgresStore  # noqa: PLC0415 - as above

        return PostgresStore(url, tenant, patience_s=patience_s)
    raise _unknown(url)


def start_server(cache_folder: Path) -> Callable[[], None]:
    """Start the server of the embedded store, and load its driver, ahead of the store; give what stops using it.

    Serves to be called in a thread: nothing of ours is imported that imports the driver. Raises
    ``StoreUnavailableError``, and ``ImportError`` without the driver.
    """
    from pytest_orchestra.store.embedded import EmbeddedPostgres  # noqa: PLC0415 - as above

    server = EmbeddedPostgres(cache_folder / _SERVER)
    server.start()
    try:
        import_module("psycopg")
    except BaseException:
        server.release()
        raise
    return server.release


def refuse_unknown_store(url: str) -> None:
    """Raise ``SettingsError`` for what is no store's name, long before anything is opened."""
    if url not in ("memory", "embedded") and not url.startswith(_SCHEMES):
        raise _unknown(url)


def _unknown(url: str) -> SettingsError:
    scheme, separator, _rest = url.partition("://")
    shown = f"{scheme}://..." if separator else url  # what follows may hold a password
    return SettingsError(
        f"store: unknown store '{shown}'",
        hint="choose --orchestra-store=embedded, --orchestra-store=memory or --orchestra-store=postgresql://...",
    )


async def migrate_store(url: str, *, cache_folder: Path) -> tuple[int, ...]:
    """Bring the schema of the store that ``url`` names up to date; give the versions that were applied.

    The memory has no schema. Raises what :func:`open_store` and the store's ``open()`` raise.
    """
    if url.startswith(_SCHEMES):
        from pytest_orchestra.store.migration import migrate  # noqa: PLC0415 - as above

        return await migrate(url)
    store = open_store(url, tenant="default", cache_folder=cache_folder)
    if not isinstance(store, _Migrated):
        return ()
    return await store.migrate()
