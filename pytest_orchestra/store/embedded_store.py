"""The store in the PostgreSQL of one's own, which needs no installation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar, Final

import psycopg

from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.migration import migrate
from pytest_orchestra.store.postgres import PostgresStore

__all__ = ["EmbeddedStore"]

_NAME: Final = "orchestra"
"""The database, and the role that owns it: no superuser, so that row-level security binds it."""

_REQUIRE_AUTH_SINCE: Final = 160_000


class EmbeddedStore(PostgresStore):
    """A ``PostgresStore`` in the embedded server of ``folder``, started, shared and started again as needed.

    ``folder`` is the server's own, as ``EmbeddedPostgres`` takes it.
    """

    _is_direct: ClassVar[bool] = True

    def __init__(self, folder: Path, tenant: str = "default", *, patience_s: float = 30.0) -> None:
        super().__init__("", tenant, patience_s=patience_s)
        self._folder = folder
        self._server = EmbeddedPostgres(folder)
        self._has_database = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._folder)!r})"

    async def open(self) -> None:
        """Start the server or join it, connect, and bring the schema up to date.

        Raises ``StoreUnavailableError``, ``SchemaVersionError``.
        """
        try:
            await super().open()
        except BaseException:
            self._server.release()
            raise

    async def migrate(self) -> tuple[int, ...]:
        """Bring the schema up to date without opening the store; give the versions that were applied."""
        try:
            return await migrate((await self._address()).reveal())
        finally:
            self._server.release()

    async def close(self) -> None:
        """Write what is pending, disconnect and stop using the server."""
        try:
            await super().close()
        finally:
            self._server.release()

    async def _address(self) -> Secret:
        return await asyncio.to_thread(self._start)

    def _start(self) -> Secret:
        address = self._server.start()
        if not self._has_database:
            self._server.ensure_own_database(_NAME)
            self._has_database = True
        url = address.url(_NAME, user=_NAME)
        if psycopg.pq.version() >= _REQUIRE_AUTH_SINCE:
            url += "&require_auth=scram-sha-256"  # whoever else listens there by now must not be told the password
        return Secret(url)
