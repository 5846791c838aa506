"""What the messages of all services have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

Money = Annotated[
    Decimal,
    Field(ge=0, le=1_000_000, max_digits=9, decimal_places=2),
    PlainSerializer(float, return_type=Annotated[float, Field(ge=0, le=1_000_000)], when_used="json"),
]
"""Euros and cents; a number in JSON."""

CorrelationId = Annotated[str, Field(min_length=1, max_length=200)]
Sku = Annotated[str, Field(pattern=r"^[A-Z]+-[A-Z0-9]+$", max_length=20, examples=["TEA-GREEN"])]


class Schema(BaseModel):
    """The base of all messages: camelCase, and nothing that the specification does not know."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid")


class Item(Schema):
    """So many of one product."""

    sku: Sku
    quantity: int = Field(ge=1, le=100)


class Health(Schema):
    """A sign of life."""

    status: str = Field(pattern="^UP$")
    service: str
