"""The operations of the orders service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response

from shop.orders.fulfilment import Fulfilment, opening
from shop.orders.models import (
    ApprovalDecision,
    CancellationReason,
    EventReport,
    NewOrder,
    Order,
    OrderEvent,
)
from shop.problem import refusals
from shop.service import create_service
from shop.settings import Settings

router = APIRouter(responses=refusals(422))


def _fulfilment(request: Request) -> Fulfilment:
    domain = request.app.state.domain
    assert isinstance(domain, Fulfilment)
    return domain


Orders = Annotated[Fulfilment, Depends(_fulfilment)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200)]


@router.post("/orders", status_code=202, tags=["orders"])
async def place_order(
    new: NewOrder, orders: Orders, response: Response, idempotency_key: IdempotencyKey = None
) -> Order:
    """Take an order; payment, picking and shipping follow in the background."""
    order = await orders.place(new, idempotency_key)
    response.headers["Location"] = f"/orders/{order.id}"
    return order


@router.get("/orders/{order_id}", tags=["orders"], responses=refusals(404))
async def get_order(order_id: UUID, orders: Orders) -> Order:
    """Tell where an order stands."""
    return await orders.find(order_id)


@router.post(
    "/orders/{order_id}/approval",
    tags=["orders"],
    responses=refusals(404, 409),
)
async def decide_order(order_id: UUID, decision: ApprovalDecision, orders: Orders) -> Order:
    """Approve or reject a large order."""
    return await orders.decide(order_id, decision)


@router.post(
    "/orders/{order_id}/cancellation",
    status_code=202,
    tags=["orders"],
    responses=refusals(404, 409),
)
async def cancel_order(order_id: UUID, orders: Orders) -> Order:
    """Cancel an order that has not left for shipping; money and goods go back in the background."""
    return await orders.cancel(order_id, CancellationReason.CUSTOMER_REQUEST)


@router.get("/orders/{order_id}/events", tags=["orders"], responses=refusals(404))
async def list_order_events(order_id: UUID, orders: Orders) -> list[OrderEvent]:
    """Tell what happened to an order, oldest first."""
    return await orders.events(order_id)


@router.post(
    "/orders/{order_id}/events",
    status_code=204,
    response_model=None,
    tags=["between services"],
    responses=refusals(404, 409),
)
async def report_order_event(order_id: UUID, report: EventReport, orders: Orders) -> None:
    """Take note of what another service did for an order."""
    await orders.record(order_id, report.type)


def create_app(settings: Settings) -> FastAPI:
    """Build the service."""
    return create_service(
        "orders", settings=settings, router=router, schema=Path(__file__).with_name("schema.sql"), opening=opening
    )
