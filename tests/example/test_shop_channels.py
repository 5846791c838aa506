"""What the example's services tell each other beside HTTP: through Kafka, RabbitMQ and gRPC."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aio_pika
import grpc
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from shop.launch import RunningShop
from shop.prices.contract import messages, services

if TYPE_CHECKING:
    from conftest import Customer

LIMIT_S = 20.0
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def events_of(shop: RunningShop, order_id: str, count: int) -> list[Any]:
    """Read the topic from its beginning until an order has so many events."""
    consumer = AIOKafkaConsumer(bootstrap_servers=shop.kafka_servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition("orders", 0)])
    found: list[Any] = []
    await consumer.start()
    try:
        async with asyncio.timeout(LIMIT_S):
            while len(found) < count:
                found += [record for record in [await consumer.getone()] if record.key == order_id.encode()]
    finally:
        await consumer.stop()
    return found


def ask_price(shop: RunningShop, sku: str) -> int:
    """Ask the prices service, as anybody who has its contract; in cents."""
    with grpc.insecure_channel(shop.prices_url.removeprefix("grpc://")) as channel:
        return services.PricesStub(channel).GetPrice(messages.PriceRequest(sku=sku), timeout=LIMIT_S).cents


async def test_events_of_an_order_are_published_in_their_order(customer: Customer, running_shop: RunningShop) -> None:
    """A confirmed order that is cancelled tells both, under its id and with the caller's correlation id and trace."""
    correlation_id = f"run-{uuid4()}"
    customer.orders.headers["traceparent"] = TRACE
    order = customer.place(correlation_id).json()
    customer.orders.post(f"/orders/{order['id']}/cancellation", headers={"X-Correlation-ID": correlation_id})
    del customer.orders.headers["traceparent"]
    events = await events_of(running_shop, order["id"], 2)
    told = [json.loads(event.value) for event in events]
    assert [event["type"] for event in told] == ["ORDER_CONFIRMED", "ORDER_CANCELLED"]
    assert told[0] == {
        "type": "ORDER_CONFIRMED",
        "orderId": order["id"],
        "correlationId": correlation_id,
        "items": [{"sku": "TEA-GREEN", "quantity": 2}],
        "total": 15.0,
        "currency": "EUR",
    }
    for event in events:
        assert dict(event.headers) == {"X-Correlation-ID": correlation_id.encode(), "traceparent": TRACE.encode()}
    customer.wait_until(lambda: "GOODS_RELEASED" in customer.events(order["id"]))


async def test_duplicate_event_is_published_twice_and_reserves_once(
    customer: Customer, running_shop: RunningShop
) -> None:
    """With 'duplicate-event' the event comes twice; the warehouse takes the goods once all the same."""
    customer.choose_faults("duplicate-event")
    before = customer.warehouse.get("/stock/CUP-GLASS").json()["available"]
    order = customer.place(items=[{"sku": "CUP-GLASS", "quantity": 7}]).json()
    first, second = await events_of(running_shop, order["id"], 2)
    assert first.value == second.value
    customer.wait_for_goods(order["id"])
    assert customer.warehouse.get("/stock/CUP-GLASS").json()["available"] == before - 7


def test_price_is_what_an_order_is_charged_unless_it_is_wrong(customer: Customer, running_shop: RunningShop) -> None:
    """The price list of gRPC is that of orders; with 'wrong-price' who asks hears a tenth more."""
    assert ask_price(running_shop, "TEA-GREEN") == 750
    customer.choose_faults("wrong-price")
    assert ask_price(running_shop, "TEA-GREEN") == 825
    assert customer.place().json()["total"] == 15.0


def test_price_of_nothing_is_not_found(running_shop: RunningShop) -> None:
    """A product that there is not has no price, and the status says so."""
    with pytest.raises(grpc.RpcError) as raised:
        ask_price(running_shop, "TEA-NONE")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert raised.value.details() == "there is no product TEA-NONE"


def test_lost_reply_leaves_goods_that_nobody_hears_of(customer: Customer) -> None:
    """With 'lost-reply' the warehouse does its work, and orders does not learn of it."""
    customer.choose_faults("lost-reply")
    order = customer.place().json()
    customer.wait_for_goods(order["id"])
    customer.wait_until(lambda: customer.order(order["id"])["paidAt"])
    assert customer.events(order["id"]) == ["ORDER_PLACED", "PAYMENT_CAPTURED"]


async def test_warehouse_answers_through_rabbitmq(answering_shop: RunningShop, answering_customer: Customer) -> None:
    """Where there is a broker, every answer goes through it, with the order's correlation id and trace."""
    correlation_id = f"run-{uuid4()}"
    customer = answering_customer
    customer.orders.headers["traceparent"] = TRACE
    connection = await aio_pika.connect(answering_shop.amqp_url)
    async with connection, asyncio.timeout(LIMIT_S):
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("warehouse", "#")
        order = customer.place(correlation_id).json()
        message = await queue.get(timeout=LIMIT_S, fail=False)
        while message is None:
            message = await queue.get(timeout=LIMIT_S, fail=False)
        await message.ack()
    assert (message.routing_key, message.correlation_id) == ("order.stock_reserved", correlation_id)
    assert json.loads(message.body) == {"type": "STOCK_RESERVED", "orderId": order["id"]}
    assert message.headers == {"X-Correlation-ID": correlation_id, "traceparent": TRACE}
    customer.wait_until(lambda: "STOCK_RESERVED" in customer.events(order["id"]))
