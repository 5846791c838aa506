"""The orders in the database. A change of status and the event that tells of it are one statement."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, LiteralString
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from shop.correlation import correlation_id
from shop.database import Database
from shop.orders.models import (
    CancellationReason,
    Charge,
    EventType,
    NewOrder,
    Order,
    OrderEvent,
    OrderStatus,
)

_COLUMNS: Final[LiteralString] = """
    id, correlation_id, customer, items, delivery, total, status, payment_attempts, paid_at, picked_at,
    cancellation_reason, created_at, updated_at
"""

_NOTED: Final[LiteralString] = f"""
noted as (
    insert into orders.order_events (order_id, correlation_id, type)
    select id, correlation_id, %(event)s from changed
)
select {_COLUMNS} from changed
"""

_ADD: Final[LiteralString] = f"""
with changed as (
    insert into orders.orders
        (id, correlation_id, idempotency_key, customer, items, delivery, card_token, total, status)
    values (%(id)s, %(correlation_id)s, %(key)s, %(customer)s, %(items)s, %(delivery)s, %(card_token)s, %(total)s,
            %(status)s)
    on conflict (idempotency_key) do nothing
    returning *
), {_NOTED}
"""

_ADVANCE: Final[LiteralString] = f"""
with changed as (
    update orders.orders
    set status = %(to)s, cancellation_reason = %(reason)s, updated_at = now()
    where id = %(id)s and status = any(%(allowed)s)
    returning *
), {_NOTED}
"""

_PAID: Final[LiteralString] = f"""
with changed as (
    update orders.orders set paid_at = now(), updated_at = now()
    where id = %(id)s and status = 'PREPARING' and paid_at is null
    returning *
), {_NOTED}
"""

_PICKED: Final[LiteralString] = f"""
with changed as (
    update orders.orders set picked_at = now(), updated_at = now()
    where id = %(id)s and status = 'PREPARING' and picked_at is null
    returning *
), {_NOTED}
"""

_READY: Final[LiteralString] = f"""
update orders.orders set status = 'SHIPPING', updated_at = now()
where id = %(id)s and status = 'PREPARING' and paid_at is not null and picked_at is not null
returning {_COLUMNS}
"""

_CANCEL_UNPAID: Final[LiteralString] = f"""
with changed as (
    update orders.orders
    set status = 'CANCELLED', cancellation_reason = 'PAYMENT_OVERDUE', updated_at = now()
    where id = %(id)s and status = 'PREPARING' and paid_at is null
    returning *
), {_NOTED}
"""

_NEXT_CHARGE: Final[LiteralString] = """
update orders.orders set payment_attempts = payment_attempts + 1, updated_at = now()
where id = %(id)s and status = 'PREPARING' and paid_at is null and payment_attempts < %(limit)s
returning id as order_id, payment_attempts as attempt, total as amount, card_token
"""

_NOTE: Final[LiteralString] = """
insert into orders.order_events (order_id, correlation_id, type)
select id, correlation_id, %(event)s from orders.orders where id = %(id)s
"""


class OrderStore:
    """Reads and changes orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewOrder, total: Decimal, status: OrderStatus, key: str | None) -> Order | None:
        """Record a new order; None if there is one of that idempotency key already."""
        return await self._database.find(
            Order,
            _ADD,
            id=uuid4(),
            correlation_id=correlation_id.get(),
            key=key,
            customer=new.customer,
            items=Jsonb([item.model_dump() for item in new.items]),
            delivery=new.delivery,
            card_token=new.card_token,
            total=total,
            status=status,
            event=EventType.ORDER_PLACED,
        )

    async def find(self, order_id: UUID) -> Order | None:
        """Give an order."""
        return await self._database.find(Order, f"select {_COLUMNS} from orders.orders where id = %(id)s", id=order_id)

    async def find_by_key(self, key: str) -> Order | None:
        """Give the order of that idempotency key."""
        return await self._database.find(
            Order, f"select {_COLUMNS} from orders.orders where idempotency_key = %(key)s", key=key
        )

    async def events(self, order_id: UUID) -> list[OrderEvent]:
        """Give what happened to an order, oldest first."""
        return await self._database.find_all(
            OrderEvent,
            "select type, correlation_id, at from orders.order_events where order_id = %(id)s order by id",
            id=order_id,
        )

    async def advance(
        self,
        order_id: UUID,
        to: OrderStatus,
        event: EventType,
        *,
        allowed: Sequence[OrderStatus],
        reason: CancellationReason | None = None,
    ) -> Order | None:
        """Change the status, if it is one of those that allow it."""
        return await self._database.find(
            Order, _ADVANCE, id=order_id, to=to, event=event, allowed=list(allowed), reason=reason
        )

    async def next_charge(self, order_id: UUID, limit: int) -> Charge | None:
        """Count one more attempt to take the payment, if it is due and allowed."""
        return await self._database.find(Charge, _NEXT_CHARGE, id=order_id, limit=limit)

    async def mark_paid(self, order_id: UUID) -> Order | None:
        """Note the payment, if it is due."""
        return await self._database.find(Order, _PAID, id=order_id, event=EventType.PAYMENT_CAPTURED)

    async def mark_picked(self, order_id: UUID) -> Order | None:
        """Note that the goods are picked, if that is due."""
        return await self._database.find(Order, _PICKED, id=order_id, event=EventType.GOODS_PICKED)

    async def mark_ready(self, order_id: UUID) -> Order | None:
        """Set an order ``SHIPPING`` that is paid and picked; once only."""
        return await self._database.find(Order, _READY, id=order_id)

    async def cancel_unpaid(self, order_id: UUID) -> Order | None:
        """Cancel an order whose payment is overdue."""
        return await self._database.find(Order, _CANCEL_UNPAID, id=order_id, event=EventType.ORDER_CANCELLED)

    async def note(self, order_id: UUID, event: EventType) -> None:
        """Note an event that changes nothing by itself."""
        await self._database.run(_NOTE, id=order_id, event=event)
