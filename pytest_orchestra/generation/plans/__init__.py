"""What is told of a plan, kept of it in a file, and how it differs from what was kept."""

from __future__ import annotations
