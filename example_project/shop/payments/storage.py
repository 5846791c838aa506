"""The payments in the database."""

from __future__ import annotations

from typing import Final, LiteralString
from uuid import UUID, uuid4

from shop.correlation import correlation_id
from shop.database import Database
from shop.payments.models import NewPayment, Payment, PaymentStatus

_COLUMNS: Final[LiteralString] = "id, order_id, correlation_id, attempt, amount, status, created_at, updated_at"

_ADD: Final[LiteralString] = f"""
insert into payments.payments (id, order_id, correlation_id, attempt, amount, card_token, status)
values (%(id)s, %(order_id)s, %(correlation_id)s, %(attempt)s, %(amount)s, %(card_token)s, 'PENDING')
on conflict (order_id, attempt) do nothing
returning {_COLUMNS}
"""

_SETTLE: Final[LiteralString] = f"""
update payments.payments set status = %(status)s, updated_at = now()
where id = %(id)s and status = 'PENDING'
returning {_COLUMNS}
"""

_GIVE_BACK: Final[LiteralString] = """
update payments.payments
set status = case status when 'CAPTURED' then 'REFUNDED' else 'VOIDED' end, updated_at = now()
where order_id = %(order_id)s and status in ('PENDING', 'CAPTURED')
"""


class PaymentStore:
    """Reads and changes payments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewPayment) -> Payment | None:
        """Record an attempt; None if it is recorded already."""
        return await self._database.find(
            Payment,
            _ADD,
            id=uuid4(),
            order_id=new.order_id,
            correlation_id=correlation_id.get(),
            attempt=new.attempt,
            amount=new.amount,
            card_token=new.card_token,
        )

    async def find(self, payment_id: UUID) -> Payment | None:
        """Give a payment."""
        return await self._database.find(
            Payment, f"select {_COLUMNS} from payments.payments where id = %(id)s", id=payment_id
        )

    async def of_order(self, order_id: UUID) -> list[Payment]:
        """Give all attempts of an order, the first one first."""
        return await self._database.find_all(
            Payment,
            f"select {_COLUMNS} from payments.payments where order_id = %(order_id)s order by attempt",
            order_id=order_id,
        )

    async def settle(self, payment_id: UUID, status: PaymentStatus) -> Payment | None:
        """Note the gateway's answer, unless the payment was voided meanwhile."""
        return await self._database.find(Payment, _SETTLE, id=payment_id, status=status)

    async def give_back(self, order_id: UUID) -> None:
        """Void what is pending and refund what was captured."""
        await self._database.run(_GIVE_BACK, order_id=order_id)
