"""What the orders service asks of the others."""

from __future__ import annotations

from uuid import UUID

from shop.orders.models import Charge, Delivery
from shop.schemas import Item
from shop.service import Tools


class Payments:
    """The payments service, as seen from here."""

    def __init__(self, tools: Tools) -> None:
        self._http = tools.http
        self._url = tools.settings.payments_url

    async def charge(self, charge: Charge) -> None:
        """Ask for one attempt to take the payment; the result comes as an event."""
        body = {
            "orderId": str(charge.order_id),
            "attempt": charge.attempt,
            "amount": float(charge.amount),
            "cardToken": charge.card_token,
        }
        (await self._http.post(f"{self._url}/payments", json=body)).raise_for_status()

    async def refund(self, order_id: UUID) -> None:
        """Ask for everything back."""
        (await self._http.post(f"{self._url}/refunds", json={"orderId": str(order_id)})).raise_for_status()


class Warehouse:
    """The warehouse service, as seen from here."""

    def __init__(self, tools: Tools) -> None:
        self._http = tools.http
        self._url = tools.settings.warehouse_url

    async def reserve(self, order_id: UUID, items: list[Item]) -> None:
        """Ask for the goods to be put aside; the result comes as an event."""
        body = {"orderId": str(order_id), "items": [item.model_dump(by_alias=True) for item in items]}
        (await self._http.post(f"{self._url}/reservations", json=body)).raise_for_status()

    async def release(self, order_id: UUID) -> None:
        """Give the goods back, if any were put aside."""
        await self._http.delete(f"{self._url}/reservations/{order_id}")

    async def ship(self, order_id: UUID, delivery: Delivery) -> None:
        """Ask for the goods to be sent off; the result comes as an event."""
        body = {"orderId": str(order_id), "delivery": delivery}
        (await self._http.post(f"{self._url}/shipments", json=body)).raise_for_status()
