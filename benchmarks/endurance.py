"""Ten thousand scenarios in one session: what each costs from the first to the last, in processor time and in memory.

Every scenario has 6 HTTP steps against a server that settles at once. The costs of each tenth of the session are
printed. With ``--check`` the exit status is 1 if a scenario of the last tenths takes more processor time than one of
the first ones did, or more memory, than the limits say.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from workload import server, write_project

CPU_LIMIT, MEMORY_LIMIT, LARGEST_KIB = 1.25, 1.25, 40.0
MEASURING = """
import json, resource, time
import pytest

EVERY = {every}
MARKS = []

def mark():
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    MARKS.append((time.process_time(), pages * resource.getpagesize() / 1024))

class Marking:
    reported = 0

    def pytest_runtest_logfinish(self):
        self.reported += 1
        if self.reported % EVERY == 0:
            mark()

def pytest_configure(config):
    config.pluginmanager.register(Marking())

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop():
    mark()
    try:
        return (yield)
    finally:
        with open("marks.json", "w") as file:
            json.dump(MARKS, file)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=10_000)
    parser.add_argument("--store", default="memory")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is not kept")
    options = parser.parse_args()
    with server(0) as base_url, tempfile.TemporaryDirectory() as folder:
        project, every = Path(folder) / "project", options.scenarios // 10
        write_project(project, base_url, options.scenarios)
        (project / "conftest.py").write_text(MEASURING.replace("{every}", str(every)))
        command = [sys.executable, "-m", "pytest", "--orchestra", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, f"--orchestra-store={options.store}"], cwd=project, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
        marks: list[tuple[float, float]] = json.loads((project / "marks.json").read_text())
    cpu_ms = [(after[0] - before[0]) / every * 1e3 for before, after in itertools.pairwise(marks)]
    kib = [(after[1] - before[1]) / every for before, after in itertools.pairwise(marks)]
    for number, (took, grew) in enumerate(zip(cpu_ms, kib, strict=True), 1):
        print(f"scenarios to {number * every:6}: {took:5.2f} ms of processor time, {grew:6.1f} KiB each")
    # the first tenth has the imports and the requests of all scenarios in it
    cpu, memory = sum(cpu_ms[-3:]) / sum(cpu_ms[1:4]), sum(kib[-3:]) / sum(kib[1:4])
    most = max(kib[1:])
    print(f"last to first: processor time {cpu:.2f} (limit {CPU_LIMIT}), memory {memory:.2f} (limit {MEMORY_LIMIT})")
    print(f"memory a scenario: at most {most:.1f} KiB (limit {LARGEST_KIB:.0f})")
    is_kept = cpu <= CPU_LIMIT and memory <= MEMORY_LIMIT and most <= LARGEST_KIB
    return 1 if options.check and not is_kept else 0


if __name__ == "__main__":
    sys.exit(main())
