"""Conditions of branches: the languages they are written in, read as one, and what they come to for data."""

from __future__ import annotations
