"""The graph on which the tokens of a process move, and what its shape alone tells."""

from __future__ import annotations
