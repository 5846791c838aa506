"""The prices service: gRPC for those who ask, HTTP for its health."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI

from shop.prices.pricing import serving
from shop.service import create_service
from shop.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the service."""
    return create_service(
        "prices", settings=settings, router=APIRouter(), schema=Path(__file__).with_name("schema.sql"), opening=serving
    )
