"""What taking branches asks of the data: which data sets fit a path, what contradicts what was taken before."""

from __future__ import annotations
