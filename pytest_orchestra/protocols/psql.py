"""A query as a ``psql`` command that a person pastes into bash."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_orchestra.protocols.shell import quote_word

__all__ = ["psql_command"]


def psql_command(
    params: Mapping[str, str], sql: str, *, schema: str | None = None, is_user_secret: bool = False
) -> str:
    """Write the command that runs a statement. ``params`` are libpq's and hold no password; psql asks for one.

    A user who is a secret is read from the shell variable ``$PGUSER``.
    """
    words = ["psql"]
    if schema is not None:
        quoted = '"' + schema.replace('"', '""') + '"'
        option = quoted.replace("\\", "\\\\").replace(" ", "\\ ")
        words = [f"PGOPTIONS={quote_word(f'-c search_path={option}')}", "psql"]
    words.append(quote_word(" ".join(f"{key}={_value(value)}" for key, value in params.items())))
    if is_user_secret:
        words += ["--username", '"$PGUSER"']
    return " ".join([*words, "--command", quote_word(sql)])


def _value(text: str) -> str:
    """Quote a value of a connection string (PostgreSQL documentation, section 34.1.1.1)."""
    if text and not any(character.isspace() or character in "'\\" for character in text):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
