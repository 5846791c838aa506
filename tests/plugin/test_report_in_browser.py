"""The HTML report as a browser shows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_html_report_in_a_browser_shows_steps_and_runs_nothing_of_the_data(project: Any, tmp_path: Path) -> None:
    """The steps, rules and commands of a failed scenario are on the page, and a data set's name stays a text."""
    hostile = "<img src=x onerror=document.title='owned'>"
    project.orders({hostile: {"amount": 13}})
    project.run("--html=report.html", "--self-contained-html").assert_outcomes(failed=1)
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        *QUIET,
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        (project.path / "report.html").as_uri(),
    ]
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    for expected in ("BUSINESS_RULE_VIOLATION", "response.body.total", "curl --include", "Place order"):
        assert expected in page
    assert 'title">report.html</title>' in page, "the data set's name was run as a script"
    assert '<img src="x"' not in page
