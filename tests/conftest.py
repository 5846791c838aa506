"""What all tests share."""

from __future__ import annotations

import os
import re
from collections.abc import Generator

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# a deadline in wall time fails on a busy machine, and says nothing about the code
settings.register_profile("orchestra", deadline=None)
settings.load_profile("orchestra")

REQUIRED = [name for name in os.environ.get("ORCHESTRA_REQUIRE", "").split(",") if name]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure if its reason names something that ``ORCHESTRA_REQUIRE`` wants to be there."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2])
        wanted = [name for name in REQUIRED if re.search(rf"\b{re.escape(name)}\b", reason, re.IGNORECASE)]
        if wanted:
            report.outcome = "failed"
            report.longrepr = f"{reason}; ORCHESTRA_REQUIRE wants {', '.join(wanted)}"
    return report
