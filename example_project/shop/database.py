"""One service's part of the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

_CONNECT_S: Final = 10.0

Row = TypeVar("Row", bound=BaseModel)


class Database:
    """A few connections, and rows as models."""

    def __init__(self, url: str) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            url, min_size=1, max_size=8, open=False, kwargs={"autocommit": True}
        )

    @asynccontextmanager
    async def opened(self, schema: str) -> AsyncIterator[Database]:
        """Connect and create what is not there yet."""
        try:
            await self._pool.open(wait=True, timeout=_CONNECT_S)
            async with self._pool.connection() as connection:
                await connection.execute(schema.encode())
            yield self
        finally:
            await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Do all or nothing."""
        async with self._pool.connection() as connection, connection.transaction():
            yield connection

    async def find(self, model: type[Row], sql: LiteralString, **parameters: object) -> Row | None:
        """Give the one row, if there is one."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(model)) as cursor:
            await cursor.execute(sql, parameters)
            return await cursor.fetchone()

    async def find_all(self, model: type[Row], sql: LiteralString, **parameters: object) -> list[Row]:
        """Give all rows."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(model)) as cursor:
            await cursor.execute(sql, parameters)
            return await cursor.fetchall()

    async def run(self, sql: LiteralString, **parameters: object) -> None:
        """Change something and ask no more."""
        async with self._pool.connection() as connection:
            await connection.execute(sql, parameters)
