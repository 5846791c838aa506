"""Bringing the schema up to date: numbered files, each applied once, in its own transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import psycopg

from pytest_orchestra.errors import SchemaVersionError, StoreError
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store.connection import Connection, connect, first_line
from pytest_orchestra.store.queries import load_query, sql_folder

__all__ = ["Migration", "known_migrations", "migrate", "pending_migrations", "schema_version", "update_schema"]

_ENDING: Final = ".sql"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema's history; ``script`` is empty for one that is read from the database."""

    version: int
    name: str
    checksum: str
    script: bytes = b""


async def migrate(conninfo: str) -> tuple[int, ...]:
    """Bring a database up to date; give the versions that were applied, none if it was up to date already.

    Several processes may do so at once. Raises ``StoreUnavailableError``, ``SchemaVersionError``, ``StoreError``.
    """
    async with await connect(Secret(conninfo)) as connection:
        return await update_schema(connection)


async def schema_version(conninfo: str) -> int:
    """Give the version of a database's schema, 0 if it has none. Raises ``StoreUnavailableError``."""
    async with await connect(Secret(conninfo)) as connection:
        return max((migration.version for migration in await _list_applied(connection)), default=0)


async def update_schema(connection: Connection) -> tuple[int, ...]:
    """Apply what is missing, over an open connection; give the versions that were applied."""
    applied: list[int] = []
    for migration in pending_migrations(known_migrations(), await _list_applied(connection)):
        try:
            if await _apply(connection, migration):
                applied.append(migration.version)
        except psycopg.Error as error:
            raise StoreError(
                f"store: migration '{migration.name}' failed: {first_line(error)}",
                hint="run 'orchestra migrate' as the owner of the database",
            ) from error
    return tuple(applied)


def pending_migrations(known: Sequence[Migration], applied: Sequence[Migration]) -> tuple[Migration, ...]:
    """Decide what is to be applied. Raises ``SchemaVersionError`` if the database went another way."""
    by_version: Mapping[int, Migration] = {migration.version: migration for migration in known}
    newest = max(by_version)
    for migration in applied:
        if migration.version > newest:
            raise SchemaVersionError(
                f"store: schema version '{max(found.version for found in applied)}' is newer than '{newest}', "
                "the newest this version of pytest-orchestra knows",
                hint="upgrade pytest-orchestra",
            )
        if migration.checksum != by_version[migration.version].checksum:
            raise SchemaVersionError(
                f"store: migration '{migration.name}' is not the one that was applied to this database",
                hint="install the version of pytest-orchestra that made the schema, or choose another database",
            )
    present = {migration.version for migration in applied}
    return tuple(migration for migration in known if migration.version not in present)


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Give the migrations of this version, in order."""
    files = sorted(
        (file for file in sql_folder("migrations").iterdir() if file.name.endswith(_ENDING)), key=lambda file: file.name
    )
    return tuple(_read(file.name.removesuffix(_ENDING), file.read_bytes()) for file in files)


def _read(name: str, raw: bytes) -> Migration:
    script = raw.replace(b"\r\n", b"\n")  # a checkout may have changed the line ends
    return Migration(int(name.partition("_")[0]), name, hashlib.sha256(script).hexdigest(), script)


async def _list_applied(connection: Connection) -> tuple[Migration, ...]:
    found = await (await connection.execute(load_query("find_migrations_table"))).fetchone()
    if found is None or not found["found"]:
        return ()
    rows = await (await connection.execute(load_query("list_migrations"))).fetchall()
    return tuple(Migration(**row) for row in rows)


async def _apply(connection: Connection, migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute(load_query("lock_migrations"))
        if any(other.version == migration.version for other in await _list_applied(connection)):
            return False  # another process did it while this one waited
        await connection.execute(migration.script)
        await connection.execute(
            load_query("record_migration"),
            {"version": migration.version, "name": migration.name, "checksum": migration.checksum},
        )
        return True
