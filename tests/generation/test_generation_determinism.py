"""The same input gives the same suite, byte for byte, whatever the interpreter's hash seed; and generation is pure."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from random_processes import wild_processes
from replay import RANDOM_KINDS
from suites import EVERY, plan

import pytest_orchestra.generation
from pytest_orchestra.model.process import Process

HERE = Path(__file__).parent
PURE = frozenset(
    {
        *("__future__", "abc", "bisect", "collections", "dataclasses", "enum", "functools", "itertools", "typing"),
        *("difflib", "fractions", "hashlib", "heapq", "json", "math", "operator", "re", "types"),
        *("string", "unicodedata", "urllib"),
        *(
            "pytest_orchestra.errors",
            "pytest_orchestra.generation",
            "pytest_orchestra.model",
            "pytest_orchestra.problem",
        ),
        *("jsonschema_rs", "z3"),  # for regular expressions, and as an extra for conditions; both do but compute
        "jinja2",  # its parser alone, for templates that Arazzo documents say in other words
    }
)
"""All that generation may import: nothing that reads files, knows the time, draws lots or speaks to anyone."""


def _output(seed: str) -> bytes:
    environment = os.environ | {
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)]),
    }
    done = subprocess.run(
        [sys.executable, HERE / "determinism_script.py"], env=environment, check=True, capture_output=True
    )
    return done.stdout


def test_interpreters_with_different_hash_seeds_give_the_same_bytes() -> None:
    """No order of a set or of hashes shows in the result."""
    outputs = {_output(seed) for seed in ("0", "1", "4711")}
    assert len(outputs) == 1
    assert len(next(iter(outputs)).splitlines()) == 6


@given(wild_processes(RANDOM_KINDS, cyclic=True))
def test_two_calls_give_the_same_suite(process: Process) -> None:
    """Nothing is remembered from one call to the next."""
    assert plan(process, criteria=EVERY) == plan(process, criteria=EVERY)


def test_generation_imports_nothing_that_could_differ_between_runs() -> None:
    """No clock, no randomness, no file: only the model and pure parts of the standard library."""
    folder = Path(pytest_orchestra.generation.__file__).parent
    imported: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    roots = {".".join(name.split(".")[: 2 if name.startswith("pytest_orchestra") else 1]) for name in imported}
    assert roots <= PURE
