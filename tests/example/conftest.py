"""The example's shop, running once for all tests of this folder on a server of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_orchestra.store.embedded import EmbeddedPostgres

EXAMPLE = Path(__file__).resolve().parents[2] / "example_project"
sys.path.insert(0, str(EXAMPLE))  # the example's package, as pytest finds it when it runs there

from shop.brokers import find_rabbitmq  # noqa: E402
from shop.launch import RunningShop, run_shop  # noqa: E402
from shop.settings import Settings  # noqa: E402


@pytest.fixture(scope="session")
def example() -> Path:
    return EXAMPLE


@pytest.fixture(scope="session")
def shop_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Give settings with a fresh database and with delays short enough for tests."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        server.create_database("shop")
        yield Settings(
            database_url=server.conninfo("shop"),
            payment_ms=40,
            payment_retry_ms=20,
            payment_deadline_ms=700,
            reservation_ms=20,
            picking_ms=30,
            express_shipping_ms=10,
            standard_shipping_ms=30,
        )


@pytest.fixture(scope="session")
def running_shop(shop_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    with run_shop(shop_settings, log=tmp_path_factory.mktemp("shop") / "shop.log") as running:
        yield running


@pytest.fixture(scope="session")
def answering_shop(shop_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    """A shop whose warehouse answers through RabbitMQ."""
    if find_rabbitmq() is None:
        pytest.skip("needs rabbitmq: Debian's package 'rabbitmq-server'")
    folder = tmp_path_factory.mktemp("answering")
    with EmbeddedPostgres(folder / "postgres") as server:
        server.create_database("shop")
        settings = shop_settings.model_copy(update={"database_url": server.conninfo("shop")})
        with run_shop(settings, log=folder / "shop.log", with_rabbitmq=True) as running:
            yield running


class Customer:
    """Speaks to the services as their callers do."""

    def __init__(self, shop: RunningShop) -> None:
        self.orders = httpx.Client(base_url=shop.orders_url, trust_env=False)
        self.payments = httpx.Client(base_url=shop.payments_url, trust_env=False)
        self.warehouse = httpx.Client(base_url=shop.warehouse_url, trust_env=False)
        self.prices = httpx.Client(base_url=shop.health_urls["prices"], trust_env=False)
        self.services = (self.orders, self.payments, self.warehouse, self.prices)

    def place(self, correlation_id: str | None = None, key: str | None = None, **changed: object) -> httpx.Response:
        body = {
            "customer": "Ada",
            "items": [{"sku": "TEA-GREEN", "quantity": 2}],
            "delivery": "EXPRESS",
            "cardToken": "tok_visa",
        }
        headers = {"X-Correlation-ID": correlation_id, "Idempotency-Key": key}
        given = {name: value for name, value in headers.items() if value}
        return self.orders.post("/orders", json=body | changed, headers=given)

    def order(self, order_id: str) -> dict[str, Any]:
        return self.orders.get(f"/orders/{order_id}").json()

    def events(self, order_id: str) -> list[str]:
        return [event["type"] for event in self.orders.get(f"/orders/{order_id}/events").json()]

    def attempts(self, order_id: str) -> list[str]:
        found = self.payments.get("/payments", params={"orderId": order_id}).json()
        return [payment["status"] for payment in found]

    def pick(self, order_id: str) -> httpx.Response:
        return self.warehouse.post(f"/reservations/{order_id}/picking", json={"picker": "Grace"})

    def wait_until(self, holds: Callable[[], object], timeout_s: float = 5.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, "what was waited for did not come"
            time.sleep(0.01)

    def wait_for(self, order_id: str, status: str) -> dict[str, Any]:
        self.wait_until(lambda: self.order(order_id)["status"] == status)
        return self.order(order_id)

    def wait_for_goods(self, order_id: str) -> None:
        self.wait_until(lambda: self.warehouse.get(f"/reservations/{order_id}").json().get("status") == "RESERVED")

    def choose_faults(self, text: str) -> None:
        for service in self.services:
            service.put("/_faults", params={"active": text}).raise_for_status()


@pytest.fixture(scope="session")
def session_customer(running_shop: RunningShop) -> Iterator[Customer]:
    customer = Customer(running_shop)
    yield customer
    for service in customer.services:
        service.close()


@pytest.fixture
def customer(session_customer: Customer) -> Iterator[Customer]:
    """Give a caller of the services, which behave again when the test has ended."""
    yield session_customer
    session_customer.choose_faults("")


@pytest.fixture
def answering_customer(answering_shop: RunningShop) -> Iterator[Customer]:
    """Give a caller of the shop whose warehouse answers through RabbitMQ."""
    customer = Customer(answering_shop)
    yield customer
    for service in customer.services:
        service.close()
