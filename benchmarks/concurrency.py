"""Many scenarios at once: the plugin against a bare asyncio script, by store, and against itself one by one.

Every scenario has 6 HTTP steps, two of which wait for an effect. Script and plugin take turns, each in a process of its
own; of each ratio the median of all rounds counts. Of a session it is the run that is measured, from the first item on,
the client's import included on both sides; what pytest needs before that is printed as well. Processor time is told by
HTTP step, all its polls together; the requests that the server has counted are printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from workload import server, write_project

WALL_LIMIT, CPU_LIMIT, STORE_LIMIT, GROWTH_LIMIT, SEQUENTIAL_LEAST = 1.25, 1.5, 1.1, 1.2, 10
STEPS = 6
MEASURING = """
import json, time
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop():
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        return (yield)
    finally:
        with open("cost.json", "w") as file:
            json.dump({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}, file)
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of one run, those of its whole process, and the requests that it made."""

    wall: float
    cpu: float
    process: float
    requests: int

    def step_ms(self, scenarios: int) -> float:
        """Give the milliseconds of processor time that an HTTP step took, with all that belongs to it."""
        return self.cpu / scenarios / STEPS * 1e3


def _served(base_url: str) -> int:
    with urllib.request.urlopen(f"{base_url}/served") as reply:
        return int(json.load(reply)["id"])


def run_bare(base_url: str, scenarios: int, concurrency: int) -> Cost:
    before, began = _served(base_url), time.perf_counter()
    script = [sys.executable, str(Path(__file__).with_name("bare.py")), base_url, str(scenarios), str(concurrency)]
    told = json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    return Cost(told["wall"], told["cpu"], time.perf_counter() - began, _served(base_url) - before)


def run_pytest(folder: Path, base_url: str, concurrency: int, *options: str) -> Cost:
    before, began = _served(base_url), time.perf_counter()
    command = [sys.executable, "-m", "pytest", "--orchestra", "-q", "-p", "no:cacheprovider", *options]
    command += [f"--orchestra-concurrency={concurrency}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ})
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    told = json.loads((folder / "cost.json").read_text())
    return Cost(told["wall"], told["cpu"], time.perf_counter() - began, _served(base_url) - before)


def compare(base_url: str, folder: Path, scenarios: int, concurrency: int, rounds: int) -> tuple[bool, float, float]:
    """Let the script and the plugin take turns; give whether the limits are kept, and the plugin's median costs."""
    pairs = []
    for number in range(rounds):
        sides = [
            lambda: run_bare(base_url, scenarios, concurrency),
            lambda: run_pytest(folder, base_url, concurrency, "--orchestra-store=memory"),
        ]
        order = (0, 1) if number % 2 == 0 else (1, 0)  # neither is always the second
        costs = {side: sides[side]() for side in order}
        pairs.append((costs[0], costs[1]))
    wall = statistics.median(ours.wall / bare.wall for bare, ours in pairs)
    cpu = statistics.median(ours.cpu / bare.cpu for bare, ours in pairs)
    for name, side in (("bare", 0), ("memory", 1)):
        costs = [pair[side] for pair in pairs]
        print(
            f"{scenarios:6}  {name:8} wall {statistics.median(c.wall for c in costs):6.2f} s"
            f"   CPU a step {statistics.median(c.step_ms(scenarios) for c in costs):5.2f} ms"
            f"   ({statistics.median(c.requests for c in costs):.0f} requests,"
            f" whole process {statistics.median(c.process for c in costs):.2f} s)"
        )
    print(f"{'':8}wall {wall:.2f} of bare (limit {WALL_LIMIT}), CPU a step {cpu:.2f} (limit {CPU_LIMIT})", flush=True)
    memory = [ours for _, ours in pairs]
    return (
        wall <= WALL_LIMIT and cpu <= CPU_LIMIT,
        statistics.median(cost.wall for cost in memory),
        min(cost.cpu for cost in memory) / scenarios,
    )


def compare_stores(base_url: str, folder: Path, concurrency: int, rounds: int) -> bool:
    run_pytest(folder, base_url, concurrency)  # which makes the database
    pairs = []
    for _ in range(rounds):
        memory = run_pytest(folder, base_url, concurrency, "--orchestra-store=memory")
        pairs.append((memory, run_pytest(folder, base_url, concurrency)))
    wall = statistics.median(embedded.wall / memory.wall for memory, embedded in pairs)
    process = statistics.median(embedded.process / memory.process for memory, embedded in pairs)
    print(
        f"embedded store: wall {wall:.2f} of memory, whole process {process:.2f} (limit {STORE_LIMIT} for both)",
        flush=True,
    )
    return max(wall, process) <= STORE_LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, nargs="+", default=[50, 200, 1_000])
    parser.add_argument("--concurrency", type=int, default=200, help="how many at once, at most")
    parser.add_argument("--settle", type=float, default=0.5, help="how long an effect takes, in seconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequential", type=int, default=20, help="how many to run one after another; 0 for none")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a ratio is over its limit")
    options = parser.parse_args()
    kept: list[bool] = []
    walls, cpus = {}, {}
    with server(options.settle) as base_url, tempfile.TemporaryDirectory() as root:

        def project(scenarios: int, name: str | None = None) -> Path:
            folder = Path(root) / (name or str(scenarios))
            write_project(folder, base_url, scenarios)
            (folder / "conftest.py").write_text(MEASURING)
            return folder

        for count in options.scenarios:
            concurrency = min(count, options.concurrency)
            is_kept, walls[count], cpus[count] = compare(base_url, project(count), count, concurrency, options.rounds)
            kept.append(is_kept)
        most, middle = max(options.scenarios), sorted(options.scenarios)[len(options.scenarios) // 2]
        growth = cpus[most] / cpus[middle]
        print(f"CPU a scenario at {most}: {growth:.2f} of that at {middle} (limit {GROWTH_LIMIT})", flush=True)
        kept.append(growth <= GROWTH_LIMIT)
        at_once = min(middle, options.concurrency)
        kept.append(compare_stores(base_url, Path(root) / str(middle), at_once, options.rounds))
        if options.sequential:
            few = project(options.sequential, "few")
            one_by_one = run_pytest(few, base_url, 1, "--orchestra-store=memory").wall / options.sequential * middle
            times = one_by_one / walls[middle]
            print(f"one after another: {one_by_one:.0f} s, {times:.0f} times slower (at least {SEQUENTIAL_LEAST})")
            kept.append(times >= SEQUENTIAL_LEAST)
    return 1 if options.check and not all(kept) else 0


if __name__ == "__main__":
    sys.exit(main())
