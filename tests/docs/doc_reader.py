"""A reader who does what a page says: writes its files, types its commands, compares what comes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path

from doc_pages import Command, blocks, commands, matches, mend

_SCRIPTS = sysconfig.get_path("scripts")


class Reader:
    """Follows pages in a folder of its own. ``port`` is that of the server which a page starts in the background."""

    def __init__(self, folder: Path, port: int, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._port = port
        self._servers: list[subprocess.Popen[bytes]] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        self._environment = {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), _SCRIPTS, os.environ.get("PATH", "")]),
            "COLUMNS": "80",
            "PYTHONIOENCODING": "utf-8",
            # readers have not installed these; what they print is not what pages show
            "PYTEST_ADDOPTS": "-p no:asyncio -p no:anyio -p no:hypothesispytest",
            **variables,
        }

    def follow(self, page: Path) -> int:
        """Do everything that a page says, in order; give the number of commands that were run."""
        count = 0
        for block in blocks(page):
            if block.language == "diff":
                assert block.file is not None, f"{block}: which file is meant is not said"
                path = self.folder / block.file
                path.write_text(mend(path.read_text(encoding="utf-8"), block.text), encoding="utf-8")
            elif block.file is not None:
                path = self.folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            elif block.language == "console":
                for command in commands(block):
                    self._do(command, str(block))
                    count += 1
        return count

    def _do(self, command: Command, where: str) -> None:
        if command.words.endswith(" &"):
            self._serve(command.words.removesuffix(" &"))
            return
        if command.words == "kill %1":
            self._end_server()
            return
        done = self.run(command.words)
        output = done.stdout + done.stderr
        assert done.returncode in (0, 1), f"{where}: '{command.words}' gave {done.returncode}\n{output}"
        assert matches(command.shown, done.stdout), f"{where}: '{command.words}' printed\n{output}"

    def run(self, words: str) -> subprocess.CompletedProcess[str]:
        """Type a command and wait for it."""
        return subprocess.run(
            words,
            shell=True,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def _serve(self, words: str) -> None:
        server = subprocess.Popen(["/bin/sh", "-c", f"exec {words}"], cwd=self.folder, env=self._environment)
        self._servers.append(server)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                assert server.poll() is None, f"'{words}' ended"
                assert time.monotonic() < deadline, f"'{words}' does not listen"
                time.sleep(0.02)
            else:
                return

    def _end_server(self) -> None:
        server = self._servers.pop()
        server.kill()
        server.wait()

    def close(self) -> None:
        """End what was started."""
        while self._servers:
            self._end_server()


def free_port() -> int:
    """Give a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
