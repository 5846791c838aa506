"""The hooks by which others extend pytest-orchestra; implement them in a ``conftest.py`` or a pytest plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import pytest

    from pytest_orchestra.engine.ports import Listener, ProtocolPlugin
    from pytest_orchestra.model.dataset import TestDataSet

hookspec = pluggy.HookspecMarker("pytest")

__all__ = ["pytest_orchestra_data_sets", "pytest_orchestra_listeners", "pytest_orchestra_protocols"]


@hookspec
def pytest_orchestra_protocols(config: pytest.Config | None) -> Sequence[ProtocolPlugin]:  # type: ignore[empty-body]
    """Give protocols. One that serves a channel which another serves already takes its place, the built-in ones' first.

    ``config`` is None when the ``orchestra`` command asks.
    """


@hookspec
def pytest_orchestra_listeners(config: pytest.Config) -> Sequence[Listener]:  # type: ignore[empty-body]
    """Give listeners, which hear every event of the engine on its thread."""


@hookspec
def pytest_orchestra_data_sets(  # type: ignore[empty-body]
    config: pytest.Config | None, process_file: Path
) -> Sequence[TestDataSet]:
    """Give more data sets for the scenarios of a process file."""
