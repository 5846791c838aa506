"""Starts the shop for the tests of this folder, and tells the scenarios where it is."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest
from shop.brokers import find_rabbitmq
from shop.launch import RunningShop, run_shop
from shop.settings import Settings

from pytest_orchestra.model.environment import Environment, QueueBrokerProfile

_HOME = Path(__file__).parent
_LOG = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shop-misbehave",
        default=os.environ.get("SHOP_MISBEHAVE", ""),
        metavar="FAULTS",
        help="what the shop does wrong: wrong-total, duplicate-event ... (README.md), or payments:lost-event",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the scenarios that need RabbitMQ where there is none, and say so."""
    if _has_rabbitmq() or config.getoption("--orchestra-simulate") == "all":
        return
    reason = "needs rabbitmq: install 'rabbitmq-server', or set SHOP_AMQP_URL"
    for item in filter(_needs_rabbitmq, items):
        item.add_marker(pytest.mark.skip(reason=reason))


def _has_rabbitmq() -> bool:
    return bool(os.environ.get("SHOP_AMQP_URL")) or find_rabbitmq() is not None


def _needs_rabbitmq(item: pytest.Item) -> bool:
    scenario = getattr(item, "scenario", None) if item.path.is_relative_to(_HOME) else None
    return scenario is not None and any(step.definition.channel_type == "QUEUE" for step in scenario.steps)


@pytest.fixture(scope="session")
def shop_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database for the shop: your own if ``SHOP_DATABASE_URL`` is set, else a new one on the embedded server."""
    own = os.environ.get("SHOP_DATABASE_URL")
    if own:
        yield own
        return
    server = request.getfixturevalue("orchestra_postgres")
    name = f"shop_{os.getpid()}"
    server.create_database(name)
    yield server.conninfo(name)
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def shop(
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
    shop_database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningShop]:
    """The shop, running: four services and their brokers on free ports; RabbitMQ only if a scenario needs it."""
    log = pytestconfig.stash[_LOG] = tmp_path_factory.mktemp("shop") / "shop.log"
    chosen = {"database_url": shop_database_url, "misbehave": pytestconfig.getoption("--shop-misbehave")}
    settings = Settings.read(os.environ).model_copy(update=chosen)
    with_rabbitmq = find_rabbitmq() is not None and any(map(_needs_rabbitmq, request.session.items))
    with run_shop(settings, log=log, with_rabbitmq=with_rabbitmq) as running:
        yield running


@pytest.fixture(scope="session")
def orchestra_environment(orchestra_environment: Environment, request: pytest.FixtureRequest) -> Environment:
    """The environment of ``environments.yaml``, with the addresses of the shop that runs, unless all is simulated."""
    if orchestra_environment.is_simulated:
        return orchestra_environment
    shop: RunningShop = request.getfixturevalue("shop")
    environment = (
        orchestra_environment.with_services(
            orders=shop.orders_url, payments=shop.payments_url, warehouse=shop.warehouse_url, prices=shop.prices_url
        )
        .with_databases(shop=shop.database_url)
        .with_kafka(shop=shop.kafka_servers)
    )
    if not shop.amqp_url:
        return environment
    password = "env:SHOP_AMQP_PASSWORD" if "SHOP_AMQP_PASSWORD" in os.environ else None
    broker = QueueBrokerProfile(endpoint=shop.amqp_url, password_ref=password)
    return environment.model_copy(update={"queue_profiles": {"shop": broker}})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the shop logged when a test fails: the lines of its scenario, or simply the last ones."""
    report = yield
    log = item.config.stash.get(_LOG, None)
    if report.failed and log is not None:
        lines = log.read_text(encoding="utf-8").splitlines()
        mark = f"[{dict(report.user_properties).get('orchestra.correlation_id')}] "
        own = [line.replace(mark, "") for line in lines if mark in line]
        report.sections.append(("shop log", "\n".join((own or lines)[-20:])))
    return report
