"""The operations of the payments service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Query, Request

from shop.payments.charging import Charging, opening
from shop.payments.models import NewPayment, Payment, RefundRequest
from shop.problem import refusals
from shop.service import create_service
from shop.settings import Settings

router = APIRouter(tags=["payments"], responses=refusals(422))


def _charging(request: Request) -> Charging:
    domain = request.app.state.domain
    assert isinstance(domain, Charging)
    return domain


Payments = Annotated[Charging, Depends(_charging)]
OfOrder = Annotated[UUID, Query(alias="orderId")]


@router.post("/payments", status_code=202, responses=refusals(409))
async def charge_card(new: NewPayment, payments: Payments) -> Payment:
    """Try to take the payment of an order; the gateway's answer follows in the background."""
    return await payments.charge(new)


@router.get("/payments/{payment_id}", responses=refusals(404))
async def get_payment(payment_id: UUID, payments: Payments) -> Payment:
    """Tell where a payment stands."""
    return await payments.find(payment_id)


@router.get("/payments")
async def list_payments(order_id: OfOrder, payments: Payments) -> list[Payment]:
    """Give all attempts to take the payment of an order, the first one first."""
    return await payments.of_order(order_id)


@router.post("/refunds", status_code=204, response_model=None)
async def refund_order(refund: RefundRequest, payments: Payments) -> None:
    """Give back, or never take, what an order was to pay."""
    await payments.refund(refund.order_id)


def create_app(settings: Settings) -> FastAPI:
    """Build the service."""
    return create_service(
        "payments", settings=settings, router=router, schema=Path(__file__).with_name("schema.sql"), opening=opening
    )
