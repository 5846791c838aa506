"""Readers of pages, and the documentation built once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import DOCS
from doc_reader import Reader, free_port


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Give a reader with an empty folder; a server of the page's listens on a free port, not on the page's own."""
    port = free_port()
    someone = Reader(tmp_path, port, {"BAR_PORT": str(port)})
    yield someone
    someone.close()


@pytest.fixture(scope="session")
def built_docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the HTML that sphinx makes of the documentation, warnings being errors."""
    out = tmp_path_factory.mktemp("docs") / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out
