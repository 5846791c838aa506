"""The messages of the payments service."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from shop.schemas import CorrelationId, Money, Schema


class PaymentStatus(StrEnum):
    """Where a payment stands."""

    PENDING = "PENDING"
    CAPTURED = "CAPTURED"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


class NewPayment(Schema):
    """One attempt to take the payment of an order."""

    order_id: UUID
    attempt: int = Field(ge=1, le=3)
    amount: Money
    card_token: str = Field(pattern=r"^tok_[a-z_]+$", max_length=40)


class Payment(Schema):
    """An attempt and where it stands."""

    id: UUID
    order_id: UUID
    correlation_id: CorrelationId
    attempt: int = Field(ge=1, le=3)
    amount: Money
    status: PaymentStatus
    created_at: datetime
    updated_at: datetime


class RefundRequest(Schema):
    """The order whose payments are to be given back."""

    order_id: UUID
