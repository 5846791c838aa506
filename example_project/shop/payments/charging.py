"""Taking payments: accepted at once, settled when the gateway answers, then reported to orders."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from shop.faults import Fault
from shop.payments import gateway
from shop.payments.models import NewPayment, Payment, PaymentStatus
from shop.payments.storage import PaymentStore
from shop.problem import conflict, not_found
from shop.service import Tools

_log = logging.getLogger(__name__)


class Charging:
    """Takes payments and gives them back."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = PaymentStore(tools.database)

    async def charge(self, new: NewPayment) -> Payment:
        """Accept an attempt and settle it in the background."""
        payment = await self._store.add(new)
        if payment is None:
            raise conflict(f"attempt {new.attempt} is on record already")
        self._tools.jobs.start(self._settle(payment, new.card_token))
        return payment

    async def find(self, payment_id: UUID) -> Payment:
        """Give a payment."""
        payment = await self._store.find(payment_id)
        if payment is None:
            raise not_found("payment")
        return payment

    async def of_order(self, order_id: UUID) -> list[Payment]:
        """Give all attempts of an order."""
        return await self._store.of_order(order_id)

    async def refund(self, order_id: UUID) -> None:
        """Give back, or never take, what an order was to pay."""
        await self._store.give_back(order_id)

    async def _settle(self, payment: Payment, card_token: str) -> None:
        await self._tools.work(self._tools.settings.payment_ms)
        status = gateway.answer(card_token, payment.attempt)
        if status is None or await self._store.settle(payment.id, status) is None:
            return
        _log.info("order %s, attempt %s: %s", payment.order_id, payment.attempt, status)
        if status is PaymentStatus.CAPTURED and Fault.LOST_EVENT in self._tools.faults:
            return
        report = {"type": f"PAYMENT_{status}"}
        url = f"{self._tools.settings.orders_url}/orders/{payment.order_id}/events"
        (await self._tools.http.post(url, json=report)).raise_for_status()


@asynccontextmanager
async def opening(tools: Tools) -> AsyncIterator[Charging]:
    """Take payments while the block runs."""
    yield Charging(tools)
