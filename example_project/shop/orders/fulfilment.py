"""The way of an order from the customer's wish to the shipped parcel."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final, get_args
from uuid import UUID

import grpc

from shop import answers, order_events
from shop.correlation import correlation_id
from shop.faults import Fault
from shop.order_events import EventKind, OrderEvents
from shop.orders.models import (
    ApprovalDecision,
    CancellationReason,
    EventType,
    NewOrder,
    Order,
    OrderEvent,
    OrderStatus,
    ReportedEvent,
)
from shop.orders.peers import Payments, Prices, Warehouse
from shop.orders.storage import OrderStore
from shop.problem import conflict, not_found, unprocessable
from shop.service import Tools

LARGE_ORDER: Final = Decimal(1000)
"""Orders above this total need an approval."""


_log = logging.getLogger(__name__)


class Fulfilment:
    """Decides what happens to an order next, and sees to it."""

    def __init__(self, tools: Tools, prices: Prices, published: OrderEvents) -> None:
        self._settings = tools.settings
        self._faults = tools.faults
        self._jobs = tools.jobs
        self._store = OrderStore(tools.database)
        self._payments = Payments(tools)
        self._warehouse = Warehouse(tools)
        self._prices = prices
        self._published = published

    async def place(self, new: NewOrder, key: str | None) -> Order:
        """Take an order. The same idempotency key gives the same order."""
        total = await self._total(new)
        is_large = total > LARGE_ORDER
        status = OrderStatus.AWAITING_APPROVAL if is_large else OrderStatus.PREPARING
        order = await self._store.add(new, total, status, key)
        if order is None:
            assert key is not None
            return _known(await self._store.find_by_key(key))
        if not is_large:
            self._prepare(order)
        return order

    async def find(self, order_id: UUID) -> Order:
        """Give an order."""
        return _known(await self._store.find(order_id))

    async def events(self, order_id: UUID) -> list[OrderEvent]:
        """Give what happened to an order."""
        await self.find(order_id)
        return await self._store.events(order_id)

    async def decide(self, order_id: UUID, decision: ApprovalDecision) -> Order:
        """Let a large order pass, or not."""
        await self._check_reference(decision.reference)
        status, event = (
            (OrderStatus.PREPARING, EventType.ORDER_APPROVED)
            if decision.approved
            else (OrderStatus.REJECTED, EventType.ORDER_REJECTED)
        )
        order = await self._store.advance(order_id, status, event, allowed=[OrderStatus.AWAITING_APPROVAL])
        if order is None:
            raise conflict(f"an order that is {(await self.find(order_id)).status} is not up for approval")
        if decision.approved:
            self._prepare(order)
        return order

    async def cancel(self, order_id: UUID, reason: CancellationReason) -> Order:
        """Cancel an order that has not left for shipping, and undo what was done for it."""
        order = await self._store.advance(
            order_id,
            OrderStatus.CANCELLED,
            EventType.ORDER_CANCELLED,
            allowed=[OrderStatus.AWAITING_APPROVAL, OrderStatus.PREPARING],
            reason=reason,
        )
        if order is None:
            raise conflict(f"an order that is {(await self.find(order_id)).status} cannot be cancelled")
        self._undo(order)
        return order

    async def record(self, order_id: UUID, event: ReportedEvent) -> None:
        """Take note of what another service reports, and go on from there."""
        order = await self.find(order_id)
        correlation_id.set(order.correlation_id)  # whoever reports it, from here on it is the order's story
        _log.info("order %s, %s: %s", order_id, order.status, event)
        match event:
            case EventType.PAYMENT_CAPTURED:
                await self._on_payment(order)
            case EventType.GOODS_PICKED:
                await self._store.mark_picked(order_id)
                await self._ship_if_ready(order)
            case EventType.PAYMENT_DECLINED:
                await self._store.note(order_id, event)
                self._jobs.start(self._charge(order_id), after_ms=self._settings.payment_retry_ms)
            case EventType.STOCK_RESERVED | EventType.GOODS_RELEASED:
                await self._store.note(order_id, event)
            case EventType.OUT_OF_STOCK:
                await self._store.note(order_id, event)
                await self.cancel(order_id, CancellationReason.OUT_OF_STOCK)
            case EventType.ORDER_SHIPPED:
                await self._store.advance(order_id, OrderStatus.SHIPPED, event, allowed=[OrderStatus.SHIPPING])

    def _prepare(self, order: Order) -> None:
        """Take the payment and put the goods aside, both at once and within the payment's deadline."""
        self._jobs.start(self._charge(order.id))
        self._jobs.start(self._publish(EventKind.ORDER_CONFIRMED, order))
        self._jobs.start(self._cancel_if_unpaid(order.id), after_ms=self._settings.payment_deadline_ms)

    async def _charge(self, order_id: UUID) -> None:
        charge = await self._store.next_charge(order_id, self._settings.payment_attempts)
        if charge is not None:
            await self._payments.charge(charge)

    async def _on_payment(self, order: Order) -> None:
        if await self._store.mark_paid(order.id):
            await self._ship_if_ready(order)
        elif order.status is OrderStatus.CANCELLED:
            self._jobs.start(self._payments.refund(order.id))

    async def _ship_if_ready(self, order: Order) -> None:
        if await self._store.mark_ready(order.id):
            self._jobs.start(self._warehouse.ship(order.id, order.delivery))

    async def _cancel_if_unpaid(self, order_id: UUID) -> None:
        order = await self._store.cancel_unpaid(order_id)
        if order is not None:
            _log.info("order %s is not paid in time and cancelled", order_id)
            self._undo(order)

    def _undo(self, order: Order) -> None:
        self._jobs.start(self._payments.refund(order.id))
        self._jobs.start(self._publish(EventKind.ORDER_CANCELLED, order))

    async def _publish(self, kind: EventKind, order: Order) -> None:
        await self._published.publish(kind, order.id, order.items, order.total)

    async def _total(self, new: NewOrder) -> Decimal:
        total = await self._prices.quote(new.items)
        return total * Decimal("1.1") if Fault.WRONG_TOTAL in self._faults else total

    async def _check_reference(self, reference: UUID | None) -> None:
        if reference is None:
            return
        order = await self._store.find(reference)
        if order is None or order.status is not OrderStatus.SHIPPED:
            raise unprocessable(f"the reference {reference} is not a shipped order")


@asynccontextmanager
async def opening(tools: Tools) -> AsyncIterator[Fulfilment]:
    """Lead orders while the block runs, and hear what the warehouse answers."""
    settings = tools.settings
    async with (
        grpc.aio.insecure_channel(settings.prices_address) as channel,
        order_events.publishing(settings.kafka_servers, tools.faults) as published,
    ):
        fulfilment = Fulfilment(tools, Prices(channel), published)

        async def hear(order_id: UUID, event: str) -> None:
            if event not in get_args(ReportedEvent):
                raise unprocessable(f"the warehouse answered '{event}'")
            await fulfilment.record(order_id, EventType(event))

        async with answers.hearing(settings.amqp_login, hear):
            yield fulfilment


def _known(order: Order | None) -> Order:
    if order is None:
        raise not_found("order")
    return order
