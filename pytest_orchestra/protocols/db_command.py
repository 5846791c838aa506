"""A query as a command that a person pastes into bash, for databases other than PostgreSQL."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, cast

from pytest_orchestra.model.json import JsonObject, JsonValue
from pytest_orchestra.protocols.psql import psql_command
from pytest_orchestra.protocols.shell import quote_word
from pytest_orchestra.protocols.sql_values import plain_value
from pytest_orchestra.protocols.statement import Statement

if TYPE_CHECKING:
    from pytest_orchestra.protocols.db_engine import AlchemyLogin

__all__ = ["query_command"]


def query_command(login: AlchemyLogin, statement: Statement, values: JsonObject) -> str:
    """Write the command that runs a statement on SQLite, MySQL or PostgreSQL; empty for others.

    The programs ask for a password themselves.
    """
    url, dialect = login.url, login.url.get_backend_name()
    if dialect == "sqlite":
        sql = statement.filled(lambda name: _literal(values[name], ""))
        return f"sqlite3 -readonly {quote_word(url.database or ':memory:')} {quote_word(sql)}"
    if dialect in ("mysql", "mariadb"):
        sql = statement.filled(lambda name: _literal(values[name], "\\"))
        words = ["mysql", "--host", quote_word(url.host or "localhost"), "--port", str(url.port or 3306)]
        words += ["--user", quote_word(url.username)] if url.username else ["--user", '"$MYSQL_USER"']
        return " ".join([*words, "--password", "--execute", quote_word(sql), quote_word(url.database or "")])
    if dialect == "postgresql":
        named = {"host": url.host, "port": url.port, "dbname": url.database, "user": url.username}
        params = {key: str(value) for key, value in named.items() if value is not None}
        bound = {name: cast("JsonValue", plain_value(value)) for name, value in values.items()}
        sql = statement.literal_text(bound)
        return psql_command(params, sql, schema=login.schema, is_user_secret=login.user is not None)
    return ""


def _literal(value: JsonValue, escape: str) -> str:
    """Write a value as a literal of standard SQL; ``escape`` is doubled in texts, besides quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            return f"'{value}'"
        return f"({value!r})" if value < 0 else repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    doubled = text.replace(escape, escape * 2) if escape else text
    return "'" + doubled.replace("'", "''") + "'"
