"""From runs to scenarios: steps, keys, data, orders of what is concurrent, and those that users name."""

from __future__ import annotations
