"""The messages of the orders service."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from shop.schemas import CorrelationId, Item, Money, Schema


class Delivery(StrEnum):
    """How the goods travel."""

    STANDARD = "STANDARD"
    EXPRESS = "EXPRESS"


class OrderStatus(StrEnum):
    """Where an order stands."""

    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    PREPARING = "PREPARING"
    SHIPPING = "SHIPPING"
    SHIPPED = "SHIPPED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


class CancellationReason(StrEnum):
    """Why an order was cancelled."""

    CUSTOMER_REQUEST = "CUSTOMER_REQUEST"
    PAYMENT_OVERDUE = "PAYMENT_OVERDUE"
    OUT_OF_STOCK = "OUT_OF_STOCK"


class EventType(StrEnum):
    """What can happen to an order."""

    ORDER_PLACED = "ORDER_PLACED"
    ORDER_APPROVED = "ORDER_APPROVED"
    ORDER_REJECTED = "ORDER_REJECTED"
    PAYMENT_CAPTURED = "PAYMENT_CAPTURED"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    STOCK_RESERVED = "STOCK_RESERVED"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    GOODS_PICKED = "GOODS_PICKED"
    ORDER_SHIPPED = "ORDER_SHIPPED"
    GOODS_RELEASED = "GOODS_RELEASED"
    ORDER_CANCELLED = "ORDER_CANCELLED"


ReportedEvent = Literal[
    EventType.PAYMENT_CAPTURED,
    EventType.PAYMENT_DECLINED,
    EventType.STOCK_RESERVED,
    EventType.OUT_OF_STOCK,
    EventType.GOODS_PICKED,
    EventType.ORDER_SHIPPED,
    EventType.GOODS_RELEASED,
]
"""What the other services report."""

Customer = Annotated[str, Field(min_length=1, max_length=80, examples=["Ada"])]


class NewOrder(Schema):
    """What a customer wants."""

    customer: Customer
    items: list[Item] = Field(min_length=1, max_length=10)
    delivery: Delivery = Delivery.STANDARD
    card_token: str = Field(pattern=r"^tok_[a-z_]+$", max_length=40, examples=["tok_visa"])


class Order(Schema):
    """An order and where it stands."""

    id: UUID
    correlation_id: CorrelationId
    customer: Customer
    items: list[Item] = Field(min_length=1, max_length=10)
    delivery: Delivery
    total: Money
    currency: Literal["EUR"] = "EUR"
    status: OrderStatus
    payment_attempts: int = Field(ge=0, le=3)
    paid_at: datetime | None
    picked_at: datetime | None
    cancellation_reason: CancellationReason | None
    created_at: datetime
    updated_at: datetime


class ApprovalDecision(Schema):
    """What a manager decides about a large order; ``reference`` is a shipped order that speaks for the customer."""

    approver: str = Field(min_length=1, max_length=80)
    approved: bool
    reference: UUID | None = None


class EventReport(Schema):
    """What another service reports about an order."""

    type: ReportedEvent


class OrderEvent(Schema):
    """Something that happened to an order."""

    type: EventType
    correlation_id: CorrelationId
    at: datetime


class Charge(BaseModel):
    """What the next attempt to take the payment needs."""

    order_id: UUID
    attempt: int
    amount: Decimal
    card_token: str
