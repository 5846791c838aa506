"""The README: its two commands, and what it shows of a failure."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from doc_pages import README, ROOT, blocks, matches

TRY_IT = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[example]' && .venv/bin/pytest --orchestra example_project"
)
TEST_IT = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/pytest -n auto"


def test_readme_commands_are_the_two_and_ci_finds_the_second() -> None:
    """Each command stands in a block of its own; the one after the mark is what CI runs."""
    found = [block.text.strip() for block in blocks(README) if block.language == "sh"]
    assert found[:2] == [TRY_IT, TEST_IT]
    extract = "sed -n '/<!-- tests -->/,/```$/p' README.md | sed '1,2d;$d'"
    done = subprocess.run(extract, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == TEST_IT


def test_readme_first_command_passes_as_many_tests_as_it_says(reader: Any) -> None:
    """What is installed here already is run as the first command runs it."""
    assert "thirteen tests" in README.read_text(encoding="utf-8")
    reader.folder = ROOT
    done = reader.run("pytest -p no:cacheprovider --orchestra -rs example_project")
    assert done.returncode == 0, done.stdout + done.stderr
    if "needs rabbitmq: " in done.stdout:
        assert "(without RabbitMQ it skips two)" in README.read_text(encoding="utf-8")
        assert " 11 passed, 2 skipped in " in done.stdout
        pytest.skip("11 of 13 tests passed; the others need rabbitmq: Debian's package 'rabbitmq-server'")
    assert " 13 passed in " in done.stdout


def test_readme_failure_is_what_a_misbehaving_shop_gives(reader: Any) -> None:
    """The failure that the README shows, shortened, is a real one."""
    (shown,) = (block.text for block in blocks(README) if block.language == "text")
    assert "`pytest --orchestra example_project --shop-misbehave=wrong-total`" in README.read_text(encoding="utf-8")
    reader.folder = ROOT
    done = reader.run(
        "COLUMNS=100 pytest -p no:cacheprovider --orchestra example_project --shop-misbehave=wrong-total "
        "--orchestra-store=memory -k 'small-order and one-green-tea'"
    )
    assert matches(f"...\n{shown}...", done.stdout), done.stdout + done.stderr
