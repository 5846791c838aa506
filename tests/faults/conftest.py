"""Real processes that are killed: a store, a line to it that strikes, a service that counts, and workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from counting_service import SPEC, CountingService
from killing_proxy import KillingProxy

from pytest_orchestra.store.embedded import EmbeddedPostgres


class Zygote:
    """Forks workers; each is killed, or writes what it came to."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("fault_worker.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def fork(self, order: dict[str, Any]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


class Field:
    """Everything that one SuiteRun under fire needs. ``go`` runs a worker to its end, or to its death."""

    def __init__(self, zygote: Zygote, service: CountingService, server: EmbeddedPostgres, folder: Path) -> None:
        self.zygote, self.service, self.server, self.folder = zygote, service, server, folder
        self.proxy = KillingProxy(server.address.port)
        (folder / "shop.json").write_text(json.dumps(SPEC))
        server.create_database("faults")
        self.direct = server.conninfo("faults")
        self.proxied = self.direct.replace(f":{server.address.port}/", f":{self.proxy.port}/")
        self.key = ""
        self.renew()

    def renew(self) -> None:
        """Begin another SuiteRun."""
        self.key = f"key-{uuid.uuid4().hex[:8]}"
        self.proxy.reset()
        self.service.reset()

    def order(self, **more: Any) -> dict[str, Any]:
        return {
            "key": self.key,
            "store": self.proxied,
            "database": self.direct,
            "service": self.service.url,
            "spec": str(self.folder / "shop.json"),
            "folder": str(self.folder),
            "answer": str(self.folder / f"answer-{uuid.uuid4().hex}"),
            "runs": 2,
            "resumes": True,
            **more,
        }

    def begin(self, **more: Any) -> Worker:
        """Let a worker carry out the SuiteRun, or what is left of it."""
        order = self.order(**more)
        return Worker(self.zygote.fork(order), Path(order["answer"]))

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.direct) as connection:
            connection.execute("SELECT set_config('orchestra.tenant', 'default', false)")
            return connection.execute(query, {"key": self.key}).fetchall()

    def finished_steps(self) -> set[tuple[str, str]]:
        """Give the steps of this SuiteRun, as (correlation id, alias), whose end is recorded."""
        return set(
            self.rows(
                "SELECT r.correlation_id, s.alias FROM orchestra.test_step_result s "
                "JOIN orchestra.test_run r USING (tenant_id, test_run_id) "
                "JOIN orchestra.suite_run u USING (tenant_id, suite_run_id) "
                "WHERE u.key = %(key)s AND s.status IN ('PASSED', 'FAILED')"
            )
        )

    def orphans(self) -> list[Any]:
        """Give the runs of this SuiteRun that have no end, or a lease or an intent though they have one."""
        return self.rows(
            "SELECT r.key, r.status, r.locked_by, r.execution_context FROM orchestra.test_run r "
            "JOIN orchestra.suite_run u USING (tenant_id, suite_run_id) WHERE u.key = %(key)s "
            "AND (r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS') OR r.locked_by IS NOT NULL "
            "OR r.execution_context -> 'intents' <> '{}' OR r.finished_at IS NULL)"
        )

    def close(self) -> None:
        self.proxy.close()


class Worker:
    def __init__(self, pid: int, answer: Path) -> None:
        self.pid = pid
        self.answer = answer

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def wait(self, within_s: float = 60.0) -> dict[str, Any] | None:
        """Give what it came to; None if it was killed."""
        deadline = time.monotonic() + within_s
        while self.is_alive:
            assert time.monotonic() < deadline, "a worker did not end"
            time.sleep(0.002)
        return json.loads(self.answer.read_text()) if self.answer.exists() else None


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    started = Zygote()
    yield started
    started.close()


@pytest.fixture(scope="session")
def fault_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("faults"))
    with postgres:
        yield postgres
    postgres.remove()


@pytest.fixture(scope="session")
def counting_service() -> Iterator[CountingService]:
    service = CountingService()
    yield service
    service.close()


@pytest.fixture
def field(
    zygote: Zygote, counting_service: CountingService, fault_server: EmbeddedPostgres, tmp_path: Path
) -> Iterator[Field]:
    made = Field(zygote, counting_service, fault_server, tmp_path)
    yield made
    made.close()
