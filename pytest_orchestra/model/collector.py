"""Keep the garbage collector from looking over and over at what lives on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["collector_paused", "collector_relaxed"]

_YOUNGEST: Final = 20_000
"""How many new objects make a look worth while, where thousands of them wait for replies at a time; Python's is 700."""

_OF_PYTHON: Final = 5_000
"""Fewer frozen objects than that are of Python's own (3.12 begins with some hundreds), more are of an earlier call."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector out while values are made that live and form no cycles; looking costs a fifth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def collector_relaxed() -> Iterator[None]:
    """Let the garbage collector look seldom at what is new, and never at what is there already.

    What is there stays out of its sight, also of that at the end of the process, whose looks are long; a later call in
    the same process has it look once more. Does nothing where somebody has switched it off, or told it to look seldom.
    """
    usual = gc.get_threshold()
    if not gc.isenabled() or not 0 < usual[0] < _YOUNGEST:
        yield
        return
    if gc.get_freeze_count() > _OF_PYTHON:
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
