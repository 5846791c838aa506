"""What the plugin costs who does not use it, and what collecting ten thousand data rows costs who does."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workload import write_project

ROUNDS = 5
PARAMETRIZED = """
import pytest

@pytest.mark.parametrize("n", range({rows}))
def test_row(n):
    pass
"""


def import_cost_ms(folder: Path) -> float:
    """Give the milliseconds that a pytest session without ``--orchestra`` spends importing our modules, at best."""
    (folder / "test_empty.py").write_text("def test_nothing(): pass\n")
    costs = []
    for _ in range(ROUNDS):
        command = [sys.executable, "-X", "importtime", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_empty.py"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        own = re.findall(r"import time: +(\d+) \| +\d+ \| +pytest_orchestra", done.stderr)
        assert own, "the plugin was not loaded"
        costs.append(sum(map(int, own)) / 1000)
    return min(costs)


def collection_s(folder: Path, *options: str) -> float:
    """Give the seconds of a session that only collects, at best."""
    costs = []
    for _ in range(ROUNDS):
        command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *options]
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
        costs.append(time.perf_counter() - began)
    return min(costs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        plain.mkdir()
        (plain / "pytest.ini").write_text("[pytest]\n")
        own = import_cost_ms(plain)
        (plain / "test_empty.py").write_text(PARAMETRIZED.format(rows=options.rows))
        parametrized = collection_s(plain)
        figures = {}
        for rows in (1, options.rows // 10, options.rows):
            project = Path(folder) / f"rows{rows}"
            write_project(project, "http://127.0.0.1:9", rows)
            figures[rows] = collection_s(project, "--orchestra")
    start, tenth, full = figures.values()
    per_item = [(tenth - start) / (options.rows // 10) * 1e6, (full - start) / options.rows * 1e6]
    print(f"imports of ours without --orchestra  {own:7.1f} ms            (limit 10)")
    print(f"{options.rows} parametrized tests          {parametrized:7.2f} s")
    print(f"{options.rows} data rows                   {full:7.2f} s   {full - parametrized:+5.2f} s (limit 1)")
    print(f"per row at {options.rows // 10:6} / {options.rows:6}        {per_item[0]:6.0f} / {per_item[1]:.0f} us")
    if options.check and (own > 10 or full - parametrized > 1):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
