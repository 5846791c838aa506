"""The warehouse in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shop.correlation import correlation_id
from shop.database import Database
from shop.schemas import Item
from shop.warehouse.models import (
    Carrier,
    NewReservation,
    NewShipment,
    Reservation,
    ReservationStatus,
    Shipment,
    Stock,
)

_RESERVATION: Final[LiteralString] = "order_id, correlation_id, items, status, picker, created_at, updated_at"
_SHIPMENT: Final[LiteralString] = (
    "order_id, correlation_id, delivery, carrier, tracking_number, status, created_at, updated_at"
)

_TAKEN: Final = {ReservationStatus.RESERVED, ReservationStatus.PICKING, ReservationStatus.PICKED}

_ADD_RESERVATION: Final[LiteralString] = f"""
insert into warehouse.reservations (order_id, correlation_id, items, status)
values (%(order_id)s, %(correlation_id)s, %(items)s, 'PENDING')
on conflict (order_id) do nothing
returning {_RESERVATION}
"""

_ADVANCE: Final[LiteralString] = f"""
update warehouse.reservations
set status = %(to)s, picker = coalesce(%(picker)s, picker), updated_at = now()
where order_id = %(order_id)s and status = any(%(allowed)s)
returning {_RESERVATION}
"""

_LOCKED: Final[LiteralString] = f"""
select {_RESERVATION} from warehouse.reservations where order_id = %(order_id)s for update
"""

_LOCKED_STOCK: Final[LiteralString] = """
select sku, available from warehouse.stock where sku = any(%(skus)s) order by sku for update
"""

_MOVE: Final[LiteralString] = """
update warehouse.stock set available = available + %(quantity)s where sku = %(sku)s
"""

_SET_STATUS: Final[LiteralString] = """
update warehouse.reservations set status = %(to)s, updated_at = now() where order_id = %(order_id)s
"""

_ADD_SHIPMENT: Final[LiteralString] = f"""
insert into warehouse.shipments (order_id, correlation_id, delivery, carrier, tracking_number, status)
values (%(order_id)s, %(correlation_id)s, %(delivery)s, %(carrier)s, %(tracking_number)s, 'PACKING')
on conflict (order_id) do nothing
returning {_SHIPMENT}
"""

_SEND_OFF: Final[LiteralString] = f"""
update warehouse.shipments set status = 'SHIPPED', updated_at = now() where order_id = %(order_id)s
returning {_SHIPMENT}
"""


class WarehouseStore:
    """Reads and changes stock, reservations and shipments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stock(self, sku: str) -> Stock | None:
        """Give how much there is of a product."""
        return await self._database.find(
            Stock, "select sku, available from warehouse.stock where sku = %(sku)s", sku=sku
        )

    async def add_reservation(self, new: NewReservation) -> Reservation | None:
        """Record that goods are to be put aside; None if that is recorded already."""
        return await self._database.find(
            Reservation,
            _ADD_RESERVATION,
            order_id=new.order_id,
            correlation_id=correlation_id.get(),
            items=Jsonb([item.model_dump() for item in new.items]),
        )

    async def reservation(self, order_id: UUID) -> Reservation | None:
        """Give the reservation of an order."""
        return await self._database.find(
            Reservation,
            f"select {_RESERVATION} from warehouse.reservations where order_id = %(order_id)s",
            order_id=order_id,
        )

    async def take(self, order_id: UUID) -> ReservationStatus | None:
        """Take the goods off the stock, all or none; None if the reservation was released meanwhile."""
        async with self._database.transaction() as connection:
            reservation = await _locked(connection, order_id)
            if reservation is None or reservation.status is not ReservationStatus.PENDING:
                return None
            wanted = _quantities(reservation.items)
            available = await _locked_stock(connection, wanted)
            is_there = all(available.get(sku, 0) >= quantity for sku, quantity in wanted.items())
            outcome = ReservationStatus.RESERVED if is_there else ReservationStatus.OUT_OF_STOCK
            if is_there:
                await _move(connection, {sku: -quantity for sku, quantity in wanted.items()})
            await connection.execute(_SET_STATUS, {"order_id": order_id, "to": outcome})
            return outcome

    async def release(self, order_id: UUID) -> bool:
        """Put the goods back; whether there was a reservation at all."""
        async with self._database.transaction() as connection:
            reservation = await _locked(connection, order_id)
            if reservation is None:
                return False
            if reservation.status in _TAKEN:
                wanted = _quantities(reservation.items)
                await _locked_stock(connection, wanted)
                await _move(connection, wanted)
            await connection.execute(_SET_STATUS, {"order_id": order_id, "to": ReservationStatus.RELEASED})
            return True

    async def advance(
        self,
        order_id: UUID,
        to: ReservationStatus,
        *,
        allowed: Sequence[ReservationStatus],
        picker: str | None = None,
    ) -> Reservation | None:
        """Change the status, if it is one of those that allow it."""
        return await self._database.find(
            Reservation, _ADVANCE, order_id=order_id, to=to, allowed=list(allowed), picker=picker
        )

    async def add_shipment(self, new: NewShipment, carrier: Carrier, tracking_number: str) -> Shipment | None:
        """Record a parcel; None if it is recorded already."""
        return await self._database.find(
            Shipment,
            _ADD_SHIPMENT,
            order_id=new.order_id,
            correlation_id=correlation_id.get(),
            delivery=new.delivery,
            carrier=carrier,
            tracking_number=tracking_number,
        )

    async def shipment(self, order_id: UUID) -> Shipment | None:
        """Give the shipment of an order."""
        return await self._database.find(
            Shipment, f"select {_SHIPMENT} from warehouse.shipments where order_id = %(order_id)s", order_id=order_id
        )

    async def send_off(self, order_id: UUID) -> Shipment | None:
        """Note that a parcel has left."""
        return await self._database.find(Shipment, _SEND_OFF, order_id=order_id)


async def _locked(connection: AsyncConnection[Any], order_id: UUID) -> Reservation | None:
    cursor = connection.cursor(row_factory=class_row(Reservation))
    return await (await cursor.execute(_LOCKED, {"order_id": order_id})).fetchone()


async def _locked_stock(connection: AsyncConnection[Any], skus: Collection[str]) -> dict[str, int]:
    """Lock the products' stock, in an order that is the same for everyone, so that no two wait for each other."""
    return dict(await (await connection.execute(_LOCKED_STOCK, {"skus": list(skus)})).fetchall())


async def _move(connection: AsyncConnection[Any], quantities: Mapping[str, int]) -> None:
    for sku, quantity in quantities.items():
        await connection.execute(_MOVE, {"sku": sku, "quantity": quantity})


def _quantities(items: Iterable[Item]) -> Counter[str]:
    wanted: Counter[str] = Counter()
    for item in items:
        wanted[item.sku] += item.quantity
    return wanted
