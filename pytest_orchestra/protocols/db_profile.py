"""What a step reads with: the database that it names, its credentials, and the reply of whatever driver."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_orchestra.data.redaction import shorten
from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import SecretNotFoundError, UnknownAliasError
from pytest_orchestra.model.environment import DbConnectionProfile
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.protocols.suggestion import suggest

__all__ = ["describe_query", "find_profile", "is_postgres", "read_secret", "reply_of"]

_SHOWN_LIMIT = 4_000


def find_profile(call: StepCall) -> DbConnectionProfile:
    """Give the profile of the step's database. Raises ``UnknownAliasError``."""
    environment, alias = call.environment, call.step.data_source or ""
    profile = environment.db_profiles.get(alias)
    if profile is None:
        raise UnknownAliasError(
            f"environment '{environment.name}' has no database '{alias}'",
            hint=suggest(alias, environment.db_profiles, f"add '{alias}' to its 'dbProfiles'"),
        )
    return profile


def is_postgres(url: str) -> bool:
    """Tell whether libpq reads the URL itself; any other is one of SQLAlchemy's, ``dialect+driver://``."""
    scheme, mark, _ = url.partition("://")
    return not mark or scheme in ("postgresql", "postgres")


def read_secret(call: StepCall, ref: str | None) -> Secret | None:
    """Give the secret of a reference, None if there is none. Raises ``SecretNotFoundError``."""
    if ref is None:
        return None
    secret = call.secrets.get(ref)
    if secret is None:
        raise SecretNotFoundError(
            f"database '{call.step.data_source}' needs secret '{ref}', which was not read",
            hint=f"set what '{ref}' refers to",
        )
    return secret


def describe_query(
    database: str, sql: str, parameters: JsonObject, rows: Sequence[JsonObject] | None, command: str
) -> Exchange:
    """Give the query for people, shortened; ``rows`` is None where none came."""
    request: JsonObject = {"database": database, "sql": sql, "parameters": shorten(parameters, _SHOWN_LIMIT)}
    if rows is None:
        return Exchange(request, None, command)
    return Exchange(request, {"count": len(rows), "rows": shorten(rows, _SHOWN_LIMIT)}, command)


def reply_of(rows: Sequence[JsonObject], exchange: Exchange) -> Reply:
    """Give the reply: ``rows``, ``row``, ``value`` and ``count``."""
    first = rows[0] if rows else None
    response: JsonObject = {
        "rows": rows,
        "row": first,
        "value": None if first is None else next(iter(first.values()), None),
        "count": len(rows),
    }
    return Reply(response, exchange)
