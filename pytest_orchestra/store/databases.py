"""Making roles and databases on the embedded server."""

from __future__ import annotations

from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from pytest_orchestra.model.secret import Secret
from pytest_orchestra.store.queries import load_query

__all__ = ["create_database", "create_role"]


def create_role(conninfo: str, name: str, password: Secret) -> None:
    """Make a role that may log in; harmless when it exists. The password leaves this process only as its verifier."""
    with psycopg.connect(conninfo, autocommit=True) as connection, connection.transaction():
        connection.execute(load_query("lock_server_objects"))
        if connection.execute(load_query("find_role"), {"name": name}).fetchone() is None:
            verifier = connection.pgconn.encrypt_password(password.reveal().encode(), name.encode(), b"scram-sha-256")
            connection.execute(
                _compose("create_role", name=sql.Identifier(name), verifier=sql.Literal(verifier.decode()))
            )


def create_database(conninfo: str, name: str, owner: str) -> None:
    """Make a database; harmless when it exists or another process makes it at this moment."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(load_query("lock_server_objects_for_session"))
        if connection.execute(load_query("find_database"), {"name": name}).fetchone() is None:
            connection.execute(_compose("create_database", name=sql.Identifier(name), owner=sql.Identifier(owner)))


def _trusted(query: str) -> LiteralString:
    text: Any = load_query(query).decode()  # from a file of this package, which the type cannot tell
    return cast("LiteralString", text)


def _compose(query: str, **parts: sql.Composable) -> sql.Composed:
    """Fill a statement that takes no parameters, as the names of objects are none."""
    return sql.SQL(_trusted(query)).format(**parts)
