"""Processes that use an embedded server, and how one looks at its server from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

import pytest_orchestra
from pytest_orchestra.store.supervisor import STATE

ROOT = Path(pytest_orchestra.__file__).parent.parent
USER = """
import json, sys
from pathlib import Path
from pytest_orchestra.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
address = server.start()
print(json.dumps({"port": address.port, "place": str(server.place), "url": server.conninfo()}), flush=True)
sys.stdin.read()
"""


class UserProcess:
    """Another process that uses the server until it is told to end, or killed."""

    def __init__(self, folder: Path, user: str | None = None, python: str = sys.executable) -> None:
        self.process = subprocess.Popen(
            [python, "-c", USER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            user=user,
            extra_groups=[] if user else None,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} if user else None,
        )

    def facts(self) -> dict[str, object]:
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        self.process.communicate()


def state_of(place: Path) -> dict[str, int]:
    return json.loads((place / STATE).read_text())


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def processes_of(place: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(place) in command:
                found.append(command)
    return found
