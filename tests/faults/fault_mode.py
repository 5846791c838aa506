"""How much the fault harness does."""

from __future__ import annotations

import os

LONG = os.environ.get("ORCHESTRA_FAULTS") == "long"
"""Whether every point is struck, and hundreds at random; otherwise a sample that is quick enough for every change."""
