"""Goods on their way through the warehouse: reserved, picked, sent off."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from shop import answers, order_events
from shop.answers import Answers
from shop.correlation import correlation_id
from shop.faults import Fault
from shop.order_events import EventKind, OrderMessage
from shop.problem import RefusalError, conflict, not_found
from shop.service import Tools
from shop.warehouse.models import (
    Carrier,
    Delivery,
    NewReservation,
    NewShipment,
    Picking,
    Reservation,
    ReservationStatus,
    Shipment,
    Stock,
)
from shop.warehouse.storage import WarehouseStore

_CARRIERS: Final = {Delivery.STANDARD: Carrier.ROAD_FREIGHT, Delivery.EXPRESS: Carrier.NIGHT_COURIER}

_log = logging.getLogger(__name__)


class Logistics:
    """Moves goods, and tells orders when they have moved."""

    def __init__(self, tools: Tools, way: Answers) -> None:
        self._tools = tools
        self._way = way
        self._store = WarehouseStore(tools.database)

    async def hear(self, event: OrderMessage) -> None:
        """Do what an event of an order asks for; what is done already, or was never there, is left as it is."""
        try:
            match event.type:
                case EventKind.ORDER_CONFIRMED:
                    await self.reserve(NewReservation(order_id=event.order_id, items=event.items))
                case EventKind.ORDER_CANCELLED:
                    await self.release(event.order_id)
        except RefusalError as refusal:
            _log.info("order %s, %s: %s", event.order_id, event.type, refusal.detail)

    async def stock(self, sku: str) -> Stock:
        """Give how much there is of a product."""
        stock = await self._store.stock(sku)
        if stock is None:
            raise not_found("product")
        return stock

    async def reserve(self, new: NewReservation) -> Reservation:
        """Accept a reservation and put the goods aside in the background."""
        if Fault.LOST_EVENT in self._tools.faults:
            return _forgotten(new)
        reservation = await self._store.add_reservation(new)
        if reservation is None:
            raise conflict("there is a reservation for this order already")
        self._tools.jobs.start(self._put_aside(new.order_id))
        return reservation

    async def reservation(self, order_id: UUID) -> Reservation:
        """Give the reservation of an order."""
        reservation = await self._store.reservation(order_id)
        if reservation is None:
            raise not_found("reservation")
        return reservation

    async def pick(self, order_id: UUID, picking: Picking) -> Reservation:
        """Have the goods fetched from the shelves; returns when that is done."""
        if not await self._store.advance(
            order_id, ReservationStatus.PICKING, allowed=[ReservationStatus.RESERVED], picker=picking.picker
        ):
            raise conflict(f"a reservation that is {(await self.reservation(order_id)).status} cannot be picked")
        await self._tools.work(self._tools.settings.picking_ms)
        picked = await self._store.advance(order_id, ReservationStatus.PICKED, allowed=[ReservationStatus.PICKING])
        if picked is None:
            raise conflict("the reservation was released while its goods were picked")
        await self._report(order_id, "GOODS_PICKED")
        return picked

    async def release(self, order_id: UUID) -> None:
        """Put the goods of an order back."""
        if not await self._store.release(order_id):
            raise not_found("reservation")
        await self._report(order_id, "GOODS_RELEASED")

    async def ship(self, new: NewShipment) -> Shipment:
        """Accept a shipment and send it off in the background."""
        tracking_number = f"SH{secrets.randbelow(10**9):09}"
        shipment = await self._store.add_shipment(new, _CARRIERS[new.delivery], tracking_number)
        if shipment is None:
            raise conflict("there is a shipment for this order already")
        self._tools.jobs.start(self._send_off(new))
        return shipment

    async def shipment(self, order_id: UUID) -> Shipment:
        """Give the shipment of an order."""
        shipment = await self._store.shipment(order_id)
        if shipment is None:
            raise not_found("shipment")
        return shipment

    async def _put_aside(self, order_id: UUID) -> None:
        await self._tools.work(self._tools.settings.reservation_ms)
        outcome = await self._store.take(order_id)
        if outcome is not None:
            await self._report(order_id, "STOCK_RESERVED" if outcome is ReservationStatus.RESERVED else "OUT_OF_STOCK")

    async def _send_off(self, new: NewShipment) -> None:
        settings = self._tools.settings
        is_express = new.delivery is Delivery.EXPRESS
        await self._tools.work(settings.express_shipping_ms if is_express else settings.standard_shipping_ms)
        await self._store.send_off(new.order_id)
        await self._report(new.order_id, "ORDER_SHIPPED")

    async def _report(self, order_id: UUID, event: str) -> None:
        _log.info("order %s: %s", order_id, event)
        if Fault.LOST_REPLY not in self._tools.faults:
            await self._way.send(order_id, event)


@asynccontextmanager
async def opening(tools: Tools) -> AsyncIterator[Logistics]:
    """Move goods while the block runs, as the events of orders ask for it."""
    settings = tools.settings
    async with answers.answering(settings.amqp_login, tools.http, settings.orders_url) as way:
        logistics = Logistics(tools, way)
        async with order_events.hearing(settings.kafka_servers, "warehouse", logistics.hear):
            yield logistics


def _forgotten(new: NewReservation) -> Reservation:
    """Give the reply to a reservation that nobody will ever hear of again."""
    now = datetime.now(UTC)
    return Reservation(
        order_id=new.order_id,
        correlation_id=correlation_id.get(),
        items=new.items,
        status=ReservationStatus.PENDING,
        picker=None,
        created_at=now,
        updated_at=now,
    )
