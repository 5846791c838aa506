"""What can be set from outside, all through environment variables named ``SHOP_...``."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, Field


class Settings(BaseModel, frozen=True):
    """Addresses, and how long things take (milliseconds)."""

    database_url: str = "postgresql://localhost/shop"
    orders_url: str = "http://127.0.0.1:8001"
    payments_url: str = "http://127.0.0.1:8002"
    warehouse_url: str = "http://127.0.0.1:8003"
    prices_url: str = "http://127.0.0.1:8004"
    """The health of the prices service."""
    prices_address: str = "127.0.0.1:8005"
    """Its gRPC."""
    kafka_servers: str = ""
    """``host:port``; a broker of the shop's own if empty."""
    amqp_url: str = ""
    """``amqp://user@host:port/vhost``; without one, the warehouse answers over HTTP."""
    amqp_password: str = ""

    payment_ms: int = Field(default=100, ge=0)
    payment_retry_ms: int = Field(default=50, ge=0)
    payment_attempts: int = Field(default=3, ge=1, le=3)
    payment_deadline_ms: int = Field(default=3_000, gt=0)
    reservation_ms: int = Field(default=80, ge=0)
    picking_ms: int = Field(default=150, ge=0)
    express_shipping_ms: int = Field(default=50, ge=0)
    standard_shipping_ms: int = Field(default=200, ge=0)

    misbehave: str = ""
    slow_settling_ms: int = Field(default=30_000, ge=0)

    @property
    def amqp_login(self) -> str:
        """``amqp_url`` with the password in it, for the client; empty if there is no broker."""
        parts = urlsplit(self.amqp_url)
        if not self.amqp_password:
            return self.amqp_url
        user, password = parts.username or "guest", quote(self.amqp_password, safe="")
        return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Take every setting from its variable, ``SHOP_PAYMENT_MS`` for ``payment_ms``, where that is there."""
        given = {name: environment.get(f"SHOP_{name.upper()}") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in given.items() if value is not None})
