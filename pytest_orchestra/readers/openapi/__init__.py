"""OpenAPI 3.0, 3.1, 3.2 and Swagger 2.0 documents as protocol specifications."""

from __future__ import annotations

from pytest_orchestra.readers.openapi.specification import read_openapi

__all__ = ["read_openapi"]
