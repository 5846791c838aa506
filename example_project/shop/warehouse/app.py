"""The operations of the warehouse service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request

from shop.problem import refusals
from shop.schemas import Sku
from shop.service import create_service
from shop.settings import Settings
from shop.warehouse.logistics import Logistics, opening
from shop.warehouse.models import NewReservation, NewShipment, Picking, Reservation, Shipment, Stock

router = APIRouter(tags=["warehouse"], responses=refusals(422))


def _logistics(request: Request) -> Logistics:
    domain = request.app.state.domain
    assert isinstance(domain, Logistics)
    return domain


Warehouse = Annotated[Logistics, Depends(_logistics)]


@router.post("/reservations", status_code=202, responses=refusals(409))
async def reserve_goods(new: NewReservation, warehouse: Warehouse) -> Reservation:
    """Put the goods of an order aside; that happens in the background."""
    return await warehouse.reserve(new)


@router.get("/reservations/{order_id}", responses=refusals(404))
async def get_reservation(order_id: UUID, warehouse: Warehouse) -> Reservation:
    """Tell where the goods of an order are."""
    return await warehouse.reservation(order_id)


@router.delete("/reservations/{order_id}", status_code=204, response_model=None, responses=refusals(404))
async def release_goods(order_id: UUID, warehouse: Warehouse) -> None:
    """Put the goods of an order back on the shelves."""
    await warehouse.release(order_id)


@router.post("/reservations/{order_id}/picking", responses=refusals(404, 409))
async def pick_goods(order_id: UUID, picking: Picking, warehouse: Warehouse) -> Reservation:
    """Fetch the goods of an order from the shelves; the reply comes when that is done."""
    return await warehouse.pick(order_id, picking)


@router.post("/shipments", status_code=202, responses=refusals(409))
async def ship_goods(new: NewShipment, warehouse: Warehouse) -> Shipment:
    """Send the goods of an order off; that happens in the background."""
    return await warehouse.ship(new)


@router.get("/shipments/{order_id}", responses=refusals(404))
async def get_shipment(order_id: UUID, warehouse: Warehouse) -> Shipment:
    """Tell where the parcel of an order is."""
    return await warehouse.shipment(order_id)


@router.get("/stock/{sku}", responses=refusals(404))
async def get_stock(sku: Sku, warehouse: Warehouse) -> Stock:
    """Tell how much there is of a product."""
    return await warehouse.stock(sku)


def create_app(settings: Settings) -> FastAPI:
    """Build the service."""
    return create_service(
        "warehouse", settings=settings, router=router, schema=Path(__file__).with_name("schema.sql"), opening=opening
    )
