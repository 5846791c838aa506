"""The SQL files: described, used, and each bound to its tenant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_orchestra.store
from pytest_orchestra.store.queries import load_query, sql_folder

ROOT = Path(pytest_orchestra.store.__file__).parent
NAMES = sorted(file.name.removesuffix(".sql") for file in sql_folder("queries").iterdir())
TENANT_TABLE = re.compile(r"\borchestra\.(tenant|process_version|suite_run|test_run|test_step_result)\b")


@pytest.mark.parametrize("name", NAMES)
def test_query_has_a_line_of_description(name: str):
    """The first line of a query says, in a sentence, what it does."""
    first = load_query(name).decode().splitlines()[0]
    assert re.fullmatch(r"-- [A-Z].+\.", first)


@pytest.mark.parametrize("name", NAMES)
def test_query_is_used(name: str):
    """No query lies about that nobody runs."""
    source = "".join(file.read_text("utf-8") for file in ROOT.glob("*.py"))
    assert f'"{name}"' in source


@pytest.mark.parametrize("name", NAMES)
def test_query_of_a_tenants_table_names_the_tenant(name: str):
    """A query binds every table of tenants that it touches to the tenant."""
    text = load_query(name).decode()
    tables = len(TENANT_TABLE.findall(text))
    assert text.count("%(tenant)s") >= tables


def test_queries_are_the_only_sql():
    """No statement hides in Python."""
    statement = re.compile(r"[\"'](SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|SET)\s")
    offenders = [file.name for file in ROOT.glob("*.py") if statement.search(file.read_text("utf-8"))]
    assert offenders == []
