"""The stages of a turn add up to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.voice.meter import STAGES, TurnMeter


def stages(meter: TurnMeter) -> Mapping[str, int]:
    return cast("Mapping[str, int]", meter.data()["stages"])


@given(st.lists(st.floats(0, 5_000), min_size=6, max_size=6), st.integers(0, 2_000))
def test_stages_add_up(gaps: list[float], endpointing: int) -> None:
    meter, now = TurnMeter(3, endpointing), 1_000.0
    start = now = now + gaps[0]
    meter.reached(STAGES[0], now)
    for stage, gap in zip(STAGES[1:], gaps[1:], strict=True):
        now += gap
        meter.reached(stage, now)
    parts = stages(meter)
    assert list(parts) == ["endpointing", "thinking", "clause", "voicing", "sending", "playing"]
    assert sum(parts.values()) == meter.data()["total_ms"]
    assert abs(sum(parts.values()) - endpointing - (now - start)) <= 1
    assert all(value >= 0 for value in parts.values())


def test_the_first_time_counts() -> None:
    meter = TurnMeter(1)
    for now in (10.0, 500.0):
        meter.reached("committed", now)
        meter.reached("text", now + 5)
    assert stages(meter) == {"endpointing": 0, "thinking": 5}


def test_a_stage_that_was_not_reached_is_absent_and_so_are_those_behind_it() -> None:
    meter = TurnMeter(1, 40)
    meter.reached("committed", 0)
    meter.reached("text", 100)
    meter.reached("sound", 300)
    assert stages(meter) == {"endpointing": 40, "thinking": 100}


def test_tokens_of_all_requests_of_a_turn() -> None:
    meter = TurnMeter(1)
    meter.used(100, 20, 50)
    meter.used(150, 10, 0)
    assert meter.data()["tokens"] == {"prompt": 250, "completion": 30, "cached": 50}
    assert meter.total_tokens == 280
