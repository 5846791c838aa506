"""The messages of the warehouse service."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from shop.schemas import CorrelationId, Item, Schema, Sku


class ReservationStatus(StrEnum):
    """Where a reservation stands."""

    PENDING = "PENDING"
    RESERVED = "RESERVED"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    PICKING = "PICKING"
    PICKED = "PICKED"
    RELEASED = "RELEASED"


class ShipmentStatus(StrEnum):
    """Where a shipment stands."""

    PACKING = "PACKING"
    SHIPPED = "SHIPPED"


class Delivery(StrEnum):
    """How the goods travel."""

    STANDARD = "STANDARD"
    EXPRESS = "EXPRESS"


class Carrier(StrEnum):
    """Who carries them."""

    ROAD_FREIGHT = "ROAD_FREIGHT"
    NIGHT_COURIER = "NIGHT_COURIER"


class NewReservation(Schema):
    """The goods of an order."""

    order_id: UUID
    items: list[Item] = Field(min_length=1, max_length=10)


class Reservation(Schema):
    """The goods of an order and where they stand."""

    order_id: UUID
    correlation_id: CorrelationId
    items: list[Item] = Field(min_length=1, max_length=10)
    status: ReservationStatus
    picker: str | None = Field(max_length=80)
    created_at: datetime
    updated_at: datetime


class Picking(Schema):
    """Who fetches the goods from the shelves."""

    picker: str = Field(min_length=1, max_length=80, examples=["Grace"])


class NewShipment(Schema):
    """An order whose goods are to be sent off."""

    order_id: UUID
    delivery: Delivery


class Shipment(Schema):
    """A parcel on its way."""

    order_id: UUID
    correlation_id: CorrelationId
    delivery: Delivery
    carrier: Carrier
    tracking_number: str = Field(pattern=r"^[A-Z]{2}\d{9}$")
    status: ShipmentStatus
    created_at: datetime
    updated_at: datetime


class Stock(Schema):
    """How much there is of a product."""

    sku: Sku
    available: int = Field(ge=0)
