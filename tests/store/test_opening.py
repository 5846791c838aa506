"""From the value of an option to a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pytest_orchestra
from pytest_orchestra.errors import SettingsError
from pytest_orchestra.store.embedded import EmbeddedPostgres
from pytest_orchestra.store.embedded_store import EmbeddedStore
from pytest_orchestra.store.memory import MemoryStore
from pytest_orchestra.store.migration import known_migrations
from pytest_orchestra.store.opening import migrate_store, open_store
from pytest_orchestra.store.postgres import PostgresStore

HINT = "hint: choose --orchestra-store=embedded, --orchestra-store=memory or --orchestra-store=postgresql://..."


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("embedded", EmbeddedStore),
        ("memory", MemoryStore),
        ("postgresql://team:s3cret@db:5433/orchestra", PostgresStore),
        ("postgres://db/orchestra", PostgresStore),
    ],
)
def test_open_store_known_name_is_that_kind(url: str, kind: type, tmp_path: Path):
    """Each name leads to its store; nothing is started by asking for it."""
    assert type(open_store(url, tenant="acme", cache_folder=tmp_path)) is kind
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "shown"), [("sqlite", "sqlite"), ("mysql://root:s3cret@db/x", "mysql://..."), ("", "")]
)
def test_open_store_unknown_name_is_refused_without_its_password(url: str, shown: str, tmp_path: Path):
    """What is no store is named as far as that is safe, with what there is instead."""
    with pytest.raises(SettingsError) as caught:
        open_store(url, tenant="acme", cache_folder=tmp_path)
    assert str(caught.value) == f"store: unknown store '{shown}'\n{HINT}"


def test_repr_of_a_store_shows_no_password(tmp_path: Path):
    """A store may be printed."""
    store = open_store("postgresql://team:s3cret@db:5433/orchestra", tenant="acme", cache_folder=tmp_path)
    assert repr(store) == "PostgresStore('db:5433')"
    embedded = open_store("embedded", tenant="acme", cache_folder=tmp_path)
    assert repr(embedded) == f"EmbeddedStore('{tmp_path / 'postgres'}')"


async def test_migrate_store_brings_each_kind_up_to_date_once(tmp_path: Path, fresh_database: str):
    """The first time tells what was applied, the second time nothing; the memory has no schema."""
    everything = tuple(migration.version for migration in known_migrations())
    assert await migrate_store("memory", cache_folder=tmp_path) == ()
    for url in (fresh_database, "embedded"):
        assert await migrate_store(url, cache_folder=tmp_path) == everything
        assert await migrate_store(url, cache_folder=tmp_path) == ()
    EmbeddedPostgres(tmp_path / "postgres").remove()


async def test_migrate_store_unknown_name_is_refused(tmp_path: Path):
    """What is no store has no schema."""
    with pytest.raises(SettingsError, match=r"^store: unknown store 'sqlite'\n"):
        await migrate_store("sqlite", cache_folder=tmp_path)


@pytest.mark.parametrize("name", ["store", "store.opening", "store.memory"])
def test_import_without_a_database_imports_no_driver(name: str):
    """Who uses no database does not pay for its driver."""
    root = Path(pytest_orchestra.__file__).parent.parent
    program = f"import sys, pytest_orchestra.{name}; print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "False\n"
