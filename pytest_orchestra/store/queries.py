"""The named queries: one ``.sql`` file each, whose first line says what it does."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["load_query", "sql_folder"]


def sql_folder(name: str) -> Traversable:
    """Give the folder ``migrations`` or ``queries``."""
    return files("pytest_orchestra.store") / "sql" / name


@cache
def load_query(name: str) -> bytes:
    """Give the text of a query by its name, which is the file's without its ending."""
    return (sql_folder("queries") / f"{name}.sql").read_bytes()
