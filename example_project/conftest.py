"""Starts the shop for the tests of this folder, and tells the scenarios where it is."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest
from shop.launch import RunningShop, run_shop
from shop.settings import Settings

from pytest_orchestra.model.environment import Environment

_LOG = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shop-misbehave",
        default=os.environ.get("SHOP_MISBEHAVE", ""),
        metavar="FAULTS",
        help="what the shop does wrong: wrong-total, lost-event, slow-settling, broken-schema, or payments:lost-event",
    )


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
    pytestconfig: pytest.Config, shop_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningShop]:
    """The shop, running: three processes on free ports."""
    log = pytestconfig.stash[_LOG] = tmp_path_factory.mktemp("shop") / "shop.log"
    chosen = {"database_url": shop_database_url, "misbehave": pytestconfig.getoption("--shop-misbehave")}
    with run_shop(Settings.read(os.environ).model_copy(update=chosen), log=log) as running:
        yield running


@pytest.fixture(scope="session")
def orchestra_environment(orchestra_environment: Environment, shop: RunningShop) -> Environment:
    """The environment of ``environments.yaml``, with the addresses of the shop that runs."""
    return orchestra_environment.with_services(
        orders=shop.orders_url, payments=shop.payments_url, warehouse=shop.warehouse_url
    ).with_databases(shop=shop.database_url)


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
