"""What the garbage collector is told."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from pytest_orchestra.model.collector import collector_relaxed


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Leave the collector as it was, though the test session itself may have frozen something."""
    usual = gc.get_threshold()
    yield
    gc.enable()
    gc.set_threshold(*usual)
    gc.unfreeze()


class Ring:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def count_rings() -> int:
    return sum(isinstance(each, Ring) for each in gc.get_objects())


def test_collector_relaxed_freezes_what_is_there_and_puts_the_threshold_back() -> None:
    """New objects are looked at seldom while the block lasts, those before it never."""
    gc.set_threshold(700, 10, 10)
    with collector_relaxed():
        assert gc.get_freeze_count() > 5_000
        assert gc.get_threshold()[0] == 20_000
    assert gc.get_threshold()[0] == 700


def test_collector_relaxed_again_frees_what_became_garbage_before() -> None:
    """Sessions that follow each other in one process do not pile up garbage."""
    gc.unfreeze()
    gc.set_threshold(19_000, 10, 10)
    gc.collect()
    Ring()
    with collector_relaxed():
        pass
    gc.collect()
    gc.unfreeze()
    assert count_rings() == 1
    gc.freeze()
    with collector_relaxed():
        gc.unfreeze()
        assert count_rings() == 0


@pytest.mark.parametrize("threshold", [0, 50_000])
def test_collector_relaxed_leaves_a_collector_alone_that_was_told_to_look_seldom(threshold: int) -> None:
    """Whoever has set the collector by hand keeps it so."""
    gc.unfreeze()
    gc.set_threshold(threshold, 10, 10)
    with collector_relaxed():
        assert gc.get_threshold()[0] == threshold
        assert gc.get_freeze_count() < 5_000


def test_collector_relaxed_leaves_a_collector_off_that_is_off() -> None:
    """A collector that is switched off is not told anything."""
    gc.unfreeze()
    gc.disable()
    with collector_relaxed():
        assert not gc.isenabled()
        assert gc.get_freeze_count() < 5_000
