"""The committed specifications of the example are those of its services."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shop.specs import document

if TYPE_CHECKING:
    from conftest import Customer

SERVICES = ["orders", "payments", "warehouse"]


@pytest.mark.parametrize("service", SERVICES)
def test_committed_specification_is_what_the_running_service_serves(
    example: Path, customer: Customer, service: str
) -> None:
    """``specs/*.openapi.json`` is current; ``python -m shop.specs`` in the example's folder makes it so."""
    committed = json.loads((example / "specs" / f"{service}.openapi.json").read_text(encoding="utf-8"))
    assert committed == getattr(customer, service).get("/openapi.json").json()


@pytest.mark.parametrize("service", SERVICES)
def test_committed_specification_is_written_as_the_script_writes_it(example: Path, service: str) -> None:
    """Writing the specifications anew changes no byte."""
    assert (example / "specs" / f"{service}.openapi.json").read_text(encoding="utf-8") == document(service)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_a_camel_case_id_and_says_how_it_refuses(example: Path, service: str) -> None:
    """Operations are called by their function's name; all that can be refused tells the problem's schema."""
    committed = json.loads((example / "specs" / f"{service}.openapi.json").read_text(encoding="utf-8"))
    assert committed["openapi"].startswith("3.1.")
    for path, operations in committed["paths"].items():
        assert not path.startswith("/_")
        for operation in operations.values():
            assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", operation["operationId"])
            if path != "/health":
                schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
