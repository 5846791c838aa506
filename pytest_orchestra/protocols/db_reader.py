"""Queries run on the PostgreSQL databases of an environment, and the driver's errors in words."""

from __future__ import annotations

import re
from collections.abc import Mapping

import psycopg

from pytest_orchestra.engine.ports import CallTimeoutError, Reply, StepCall
from pytest_orchestra.errors import (
    LoginRefusedError,
    OrchestraError,
    StepError,
    UnreachableError,
    UnusableEnvironmentError,
)
from pytest_orchestra.model.json import JsonObject
from pytest_orchestra.model.run import Exchange
from pytest_orchestra.protocols.db_pool import ConnectError, Login, Pool
from pytest_orchestra.protocols.db_profile import describe_query, find_profile, read_secret, reply_of
from pytest_orchestra.protocols.psql import psql_command
from pytest_orchestra.protocols.sql_values import bound_value, read_rows
from pytest_orchestra.protocols.statement import Statement

__all__ = ["DatabaseReader"]

_UNREACHABLE: Mapping[str, str] = {
    "connection refused": "connection refused",
    "failed to resolve host": "its host name does not resolve",
    "could not translate host name": "its host name does not resolve",
    "name or service not known": "its host name does not resolve",
    "nodename nor servname": "its host name does not resolve",
    "no such file or directory": "no server listens at that socket",
    "no route to host": "no route to the host",
    "network is unreachable": "its network is unreachable",
    "timeout expired": "the connection timed out",
    "closed the connection": "the server closed the connection",
    "connection reset": "the server closed the connection",
    "invalid response": "what answers is no PostgreSQL server",
    "unexpected response": "what answers is no PostgreSQL server",
    "expected authentication request": "what answers is no PostgreSQL server",
}
_FATAL = "FATAL:"
_REFUSED = ("password authentication failed", "no password supplied")
_REFUSED_FOR_A_REASON = (
    "authentication failed",
    "pg_hba.conf",
    "not permitted to log in",
    'role "',
    "permission denied",
)


class DatabaseReader:
    """Reads the databases of environments; keeps a pool of connections for each login."""

    def __init__(self) -> None:
        self._pools: dict[Login, Pool] = {}

    async def read(self, call: StepCall, statement: Statement) -> Reply:
        """Run a statement; its parameters are all given. Raises what the port says."""
        login = _login(call)
        pool = self._pools.get(login)
        if pool is None:
            pool = self._pools[login] = Pool(login)
        used = {name: call.parameters[name] for name in statement.names}
        values = [bound_value(value) for value in used.values()]
        try:
            found = await pool.query(statement.sent_text, values, call.timeout_s)
            rows = read_rows(found.names, found.rows)
        except (TimeoutError, psycopg.errors.QueryCanceled):
            raise CallTimeoutError(_exchange(statement, used, login, None)) from None
        except StepError as error:
            raise StepError(error.fact, place=call.step.place, hint=error.hint) from None
        except ConnectError as error:
            raise _connect_fault(call, login, str(error.__cause__)) from None
        except psycopg.Error as error:
            raise _query_fault(call, login, statement, error) from None
        return reply_of(rows, _exchange(statement, used, login, rows))

    async def close(self) -> None:
        """Close every connection."""
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.close()


def _login(call: StepCall) -> Login:
    profile = find_profile(call)
    user = read_secret(call, profile.username_ref)
    password = read_secret(call, profile.password_ref)
    try:
        return Login.of(profile.url, user, password, profile.default_schema)
    except psycopg.ProgrammingError:
        shown = re.sub(r"//[^/]*@", "//", profile.url)
        raise UnusableEnvironmentError(
            f"database '{call.step.data_source}' has URL '{shown}', which is no address of PostgreSQL",
            hint="write it as 'postgresql://host:port/name'",
        ) from None


def _exchange(statement: Statement, used: JsonObject, login: Login, rows: list[JsonObject] | None) -> Exchange:
    command = psql_command(
        dict(login.params), statement.literal_text(used), schema=login.schema, is_user_secret=login.user is not None
    )
    return describe_query(login.address, statement.text, used, rows, command)


def _connect_fault(call: StepCall, login: Login, said: str) -> OrchestraError:
    """Tell why no connection came about. libpq gives no SQLSTATE then, only the texts of its own and the server's."""
    alias = call.step.data_source
    subject = f"database '{alias}' at '{login.address}'"
    lowered = said.lower()
    correct = f"correct '{alias}' in environment '{call.environment.name}'"
    user = login.user_name or _quoted_name(said, "user") or _quoted_name(said, "role") or "the default user"
    credentials = f"check 'usernameRef' and 'passwordRef' of '{alias}' in environment '{call.environment.name}'"
    # a host of several addresses gives several answers: what a server says tells more than that another did not answer
    if any(sign in lowered for sign in _REFUSED):
        return LoginRefusedError(f"{subject}: login of '{user}' refused", hint=credentials)
    reason = _server_words(said)
    if any(sign in lowered for sign in _REFUSED_FOR_A_REASON):
        return LoginRefusedError(f"{subject}: login of '{user}' refused: {reason}", hint=credentials)
    for sign, words in _UNREACHABLE.items():
        if sign in lowered and _FATAL not in said:
            return UnreachableError(f"{subject}: {words}", hint=f"start the database, or {correct}")
    return UnusableEnvironmentError(f"{subject}: {reason}", hint=correct)


def _server_words(said: str) -> str:
    """Give what the server says, without address and severity; else the first line of what the driver says."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    line = next((line for line in lines if _FATAL in line), lines[0] if lines else "no reason given")
    return line.rpartition(_FATAL)[2].strip()


def _quoted_name(said: str, kind: str) -> str | None:
    found = re.search(rf'{kind} "([^"]+)"', said)
    return found[1] if found else None


def _query_fault(call: StepCall, login: Login, statement: Statement, error: psycopg.Error) -> OrchestraError:
    """Tell whether the connection was lost or the server refuses the statement."""
    alias = call.step.data_source
    is_lost = error.sqlstate is None and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    if is_lost or (error.sqlstate or "").startswith(("08", "57P")):
        return UnreachableError(
            f"database '{alias}' at '{login.address}': the connection was lost",
            hint="see whether the server is up, and its log",
        )
    diagnosis = error.diag
    where = ""
    if diagnosis.statement_position is not None:
        line, column = statement.place_of(int(diagnosis.statement_position))
        where = f" at line {line}, column {column}"
    said = statement.with_names(diagnosis.message_primary or str(error).partition("\n")[0])
    hint = diagnosis.message_hint or "correct 'sql' or 'parameters' of the step"
    if isinstance(error, psycopg.errors.IndeterminateDatatype):
        hint = f"say its type, as in ':{statement.names[0]}::text'"
    return StepError(f"database '{alias}' refuses the SQL{where}: {said}", place=call.step.place, hint=hint)
