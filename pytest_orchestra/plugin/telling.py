"""Telling the user what no report carries."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

__all__ = ["fresh_line", "say", "uncaptured"]


def uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """Let what is written meanwhile reach the terminal itself."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return nullcontext() if capture is None else capture.global_and_fixture_disabled()


def say(config: pytest.Config, text: str) -> None:
    """Write a line of its own to the terminal, if there is one."""
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        fresh_line(config)
        with uncaptured(config):
            reporter.write_line(text)


def fresh_line(config: pytest.Config) -> None:
    """End the line that pytest is writing, if it is writing one."""
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        with uncaptured(config):
            reporter.ensure_newline()
            if reporter._tw.width_of_current_line:  # noqa: SLF001  which is not so after a line of dots
                reporter.line("")
            reporter.flush()
