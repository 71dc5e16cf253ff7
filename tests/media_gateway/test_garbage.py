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
    assert gc.get_threshold() == (garbage.YOUNG, garbage.MIDDLE, garbage.NEVER)
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


def test_what_is_collected_among_calls_is_little_at_a_time() -> None:
    looked_at: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            looked_at.append(len(gc.get_objects(0)) + (len(gc.get_objects(1)) if info["generation"] else 0))

    Garbage(lambda: True).begin()
    gc.callbacks.append(note)
    try:
        kept = [Circle() for _ in range(50_000)]
    finally:
        gc.callbacks.remove(note)
    assert len(kept) == 50_000
    assert len(looked_at) > 20
    assert max(looked_at) < 10_000
