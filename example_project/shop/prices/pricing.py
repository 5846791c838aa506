"""The price list, and who asks for it over gRPC."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import grpc
from pydantic import BaseModel

from shop.correlation import carried
from shop.faults import Fault
from shop.prices.contract import messages, services
from shop.schemas import Sku
from shop.service import Tools

_log = logging.getLogger(__name__)


class Product(BaseModel):
    """A line of the price list."""

    sku: Sku
    name: str
    price: Decimal

    @property
    def cents(self) -> int:
        return int(self.price * 100)


class Pricing(services.PricesServicer):
    """Answers what things cost."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def GetPrice(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the contract's
        """Give the price of one piece."""
        with carried(_metadata(context)):
            product = (await self._products([request.sku])).get(request.sku)
            if product is None:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no product {request.sku}")
            cents = product.cents * 11 // 10 if Fault.WRONG_PRICE in self._tools.faults else product.cents
            return messages.Price(sku=product.sku, name=product.name, cents=cents, currency="EUR")

    async def QuoteOrder(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the contract's
        """Give what an order costs."""
        with carried(_metadata(context)):
            wanted = {line.sku for line in request.lines}
            products = await self._products(wanted)
            unknown = sorted(wanted - products.keys())
            if unknown:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no product {', '.join(unknown)}")
            cents = sum(products[line.sku].cents * line.quantity for line in request.lines)
            _log.info("quoted %s cents", cents)
            return messages.Quote(cents=cents, currency="EUR")

    async def _products(self, skus: Collection[str]) -> dict[str, Product]:
        sql = "select sku, name, price from prices.products where sku = any(%(skus)s)"
        return {product.sku: product for product in await self._tools.database.find_all(Product, sql, skus=list(skus))}


@asynccontextmanager
async def serving(tools: Tools) -> AsyncIterator[Pricing]:
    """Serve gRPC beside the service's HTTP."""
    server = grpc.aio.server()
    pricing = Pricing(tools)
    services.add_PricesServicer_to_server(pricing, server)
    server.add_insecure_port(tools.settings.prices_address)
    await server.start()
    try:
        yield pricing
    finally:
        await server.stop(grace=1)


def _metadata(context: grpc.aio.ServicerContext) -> dict[str, str]:
    return {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
