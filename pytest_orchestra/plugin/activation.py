"""What ``--orchestra`` switches on."""

from __future__ import annotations

import pytest

from pytest_orchestra.plugin.state import session_of, settings_of, worker_input

__all__ = ["activate"]


def activate(config: pytest.Config) -> None:
    """Register the hooks that collect, run and report scenarios. Raises ``pytest.UsageError`` for wrong settings."""
    from pytest_orchestra.plugin.collecting import ScenarioCollection  # noqa: PLC0415  after settings are known good
    from pytest_orchestra.plugin.reporting import ScenarioReporting  # noqa: PLC0415
    from pytest_orchestra.plugin.running import ScenarioRunning  # noqa: PLC0415

    if settings_of(config).step:
        from pytest_orchestra.plugin.stepping import attend  # noqa: PLC0415

        attend(config)
    session = session_of(config)
    manager = config.pluginmanager
    manager.register(ScenarioCollection(config, session), "orchestra-collection")
    manager.register(ScenarioRunning(config, session), "orchestra-running")
    manager.register(ScenarioReporting(config, session), "orchestra-reporting")
    if manager.hasplugin("xdist") and not worker_input(config):
        from pytest_orchestra.plugin.distribution import ScenarioDistribution  # noqa: PLC0415

        manager.register(ScenarioDistribution(config), "orchestra-distribution")
