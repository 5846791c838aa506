"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SHARED_CORPUS = Path(__file__).parents[2] / "shared" / "corpus"


def require(name: str, reason: str) -> None:
    """Skip because something heavy is missing, or fail if ``ORCHESTRA_REQUIRE`` says that it must be there."""
    if name in os.environ.get("ORCHESTRA_REQUIRE", "").split(","):
        pytest.fail(f"{reason}, and ORCHESTRA_REQUIRE wants it", pytrace=False)
    pytest.skip(reason)
