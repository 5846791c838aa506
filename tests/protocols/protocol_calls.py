"""Calls as the engine makes them, and a specification by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from pytest_orchestra.engine.ports import StepCall
from pytest_orchestra.model.definition import StepDefinition
from pytest_orchestra.model.environment import Environment
from pytest_orchestra.model.secret import Secret
from pytest_orchestra.model.specification import (
    HeaderSpec,
    MediaType,
    Operation,
    Parameter,
    ProtocolSpec,
    ResponseSpec,
    SchemaRef,
)


def make_call(
    definition: Mapping[str, Any],
    environment: Mapping[str, Any],
    *,
    timeout_s: float = 5.0,
    secrets: Mapping[str, str] | None = None,
) -> StepCall:
    """Give a call as the engine makes it from a step whose templates are rendered already."""
    step = StepDefinition.model_validate(definition)
    return StepCall(
        step=step,
        alias="step",
        correlation_id="corr-1",
        input=step.input_template,
        parameters={"correlationId": "corr-1", **step.parameters},
        environment=Environment.model_validate({"name": "local", **environment}),
        secrets={ref: Secret(text) for ref, text in (secrets or {}).items()},
        timeout_s=timeout_s,
    )


@dataclass(frozen=True)
class Warehouse:
    """A database with some tables, and a role that may read them."""

    host: str
    port: int
    name: str
    role: str
    password: str
    admin_url: str

    @property
    def url(self) -> str:
        """Its URL, without credentials."""
        return f"postgresql://{self.host}:{self.port}/{self.name}?sslmode=disable"

    def environment(self, **profile: Any) -> dict[str, Any]:
        """Give an environment in which ``warehouse`` is this database."""
        known = {"url": self.url, "usernameRef": "env:DB_USER", "passwordRef": "env:DB_PASSWORD"}
        return {"dbProfiles": {"warehouse": {**known, **profile}}}

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets of that environment."""
        return {"env:DB_USER": self.role, "env:DB_PASSWORD": self.password}

    def run(self, sql: str, *values: Any) -> None:
        """Do something in the database, as its owner."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql, values or None)


URI = "urn:orders"

SCHEMAS: dict[str, Any] = {
    "Order": {
        "type": "object",
        "required": ["id", "total", "pin"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "total": {"type": "number", "minimum": 0},
            "status": {"enum": ["PLACED", "SHIPPED"]},
            "placedAt": {"type": "string", "format": "date-time"},
            "lines": {"type": "array", "maxItems": 3, "items": {"$ref": "#/components/schemas/Line"}},
            "pin": {"$ref": "#/components/schemas/Pin"},
            "payment": {
                "oneOf": [
                    {"type": "object", "required": ["card"], "properties": {"card": {"type": "string"}}},
                    {"type": "object", "required": ["iban"], "properties": {"iban": {"type": "integer"}}},
                ]
            },
        },
    },
    "Line": {"type": "object", "required": ["qty"], "properties": {"qty": {"type": "integer"}}},
    "Pin": {"type": "string", "writeOnly": True},
    "Broken": {"$ref": "#/components/schemas/Nowhere"},
    "Count": {"type": "integer", "minimum": 1},
    "Ids": {"type": "array", "items": {"type": "integer"}},
    "Text": {"type": "string"},
}


def schema(name: str) -> SchemaRef:
    """Give the address of one of the schemas."""
    return SchemaRef(f"{URI}#/components/schemas/{name}")


def json_of(name: str) -> tuple[MediaType, ...]:
    """Declare JSON of one of the schemas."""
    return (MediaType("application/json", schema(name)),)


OPERATIONS = (
    Operation(
        "placeOrder",
        "POST",
        "/orders",
        request_bodies=(MediaType("application/json"), MediaType("*/*")),
        responses=(
            ResponseSpec("202", media_types=json_of("Order")),
            ResponseSpec("4XX", media_types=(MediaType("application/problem+json"),)),
        ),
    ),
    Operation(
        "getOrder",
        "GET",
        "/orders/{id}",
        parameters=(Parameter("id", "path", required=True),),
        responses=(ResponseSpec("200", media_types=json_of("Order")), ResponseSpec("default")),
    ),
    Operation(
        "findOrders",
        "GET",
        "/orders",
        parameters=(
            Parameter("ids", "query", style="form", explode=False),
            Parameter("tags", "query", style="pipeDelimited"),
            Parameter("filter", "query", style="deepObject"),
            Parameter("X-Range", "header"),
        ),
        responses=(
            ResponseSpec(
                "200",
                headers=(
                    HeaderSpec("X-Total", required=True, schema=schema("Count")),
                    HeaderSpec("X-Ids", schema=schema("Ids")),
                    HeaderSpec("Content-Type", required=True, schema=schema("Count")),
                ),
                media_types=(MediaType("text/*", schema("Text")), MediaType("*/*"), *json_of("Ids")),
            ),
            ResponseSpec("204"),
        ),
    ),
    Operation(
        "HEAD /orders/{id}", "HEAD", "/orders/{id}", responses=(ResponseSpec("200", media_types=json_of("Order")),)
    ),
    Operation("breakOrder", "GET", "/broken", responses=(ResponseSpec("200", media_types=json_of("Broken")),)),
    Operation(
        "submitForm",
        "POST",
        "/form",
        request_bodies=(MediaType("application/x-www-form-urlencoded"),),
        responses=(ResponseSpec("default"),),
    ),
)

ORDERS = ProtocolSpec(
    "http",
    "orders",
    version="a" * 64,
    file="orders.openapi.json",
    operations=OPERATIONS,
    documents={URI: {"openapi": "3.1.0", "components": {"schemas": SCHEMAS}}},
)

SPECS = {"orders": ORDERS}
