"""Databases: steps that read until what they wait for is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_orchestra.engine.ports import Reply, StepCall
from pytest_orchestra.errors import StepError
from pytest_orchestra.model.definition import ChannelType, StepDefinition
from pytest_orchestra.model.run import Violation, ViolationType
from pytest_orchestra.model.specification import Operation, ProtocolSpec
from pytest_orchestra.problem import Place, Problem, Severity
from pytest_orchestra.protocols.db_profile import find_profile, is_postgres
from pytest_orchestra.protocols.statement import find_missing, read_statement
from pytest_orchestra.protocols.suggestion import suggest

if TYPE_CHECKING:
    from pytest_orchestra.protocols.db_alchemy import AlchemyReader
    from pytest_orchestra.protocols.db_reader import DatabaseReader

__all__ = ["DatabaseProtocol"]

_ALWAYS_GIVEN = ("correlationId", "traceparent")


class DatabaseProtocol:
    """Reads databases: one statement a step, with bound parameters, on connections that cannot write.

    PostgreSQL's URLs are read by psycopg, all others by SQLAlchemy with the driver that they name.
    """

    protocol_id: ClassVar[str] = "db"
    channel_type: ClassVar[str] = ChannelType.DB
    unfulfilled: ClassVar[ViolationType] = ViolationType.DB_ASSERTION_FAILED

    def __init__(self) -> None:
        self._reader: DatabaseReader | None = None
        self._alchemy: AlchemyReader | None = None

    def parse_spec(self, path: Path, service_name: str) -> ProtocolSpec | None:  # noqa: ARG002  the port's
        """Give None: databases have no specification."""
        return None

    def find_operation(self, spec: ProtocolSpec, endpoint_name: str) -> Operation | None:  # noqa: ARG002  the port's
        """Give None: databases have no operations."""
        return None

    def check(self, step: StepDefinition, specs: Mapping[str, ProtocolSpec]) -> Sequence[Problem]:  # noqa: ARG002
        """Say what is wrong with the SQL and its parameters; one that is given and not used is a warning."""
        if step.sql is None:
            return ()
        place = step.place or Place(step.alias or step.name or step.data_source or "sql")
        statement = read_statement(step.sql)
        faults = [*statement.faults, *find_missing(statement, [*step.parameters, *_ALWAYS_GIVEN])]
        problems = [Problem(Severity.ERROR, place, fact, hint) for fact, hint in faults]
        free = [name for name in statement.names if name not in step.parameters]
        for name in step.parameters:
            if name not in statement.names:
                hint = suggest(name, free, f"use ':{name}' in it, or take it away")
                problems.append(Problem(Severity.WARNING, place, f"the SQL does not use parameter '{name}'", hint))
        return problems

    async def execute(self, call: StepCall, specs: Mapping[str, ProtocolSpec]) -> Reply:  # noqa: ARG002
        """Run the step's SQL. Raises ``UnusableEnvironmentError`` where the database is not there, and the port's."""
        statement = read_statement(call.step.sql or "")
        call = replace(call, parameters={"traceparent": call.trace_parent, **call.parameters})
        for fact, hint in (*statement.faults, *find_missing(statement, call.parameters)):
            raise StepError(fact, place=call.step.place, hint=hint)
        profile = find_profile(call)
        if is_postgres(profile.url):
            return await self._postgres().read(call, statement)
        return await self._other(call).read(call, statement)

    def _postgres(self) -> DatabaseReader:
        if self._reader is None:
            from pytest_orchestra.protocols.db_reader import DatabaseReader  # noqa: PLC0415  heavy: psycopg

            self._reader = DatabaseReader()
        return self._reader

    def _other(self, call: StepCall) -> AlchemyReader:
        if self._alchemy is None:
            try:
                from pytest_orchestra.protocols.db_alchemy import AlchemyReader  # noqa: PLC0415  heavy, and an extra
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "sqlalchemy":
                    raise
                raise StepError(
                    f"database '{call.step.data_source}' is read by SQLAlchemy, which is not installed",
                    place=call.step.place,
                    hint="pip install 'pytest-orchestra[sqlalchemy]'",
                ) from None
            self._alchemy = AlchemyReader()
        return self._alchemy

    def validate(self, call: StepCall, reply: Reply, specs: Mapping[str, ProtocolSpec]) -> Sequence[Violation]:  # noqa: ARG002
        """Give nothing: databases have no contract."""
        return ()

    async def close(self) -> None:
        """Close every connection; a later call opens new ones."""
        readers = self._reader, self._alchemy
        self._reader = self._alchemy = None
        for reader in readers:
            if reader is not None:
                await reader.close()
