"""What ``--orchestra`` switches on."""

from __future__ import annotations

import pytest

from pytest_orchestra.errors import OrchestraError
from pytest_orchestra.plugin.state import session_of, settings_of, worker_input
from pytest_orchestra.settings import Settings
from pytest_orchestra.store.opening import refuse_unknown_store

__all__ = ["activate", "refuse_without_switch"]


def activate(config: pytest.Config) -> None:
    """Register the hooks that collect, run and report scenarios. Raises ``pytest.UsageError`` for wrong settings."""
    from pytest_orchestra.plugin.collecting import ScenarioCollection  # noqa: PLC0415  after settings are known good
    from pytest_orchestra.plugin.reporting import ScenarioReporting  # noqa: PLC0415
    from pytest_orchestra.plugin.running import ScenarioRunning  # noqa: PLC0415

    settings = settings_of(config)
    _refuse_unusable(settings)
    if settings.step:
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


def refuse_without_switch(config: pytest.Config) -> None:
    """Raise ``pytest.UsageError`` if the command line says how scenarios are to run, but not that they are to.

    Options of a configuration may stay there for sessions of both kinds, and those of environments serve fixtures.
    """
    for argument in map(str, config.invocation_params.args):
        option = argument.partition("=")[0]
        if option.startswith("--orchestra-") and not option.startswith("--orchestra-environment"):
            raise pytest.UsageError(f"{option}: no scenario runs without --orchestra\nhint: add --orchestra")


def _refuse_unusable(settings: Settings) -> None:
    try:
        refuse_unknown_store(settings.store)
    except OrchestraError as error:
        raise pytest.UsageError(str(error)) from None
    if settings.resume and settings.store == "memory":
        raise pytest.UsageError(
            "--orchestra-resume: store 'memory' keeps no runs\nhint: resume with the store of the session"
        )
