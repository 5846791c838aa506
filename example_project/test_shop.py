"""Ordinary tests beside the scenarios: the same shop, the same environment, the same data."""

from __future__ import annotations

import httpx
import pytest
from shop.launch import RunningShop

from pytest_orchestra.model.dataset import TestDataSet
from pytest_orchestra.model.environment import Environment


def test_every_service_is_up(orchestra_environment: Environment, shop: RunningShop) -> None:
    assert orchestra_environment.services.keys() == shop.health_urls.keys()
    for name, url in shop.health_urls.items():
        assert httpx.get(f"{url}/health").json() == {"status": "UP", "service": name}


@pytest.mark.orchestra_dataset("green-tea")
def test_cancelled_order_cannot_be_cancelled_again(shop: RunningShop, orchestra_dataset: TestDataSet) -> None:
    data = orchestra_dataset.data
    new = {
        "customer": data["customer"],
        "items": [{"sku": data["sku"], "quantity": data["quantity"]}],
        "cardToken": data["card"],
    }
    with httpx.Client(base_url=shop.orders_url) as orders:
        order = orders.post("/orders", json=new).json()
        assert orders.post(f"/orders/{order['id']}/cancellation").json()["status"] == "CANCELLED"
        assert orders.post(f"/orders/{order['id']}/cancellation").status_code == 409
