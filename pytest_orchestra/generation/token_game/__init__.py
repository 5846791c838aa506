"""The token game: how a process is played, and the runs that come of it."""

from __future__ import annotations
