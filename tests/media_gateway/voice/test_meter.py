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


def test_what_tools_take_is_no_thinking() -> None:
    """Two rounds of them, and one that goes on while the answer is said."""
    meter = TurnMeter(1, 40)
    meter.reached("committed", 0)
    for on, now in ((True, 100), (False, 350), (True, 500), (False, 1_000), (True, 1_200)):
        meter.working(on, now)
    meter.reached("text", 1_300)
    meter.working(True, 1_400)
    meter.reached("clause", 1_500)
    meter.working(False, 2_000)
    assert stages(meter) == {"endpointing": 40, "thinking": 450, "tools": 850, "clause": 200}
    assert list(stages(meter)) == ["endpointing", "thinking", "tools", "clause"], "in order: the page draws them so"
    assert meter.data()["total_ms"] == 40 + 1_500


def test_tokens_of_all_requests_of_a_turn() -> None:
    meter = TurnMeter(1)
    meter.used(100, 20, 50)
    meter.used(150, 10, 0)
    assert meter.data()["tokens"] == {"prompt": 250, "completion": 30, "cached": 50}
    assert meter.total_tokens == 280
