"""Whether conditions can hold together, and for which values: cells of values, formulas over them, the search."""

from __future__ import annotations
