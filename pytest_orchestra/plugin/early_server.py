"""The embedded server, started beside what a session has to do before its first scenario."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.plugin.state import cache_path
from pytest_orchestra.settings import read_settings
from pytest_orchestra.store.opening import start_server

__all__ = ["EarlyServer"]


class EarlyServer:
    """Starts the embedded server in a thread: at once where sessions have been before, else at the first process file.

    What goes wrong is not told here: the store meets it again, and knows how to say it.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._folder = cache_path(config)
        self._thread: threading.Thread | None = None
        self._release: Callable[[], None] | None = None
        self._is_wanted = not config.option.collectonly and _has_embedded_store(config)
        if self._folder.is_dir():
            self._begin()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_file(self, file_path: Path) -> None:
        """Start the server if there is a process."""
        from pytest_orchestra.readers.process_file import is_process_file  # noqa: PLC0415  by now it is there anyway

        if self._thread is None and is_process_file(file_path):
            self._begin()

    def pytest_unconfigure(self) -> None:
        """Stop using the server; whoever else does keeps it."""
        if self._thread is not None:
            self._thread.join()
        if self._release is not None:
            self._release()

    def _begin(self) -> None:
        if self._is_wanted:
            self._thread = threading.Thread(target=self._start, name="orchestra embedded server", daemon=True)
            self._thread.start()

    def _start(self) -> None:
        with contextlib.suppress(Exception):
            self._release = start_server(self._folder)


def _has_embedded_store(config: pytest.Config) -> bool:
    try:
        return read_settings(config).store == "embedded"
    except OrchestraError:  # which whoever reads them next tells
        return False
