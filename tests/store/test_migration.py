"""Bringing the schema up to date."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from store_samples import begin, make_step

from pytest_orchestra.errors import SchemaVersionError, StoreError
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.migration import (
    Migration,
    known_migrations,
    migrate,
    pending_migrations,
    schema_version,
)
from pytest_orchestra.store.postgres import PostgresStore

NEWEST = known_migrations()[-1].version


def test_known_migrations_are_numbered_without_a_gap():
    """Versions count from 1, and a file's number is its version."""
    assert [migration.version for migration in known_migrations()] == list(range(1, NEWEST + 1))
    assert all(migration.name.startswith(f"{migration.version:04}_") for migration in known_migrations())


async def test_migrate_empty_database_applies_all_then_nothing(fresh_database: str):
    """The first time everything is applied, the second time nothing."""
    assert await schema_version(fresh_database) == 0
    assert await migrate(fresh_database) == tuple(range(1, NEWEST + 1))
    assert await schema_version(fresh_database) == NEWEST
    assert await migrate(fresh_database) == ()


async def test_migrate_at_once_applies_each_migration_once(fresh_database: str):
    """Of several processes that begin together, one applies a migration and the others find it applied."""
    applied = await asyncio.gather(*(migrate(fresh_database) for _ in range(6)))
    assert sorted(version for versions in applied for version in versions) == list(range(1, NEWEST + 1))


async def test_open_newer_schema_is_refused(fresh_database: str):
    """A version that does not know the schema leaves it alone."""
    await migrate(fresh_database)
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "INSERT INTO orchestra.schema_migration (version, name, checksum) VALUES (%s, 'future', 'x')", [NEWEST + 1]
        )
    with pytest.raises(SchemaVersionError) as caught:
        await PostgresStore(fresh_database).open()
    assert str(caught.value) == (
        f"store: schema version '{NEWEST + 1}' is newer than '{NEWEST}', "
        "the newest this version of pytest-orchestra knows\n"
        "hint: upgrade pytest-orchestra"
    )
    assert await schema_version(fresh_database) == NEWEST + 1


async def test_open_changed_migration_is_refused(fresh_database: str):
    """A migration that was applied in another form is noticed by its checksum."""
    await migrate(fresh_database)
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE orchestra.schema_migration SET checksum = 'other' WHERE version = 1")
    with pytest.raises(SchemaVersionError) as caught:
        await PostgresStore(fresh_database).open()
    assert str(caught.value) == (
        "store: migration '0001_runs' is not the one that was applied to this database\n"
        "hint: install the version of pytest-orchestra that made the schema, or choose another database"
    )


async def test_migrate_without_the_right_to_is_explained(fresh_database: str, server: EmbeddedPostgres):
    """Who may not make a schema is told who may."""
    server.create_role("guest")
    url = fresh_database.replace(f"{server.address.user}:", "guest:", 1)
    with pytest.raises(StoreError) as caught:
        await migrate(url)
    database = fresh_database.rsplit("/", 1)[1].partition("?")[0]
    assert str(caught.value) == (
        f"store: migration '0001_runs' failed: permission denied for database {database}\n"
        "hint: run 'orchestra migrate' as the owner of the database"
    )
    assert await schema_version(fresh_database) == 0


def test_pending_migrations_are_those_not_applied_in_order():
    """What is missing is applied in order, also in the middle."""
    known = [Migration(number, f"000{number}_x", f"sum-{number}") for number in (1, 2, 3)]
    assert pending_migrations(known, [known[1]]) == (known[0], known[2])


def test_every_table_is_bound_to_its_tenant(superuser_url: str):
    """Each table but the schema's own has a tenant in every unique key, never null, and forced row-level security."""
    with psycopg.connect(superuser_url) as connection:
        tables = connection.execute(
            """
            SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
                   EXISTS (SELECT FROM pg_attribute a
                           WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull),
                   (SELECT bool_and(EXISTS (
                        SELECT FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnum = i.indkey[0]))
                    FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique)
            FROM pg_class c WHERE c.relnamespace = 'orchestra'::regnamespace AND c.relkind = 'r'
            """
        ).fetchall()
    bound = {name for name, *_ in tables} - {"schema_migration"}
    assert {"tenant", "process_version", "suite_run", "test_run", "test_step_result"} <= bound
    assert {(name, *facts) for name, *facts in tables if name in bound} == {(name, True, True, True) for name in bound}


async def test_deleted_runs_take_their_steps_with_them(fresh_database: str):
    """No result is left without its run: neither behind a run that is deleted nor behind a SuiteRun."""
    store = PostgresStore(fresh_database, "team")
    await store.open()
    try:
        suite_run, runs = await begin(store, "a", "b", "c")
        for run in runs:
            lease = await store.claim(run.id, "worker-1", 30)
            assert lease is not None
            await store.record_step(lease, make_step("place"), None, {})
        with psycopg.connect(fresh_database, autocommit=True) as connection:
            counted = "SELECT count(*) FROM orchestra.test_step_result"
            connection.execute("DELETE FROM orchestra.test_run WHERE test_run_id = %s", [runs[0].id])
            assert connection.execute(counted).fetchone() == (2,)
            connection.execute("DELETE FROM orchestra.suite_run WHERE suite_run_id = %s", [suite_run.id])
            assert connection.execute(counted).fetchone() == (0,)
    finally:
        await store.close()
