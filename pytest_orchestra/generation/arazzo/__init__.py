"""Suites as Arazzo documents."""

from __future__ import annotations
