"""The data of a suite: what the user gave, what fields may hold, data made for paths that nothing fits."""

from __future__ import annotations
