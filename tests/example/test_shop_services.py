"""The services of the example, as real processes over real HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from shop.launch import RunningShop

if TYPE_CHECKING:
    from conftest import Customer


def test_order_that_is_paid_and_picked_is_shipped(customer: Customer) -> None:
    """An order is accepted at once and shipped when its payment and its goods are there."""
    reply = customer.place()
    order = reply.json()
    assert (reply.status_code, order["status"], order["total"]) == (202, "PREPARING", 15.0)
    assert reply.headers["location"] == f"/orders/{order['id']}"
    customer.wait_for_goods(order["id"])
    assert customer.pick(order["id"]).json()["status"] == "PICKED"
    shipped = customer.wait_for(order["id"], "SHIPPED")
    assert shipped["paidAt"]
    assert shipped["pickedAt"]
    shipment = customer.warehouse.get(f"/shipments/{order['id']}").json()
    assert (shipment["carrier"], shipment["status"]) == ("NIGHT_COURIER", "SHIPPED")
    assert sorted(customer.events(order["id"])) == [
        "GOODS_PICKED",
        "ORDER_PLACED",
        "ORDER_SHIPPED",
        "PAYMENT_CAPTURED",
        "STOCK_RESERVED",
    ]


def test_order_that_is_not_picked_is_not_shipped(customer: Customer) -> None:
    """A paid order stays where it is until its goods are picked, past the deadline of its payment too."""
    order = customer.place(delivery="STANDARD").json()
    placed_later = customer.place(cardToken="tok_silent").json()
    customer.wait_until(lambda: customer.order(order["id"])["paidAt"])
    customer.wait_for(placed_later["id"], "CANCELLED")
    assert customer.order(order["id"])["status"] == "PREPARING"


@pytest.mark.parametrize(
    ("card", "attempts"),
    [("tok_declined_once", ["DECLINED", "CAPTURED"]), ("tok_declined_twice", ["DECLINED", "DECLINED", "CAPTURED"])],
)
def test_declined_payment_is_tried_again(customer: Customer, card: str, attempts: list[str]) -> None:
    """A card that is declined is charged again until it pays."""
    order = customer.place(cardToken=card).json()
    customer.wait_until(lambda: customer.order(order["id"])["paidAt"])
    assert customer.attempts(order["id"]) == attempts
    assert customer.order(order["id"])["paymentAttempts"] == len(attempts)


@pytest.mark.parametrize(
    ("card", "attempts"), [("tok_declined", ["DECLINED"] * 3), ("tok_silent", ["VOIDED"])], ids=["declined", "silent"]
)
def test_order_that_is_not_paid_in_time_is_cancelled(customer: Customer, card: str, attempts: list[str]) -> None:
    """Three attempts are all; at the deadline the order is cancelled and its goods go back."""
    order = customer.place(cardToken=card).json()
    cancelled = customer.wait_for(order["id"], "CANCELLED")
    assert cancelled["cancellationReason"] == "PAYMENT_OVERDUE"
    reservation = f"/reservations/{order['id']}"
    customer.wait_until(lambda: customer.warehouse.get(reservation).json()["status"] == "RELEASED")
    customer.wait_until(lambda: customer.attempts(order["id"]) == attempts)


def test_large_order_waits_for_its_approval(customer: Customer) -> None:
    """An order above 1000 goes on only when it is approved, and is approved only once."""
    order = customer.place(items=[{"sku": "SAMOVAR-5L", "quantity": 2}]).json()
    assert order["status"] == "AWAITING_APPROVAL"
    approval = f"/orders/{order['id']}/approval"
    decision = {"approver": "Joan", "approved": True}
    assert customer.orders.post(approval, json=decision).json()["status"] == "PREPARING"
    again = customer.orders.post(approval, json=decision)
    assert (again.status_code, again.json()["detail"]) == (409, "an order that is PREPARING is not up for approval")
    customer.wait_until(lambda: customer.order(order["id"])["paidAt"])


def test_order_of_exactly_the_limit_needs_no_approval(customer: Customer) -> None:
    """Only what is above 1000 counts as large."""
    items = [{"sku": "SAMOVAR-5L", "quantity": 1}, {"sku": "TEA-GREEN", "quantity": 48}]
    order = customer.place(items=items).json()
    assert (order["total"], order["status"]) == (1000.0, "PREPARING")


def test_rejected_order_is_never_charged(customer: Customer) -> None:
    """A large order that is rejected ends there."""
    order = customer.place(items=[{"sku": "SAMOVAR-5L", "quantity": 2}]).json()
    decision = {"approver": "Joan", "approved": False}
    assert customer.orders.post(f"/orders/{order['id']}/approval", json=decision).json()["status"] == "REJECTED"
    assert customer.attempts(order["id"]) == []


def test_approval_refers_to_a_shipped_order(customer: Customer) -> None:
    """A reference that is no shipped order is refused, and the order still waits."""
    order = customer.place(items=[{"sku": "SAMOVAR-5L", "quantity": 2}]).json()
    decision = {"approver": "Joan", "approved": True, "reference": order["id"]}
    reply = customer.orders.post(f"/orders/{order['id']}/approval", json=decision)
    assert (reply.status_code, reply.json()["detail"]) == (422, f"the reference {order['id']} is not a shipped order")
    assert customer.order(order["id"])["status"] == "AWAITING_APPROVAL"


def test_cancelled_order_gives_back_money_and_goods(customer: Customer) -> None:
    """The customer may cancel until shipping, once; what was taken is given back."""
    order = customer.place(items=[{"sku": "POT-IRON", "quantity": 3}]).json()
    before = customer.warehouse.get("/stock/POT-IRON").json()["available"]
    customer.wait_for_goods(order["id"])
    customer.wait_until(lambda: customer.order(order["id"])["paidAt"])
    cancellation = f"/orders/{order['id']}/cancellation"
    reply = customer.orders.post(cancellation)
    assert (reply.status_code, reply.json()["cancellationReason"]) == (202, "CUSTOMER_REQUEST")
    customer.wait_until(lambda: customer.attempts(order["id"]) == ["REFUNDED"])
    customer.wait_until(lambda: customer.warehouse.get("/stock/POT-IRON").json()["available"] >= before)
    again = customer.orders.post(cancellation)
    assert (again.status_code, again.json()["detail"]) == (409, "an order that is CANCELLED cannot be cancelled")


def test_order_of_more_than_there_is_is_cancelled(customer: Customer, running_shop: RunningShop) -> None:
    """Stock is taken all or not at all; what is not there cancels the order."""
    with psycopg.connect(running_shop.database_url, autocommit=True) as connection:
        connection.execute("insert into prices.products values ('CUP-RARE', 'The last cup', 5)")
        connection.execute("insert into warehouse.stock values ('CUP-RARE', 1)")
    items = [{"sku": "CUP-RARE", "quantity": 1}, {"sku": "CUP-RARE", "quantity": 1}]
    order = customer.place(items=items).json()
    assert customer.wait_for(order["id"], "CANCELLED")["cancellationReason"] == "OUT_OF_STOCK"
    assert customer.warehouse.get("/stock/CUP-RARE").json()["available"] == 1


def test_order_that_is_sent_twice_is_taken_once(customer: Customer) -> None:
    """The same idempotency key gives the same order."""
    key = str(uuid4())
    first, second = customer.place(key=key), customer.place(key=key)
    assert first.json()["id"] == second.json()["id"]
    customer.wait_until(lambda: customer.order(first.json()["id"])["paidAt"])
    assert customer.attempts(first.json()["id"]) == ["CAPTURED"]


def test_correlation_id_reaches_every_row(customer: Customer, running_shop: RunningShop) -> None:
    """The caller's correlation id is returned and stands in every row that its order brought about."""
    correlation_id = f"run-{uuid4()}"
    reply = customer.place(correlation_id)
    order_id = reply.json()["id"]
    assert reply.headers["x-correlation-id"] == correlation_id
    customer.wait_for_goods(order_id)
    customer.pick(order_id)  # without the header: what follows still belongs to the order
    customer.wait_for(order_id, "SHIPPED")
    tables = {
        "orders.orders": 1,
        "orders.order_events": 5,
        "payments.payments": 1,
        "warehouse.reservations": 1,
        "warehouse.shipments": 1,
    }
    with psycopg.connect(running_shop.database_url) as connection:
        for table, rows in tables.items():
            query = f"select count(*) from {table} where correlation_id = %s"
            assert (table, connection.execute(query, [correlation_id]).fetchone()) == (table, (rows,))


def test_unknown_things_are_not_found(customer: Customer) -> None:
    """What does not exist is a 404 with a problem that says what."""
    nothing = uuid4()
    for service, path, what in [
        (customer.orders, f"/orders/{nothing}", "order"),
        (customer.orders, f"/orders/{nothing}/events", "order"),
        (customer.payments, f"/payments/{nothing}", "payment"),
        (customer.warehouse, f"/reservations/{nothing}", "reservation"),
        (customer.warehouse, f"/shipments/{nothing}", "shipment"),
        (customer.warehouse, "/stock/TEA-NONE", "product"),
    ]:
        reply = service.get(path)
        assert (path, reply.status_code, reply.json()["detail"]) == (path, 404, f"there is no such {what}")
    assert customer.orders.post(f"/orders/{nothing}/cancellation").status_code == 404
    decision = {"approver": "Joan", "approved": True}
    assert customer.orders.post(f"/orders/{nothing}/approval", json=decision).status_code == 404


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        ({"items": []}, "body.items: List should have at least 1 item after validation, not 0"),
        ({"items": [{"sku": "TEA-NONE", "quantity": 1}]}, "there is no product TEA-NONE"),
        ({"cardToken": "4000-0000"}, "body.cardToken: String should match pattern '^tok_[a-z_]+$'"),
        ({"colour": "blue"}, "body.colour: Extra inputs are not permitted"),
    ],
    ids=["no items", "unknown product", "card number", "unknown field"],
)
def test_malformed_order_is_refused(customer: Customer, changed: dict[str, Any], detail: str) -> None:
    """An order that makes no sense is a 422 with a problem that says why."""
    reply = customer.place(**changed)
    assert (reply.status_code, reply.json()["detail"]) == (422, detail)


def test_goods_that_are_not_reserved_cannot_be_picked(customer: Customer) -> None:
    """Picking is a conflict before the reservation and after it."""
    order = customer.place().json()
    customer.wait_for_goods(order["id"])
    customer.pick(order["id"])
    again = customer.pick(order["id"])
    assert (again.status_code, again.json()["detail"]) == (409, "a reservation that is PICKED cannot be picked")


def test_wrong_total_adds_a_tenth(customer: Customer) -> None:
    """With 'wrong-total' the total is not what the price list says."""
    customer.choose_faults("wrong-total")
    assert customer.place().json()["total"] == 16.5


def test_lost_payment_event_leaves_a_captured_payment_and_a_cancelled_order(customer: Customer) -> None:
    """With 'lost-event' in payments the money is taken, orders never learns of it and cancels."""
    customer.choose_faults("payments:lost-event")
    order = customer.place().json()
    customer.wait_until(lambda: customer.attempts(order["id"]) == ["CAPTURED"])
    assert customer.wait_for(order["id"], "CANCELLED")["paidAt"] is None


def test_lost_reservation_never_appears(customer: Customer) -> None:
    """With 'lost-event' in the warehouse a reservation is accepted and forgotten."""
    customer.choose_faults("warehouse:lost-event")
    order = customer.place().json()
    customer.wait_until(lambda: customer.order(order["id"])["paidAt"])
    assert customer.warehouse.get(f"/reservations/{order['id']}").status_code == 404


def test_slow_settling_outlasts_the_deadline(customer: Customer) -> None:
    """With 'slow-settling' a payment is still pending when its order is cancelled."""
    customer.choose_faults("payments:slow-settling")
    order = customer.place().json()
    customer.wait_for(order["id"], "CANCELLED")
    customer.wait_until(lambda: customer.attempts(order["id"]) == ["VOIDED"])


def test_broken_schema_spoils_only_what_succeeds(customer: Customer) -> None:
    """With 'broken-schema' a required field is missing and another has the wrong type; refusals stay as they are."""
    customer.choose_faults("broken-schema")
    order = customer.place().json()
    assert order["correlationId"] is None
    assert "createdAt" not in order
    events = customer.orders.get(f"/orders/{order['id']}/events").json()
    assert events[0]["correlationId"] is None
    assert customer.orders.get(f"/orders/{uuid4()}").json()["correlationId"]


def test_unknown_fault_is_refused(customer: Customer) -> None:
    """A fault that does not exist is refused by name."""
    reply = customer.orders.put("/_faults", params={"active": "wrong-colour"})
    assert (reply.status_code, reply.json()["detail"]) == (422, "'wrong-colour' is not a valid Fault")
