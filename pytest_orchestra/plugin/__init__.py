"""The pytest plugin: options, fixtures and a switch are all that a session without ``--orchestra`` imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_orchestra.settings import add_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_orchestra.model.dataset import TestDataSet
    from pytest_orchestra.model.environment import Environment
    from pytest_orchestra.store.embedded import EmbeddedPostgres


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, a table in ``settings``."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the extension points, which conftests may implement with and without ``--orchestra``."""
    from pytest_orchestra import hookspecs  # noqa: PLC0415  kept out of the plugin's own import

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Register the rest of the plugin if it is wanted."""
    config.addinivalue_line("markers", "orchestra_dataset(name): the data set that the fixture orchestra_dataset gives")
    if config.getoption("orchestra") or config.getini("orchestra"):
        from pytest_orchestra.plugin.early_server import EarlyServer  # noqa: PLC0415  nobody else pays for it

        config.pluginmanager.register(EarlyServer(config), "orchestra-early-server")
        from pytest_orchestra.plugin.activation import activate  # noqa: PLC0415  which the server starts beside

        activate(config)
    elif any(str(argument).startswith("--orchestra-") for argument in config.invocation_params.args):
        from pytest_orchestra.plugin.activation import refuse_without_switch  # noqa: PLC0415  as above

        refuse_without_switch(config)


@pytest.fixture(scope="session")
def orchestra_environment(request: pytest.FixtureRequest) -> Environment:
    """Give the environment that scenarios run against. Override it in a conftest to say where the services are."""
    from pytest_orchestra.plugin.fixtures import chosen_environment  # noqa: PLC0415

    return chosen_environment(request.config, request.session)


@pytest.fixture
def orchestra_dataset(request: pytest.FixtureRequest) -> TestDataSet:
    """Give the data set of the scenario, or the one that ``@pytest.mark.orchestra_dataset("name")`` names."""
    from pytest_orchestra.plugin.fixtures import data_set_of  # noqa: PLC0415

    return data_set_of(request.node)


@pytest.fixture(scope="session")
def orchestra_suite_context(request: pytest.FixtureRequest) -> Mapping[str, object]:
    """Give what the scenarios of this session have exported so far; templates call it ``suite``."""
    from pytest_orchestra.plugin.fixtures import suite_context  # noqa: PLC0415

    return suite_context(request.config)


@pytest.fixture(scope="session")
def orchestra_postgres(request: pytest.FixtureRequest) -> Any:
    """Give an embedded PostgreSQL server for the system under test: ``.create_database(name)``, ``.conninfo(name)``."""
    from pytest_orchestra.plugin.fixtures import embedded_postgres  # noqa: PLC0415

    server: EmbeddedPostgres
    with embedded_postgres(request.config) as server:
        yield server
