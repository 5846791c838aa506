"""Queries run on databases that SQLAlchemy knows, and its drivers' errors in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy import exc

from pytest_orchestra.data.redaction import Redactor, mask_url
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
from pytest_orchestra.protocols.db_command import query_command
from pytest_orchestra.protocols.db_engine import AlchemyLogin, AlchemyPool, SchemaUnknownError
from pytest_orchestra.protocols.db_pool import ConnectError
from pytest_orchestra.protocols.db_profile import describe_query, find_profile, read_secret, reply_of
from pytest_orchestra.protocols.sql_values import read_rows
from pytest_orchestra.protocols.statement import Statement

__all__ = ["AlchemyReader"]

_FORM: Final = "write it as 'dialect+driver://host:port/name'"
_REFUSED: Final = (
    "access denied",
    "authentication failed",
    "no password supplied",
    "login failed",
    "logon denied",
    "ora-01017",
    "pg_hba.conf",
    "not permitted to log in",
    'role "',
)
_UNREACHABLE: Final[Mapping[str, str]] = {
    "refused": "connection refused",
    "connect call failed": "connection refused",
    "getaddrinfo": "its host name does not resolve",
    "resolve": "its host name does not resolve",
    "name or service not known": "its host name does not resolve",
    "nodename nor servname": "its host name does not resolve",
    "unknown server host": "its host name does not resolve",
    "no route to host": "no route to the host",
    "unreachable": "its network is unreachable",
    "timed out": "the connection timed out",
    "timeout expired": "the connection timed out",
    "unable to open database file": "its file cannot be opened",
    "lost connection": "the server closed the connection",
    "closed the connection": "the server closed the connection",
    "connection reset": "the server closed the connection",
    "unexpected eof": "the server closed the connection",
    "invalid response": "what answers is no such server",
    "unexpected response": "what answers is no such server",
    "expected authentication request": "what answers is no such server",
    "packet sequence": "what answers is no such server",
    "not a database": "its file is no SQLite database",
    "can't connect": "no server answers",
}
_BUSY: Final = ("database is locked", "database table is locked", "lock wait timeout")


class AlchemyReader:
    """Reads the databases of environments by SQLAlchemy; keeps a pool of connections for each login."""

    def __init__(self) -> None:
        self._pools: dict[AlchemyLogin, AlchemyPool] = {}

    async def read(self, call: StepCall, statement: Statement) -> Reply:
        """Run a statement; its parameters are all given. Raises what the port says."""
        for fact, hint in statement.doubts:
            raise StepError(fact, place=call.step.place, hint=hint)
        login, pool = self._connect(call)
        if login.missing_file is not None:
            raise UnreachableError(
                f"database '{call.step.data_source}' at '{login.address}': there is no such file",
                hint=f"correct '{call.step.data_source}' in environment '{call.environment.name}'",
            )
        used = {name: call.parameters[name] for name in statement.names}
        try:
            found = await pool.query(statement, used, call.timeout_s)
            rows = read_rows(found.names, found.rows)
        except TimeoutError:
            raise CallTimeoutError(_exchange(statement, used, login, None)) from None
        except StepError as error:
            raise StepError(error.fact, place=call.step.place, hint=error.hint) from None
        except ConnectError as error:
            raise _connect_fault(call, login, _said(error.__cause__)) from None
        except exc.ResourceClosedError:
            raise StepError(
                f"the SQL gives no rows on database '{call.step.data_source}'",
                place=call.step.place,
                hint="write a 'select'",
            ) from None
        except Exception as error:  # noqa: BLE001  drivers raise more than SQLAlchemy wraps
            said = _said(error)
            if any(sign in said.lower() for sign in _BUSY):  # somebody writes: the next look may see more
                raise CallTimeoutError(_exchange(statement, used, login, None)) from None
            raise _query_fault(call, login, error, said) from None
        return reply_of(rows, _exchange(statement, used, login, rows))

    async def close(self) -> None:
        """Close every connection."""
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.close()

    def _connect(self, call: StepCall) -> tuple[AlchemyLogin, AlchemyPool]:
        profile, alias = find_profile(call), call.step.data_source
        user, password = read_secret(call, profile.username_ref), read_secret(call, profile.password_ref)
        shown = mask_url(re.sub(r"//[^/]*@", "//", profile.url))
        url = f"database '{alias}' has URL '{shown}'"
        try:
            login = AlchemyLogin.of(profile.url, user, password, profile.default_schema)
            pool = self._pools.get(login) or AlchemyPool(login)
        except exc.NoSuchModuleError:
            raise UnusableEnvironmentError(f"{url}, whose dialect SQLAlchemy does not know", hint=_FORM) from None
        except (exc.ArgumentError, ValueError):
            raise UnusableEnvironmentError(f"{url}, which is no address of a database", hint=_FORM) from None
        except ImportError as error:
            raise UnusableEnvironmentError(
                f"{url}, whose driver '{error.name}' is not installed",
                hint="install it, or name another driver, as in 'mysql+aiomysql://host:port/name'",
            ) from None
        except SchemaUnknownError as error:
            raise UnusableEnvironmentError(
                f"database '{alias}' has a 'defaultSchema', which '{error}' does not have",
                hint="take it away, and name the schema in the SQL",
            ) from None
        self._pools[login] = pool
        return login, pool


def _exchange(statement: Statement, used: JsonObject, login: AlchemyLogin, rows: list[JsonObject] | None) -> Exchange:
    command = query_command(login, statement, used)
    return describe_query(login.address, statement.text, used, rows, command)


def _said(error: BaseException | None) -> str:
    """Give what the driver says, and below it what lies behind that."""
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    texts: list[str] = []
    while cause is not None:
        arguments = [str(argument) for argument in cause.args]
        has_number = len(arguments) == 2 and arguments[0].lstrip("-").isdigit()  # noqa: PLR2004  as MySQL's drivers say it
        texts.append(arguments[1] if has_number else str(cause).strip() or type(cause).__name__)
        cause = cause.__cause__
    return "\n".join(texts) or "no reason given"


def _connect_fault(call: StepCall, login: AlchemyLogin, said: str) -> OrchestraError:
    alias, lowered = call.step.data_source, said.lower()
    subject = f"database '{alias}' at '{login.address}'"
    correct = f"correct '{alias}' in environment '{call.environment.name}'"
    if "access denied" in lowered and "to database" in lowered:  # as MySQL and MariaDB say it
        grant = f"grant it to that user, or correct the name in environment '{call.environment.name}'"
        return LoginRefusedError(f"{subject}: '{login.user_name}' may not use that database", hint=grant)
    if any(sign in lowered for sign in _REFUSED):
        who = login.user_name or "the default user"
        hint = f"check 'usernameRef' and 'passwordRef' of '{alias}' in environment '{call.environment.name}'"
        return LoginRefusedError(f"{subject}: login of '{who}' refused", hint=hint)
    for sign, words in _UNREACHABLE.items():
        if sign in lowered:
            return UnreachableError(f"{subject}: {words}", hint=f"start the database, or {correct}")
    return UnusableEnvironmentError(f"{subject}: {_masked(call, login, said)}", hint=correct)


def _query_fault(call: StepCall, login: AlchemyLogin, error: Exception, said: str) -> OrchestraError:
    alias = call.step.data_source
    subject = f"database '{alias}' at '{login.address}'"
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return UnreachableError(f"{subject}: the connection was lost", hint="see whether the server is up, and its log")
    if "not a database" in said:
        correct = f"correct '{alias}' in environment '{call.environment.name}'"
        return UnreachableError(f"{subject}: {_UNREACHABLE['not a database']}", hint=correct)
    return StepError(
        f"database '{alias}' refuses the SQL: {_masked(call, login, said)}",
        place=call.step.place,
        hint="correct 'sql' or 'parameters' of the step",
    )


def _masked(call: StepCall, login: AlchemyLogin, said: str) -> str:
    secrets = [*call.secrets.values(), *([] if login.password is None else [login.password])]
    return Redactor(secrets).mask_text(said.partition("\n")[0].strip())
