"""What is to be covered, the fewest runs that do so, and why something is not."""

from __future__ import annotations
