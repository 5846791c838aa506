"""Output, log records and warnings of concurrent scenarios, each to the scenario that it comes from."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import pytest

from pytest_orchestra.collection.adapter import Anchor, enter_item_wrappers
from pytest_orchestra.engine.context import current_run

__all__ = ["OutputRouter"]

_LOG_FORMAT = "%(levelname)-8s %(name)s:%(filename)s:%(lineno)d %(message)s"


class _RoutedStream(io.TextIOBase):
    """Writes what a scenario prints to the scenario's own buffer, and everything else to where it would have gone."""

    def __init__(self, beneath: TextIO, buffers: defaultdict[str, io.StringIO], *, tee: bool) -> None:
        self._beneath = beneath
        self._buffers = buffers
        self._tee = tee

    def write(self, text: str) -> int:
        """Write text."""
        run_id = current_run.get()
        if run_id is None:
            return self._beneath.write(text)
        self._buffers[run_id].write(text)
        return self._beneath.write(text) if self._tee else len(text)

    def flush(self) -> None:
        """Flush what lies beneath."""
        self._beneath.flush()

    def close(self) -> None:
        """Leave open what lies beneath, and untouched: it may be closed already when this one is finalized."""

    def isatty(self) -> bool:
        """Tell what lies beneath is."""
        return self._beneath.isatty()

    def fileno(self) -> int:
        """Give the descriptor beneath."""
        return self._beneath.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding beneath."""
        return self._beneath.encoding


class _RoutedLog(logging.Handler):
    """Formats log records into the buffer of the scenario that they come from."""

    def __init__(self, buffers: defaultdict[str, io.StringIO]) -> None:
        super().__init__()
        self._buffers = buffers
        self.setFormatter(logging.Formatter(_LOG_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        run_id = current_run.get()
        if run_id is not None:
            self._buffers[run_id].write(self.format(record) + "\n")


class OutputRouter:
    """Stands in for pytest's capturing while the event loop runs between two items."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self._tee = config.getoption("capture", default="no") == "no"  # without its plugin the option is unknown
        self._stdout: defaultdict[str, io.StringIO] = defaultdict(io.StringIO)
        self._stderr: defaultdict[str, io.StringIO] = defaultdict(io.StringIO)
        self._log: defaultdict[str, io.StringIO] = defaultdict(io.StringIO)
        self._warnings: defaultdict[str, list[warnings.WarningMessage]] = defaultdict(list)

    @contextmanager
    def routing(self, anchor: Anchor) -> Iterator[None]:
        """Route while the loop runs between items."""
        if self._capture is not None:
            self._capture.resume_global_capture()
        try:
            with enter_item_wrappers(self._config, anchor), self._streams(), self._logging(), self._warning():
                yield
        finally:
            if self._capture is not None:
                self._capture.suspend_global_capture(in_=False)

    @contextmanager
    def _streams(self) -> Iterator[None]:
        beneath = sys.stdout, sys.stderr
        sys.stdout = _RoutedStream(beneath[0], self._stdout, tee=self._tee)
        sys.stderr = _RoutedStream(beneath[1], self._stderr, tee=self._tee)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = beneath

    @contextmanager
    def _logging(self) -> Iterator[None]:
        handler = _RoutedLog(self._log)
        root = logging.getLogger()
        level = _log_level(self._config)
        before = root.level
        if level is not None:
            handler.setLevel(level)
            root.setLevel(min(before, level))
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(before)

    @contextmanager
    def _warning(self) -> Iterator[None]:
        shown = warnings.showwarning

        def route(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            run_id = current_run.get()
            if run_id is None:
                shown(message, category, filename, lineno, file, line)
            else:
                found = warnings.WarningMessage(message, category, filename, lineno, file, line)
                self._warnings[run_id].append(found)

        warnings.showwarning = route
        try:
            yield
        finally:
            warnings.showwarning = shown

    def take(self, run_id: str) -> Iterator[tuple[str, str]]:
        """Give the sections (``stdout``, ``stderr``, ``log``) that a run has written, and forget them."""
        for name, buffers in (("stdout", self._stdout), ("stderr", self._stderr), ("log", self._log)):
            buffer = buffers.pop(run_id, None)
            if buffer is not None and buffer.getvalue():
                yield name, buffer.getvalue()

    def replay_warnings(self, run_id: str) -> None:
        """Issue a run's warnings again, inside its item, so that pytest shows them there."""
        registry: dict[Any, Any] = {}
        for found in self._warnings.pop(run_id, ()):
            warnings.warn_explicit(found.message, found.category, found.filename, found.lineno, registry=registry)


def _log_level(config: pytest.Config) -> int | None:
    """Give the level that pytest's own option asks for."""
    if not config.pluginmanager.hasplugin("logging-plugin"):
        return None
    given = config.getoption("log_level") or config.getini("log_level")
    if not given:
        return None
    level = logging.getLevelNamesMapping().get(str(given).upper())
    return level if level is not None else int(given) if str(given).isdigit() else None
