"""A first sidecar for a process, from what the model and the specifications of its services say."""

from __future__ import annotations
