"""What the orders service asks of the others."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import grpc

from shop.correlation import carry
from shop.orders.models import Charge, Delivery
from shop.prices.contract import messages, services
from shop.problem import unprocessable
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
    """The warehouse service, as seen from here; of what it reserves and releases it hears by Kafka."""

    def __init__(self, tools: Tools) -> None:
        self._http = tools.http
        self._url = tools.settings.warehouse_url

    async def ship(self, order_id: UUID, delivery: Delivery) -> None:
        """Ask for the goods to be sent off; the result comes as an answer."""
        body = {"orderId": str(order_id), "delivery": delivery}
        (await self._http.post(f"{self._url}/shipments", json=body)).raise_for_status()


class Prices:
    """The prices service, as seen from here."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = services.PricesStub(channel)

    async def quote(self, items: Sequence[Item]) -> Decimal:
        """Ask what an order costs. Raises ``RefusalError`` for products that there are not."""
        lines = [messages.Line(sku=item.sku, quantity=item.quantity) for item in items]
        metadata = tuple((name.lower(), value) for name, value in carry().items())
        try:
            quote = await self._stub.QuoteOrder(messages.QuoteRequest(lines=lines), metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise unprocessable(error.details() or "there is no such product") from error
            raise
        return Decimal(quote.cents) / 100
