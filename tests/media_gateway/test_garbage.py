"""Full collections come when nobody is there, or when much has piled up; and what was a circle goes all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from media_gateway import garbage
from media_gateway.garbage import Garbage


class Circle:
    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_nobody_is_kept_waiting_for_a_full_collection() -> None:
    busy = True
    keeper = Garbage(lambda: busy)
    keeper.begin()
    assert gc.get_threshold()[2] == garbage.NEVER
    assert gc.get_freeze_count() > 0

    old = Circle()
    gone = weakref.ref(old)
    gc.collect(1)
    del old
    gc.collect(1)  # counts as growth
    keeper.look()
    assert gone() is not None
    busy = False
    keeper.look()
    assert gone() is None


def test_among_calls_it_comes_when_much_has_piled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Garbage(lambda: True)
    keeper.begin()
    monkeypatch.setattr(garbage, "MUCH", 3)
    old = Circle()
    gone = weakref.ref(old)
    gc.collect(1)
    del old
    keeper.look()
    assert gone() is not None
    gc.collect(1)
    gc.collect(1)
    keeper.look()
    assert gone() is None
