"""How late the loop wakes, and the calls that are refused for it."""

from __future__ import annotations

from contextlib import suppress

from media_gateway.loop_lag import EVERY_S, SAMPLES, LoopLag
from media_gateway.telephony.sessions import Sessions
from tests.media_gateway.voice.virtual import run


def test_what_most_of_the_last_samples_did_not_exceed() -> None:
    lag = LoopLag()
    assert lag.ms() == 0.0
    for _ in range(SAMPLES):
        lag.add(2.0)
    for _ in range(SAMPLES // 20):
        lag.add(500.0)
    assert lag.ms() == 2.0, "one hiccup is no load"
    for _ in range(SAMPLES // 5):
        lag.add(300.0)
    assert lag.ms() >= 300.0
    lag.add(-4.0)
    assert min(lag._late) == 0.0


def test_it_is_measured() -> None:
    async def play() -> None:
        lag, wakes = LoopLag(), iter([0.0, EVERY_S + 0.030, 1.0, 1.0 + EVERY_S, 2.0])
        with suppress(RuntimeError):  # the clock has run out
            await lag.run(lambda: next(wakes))
        assert [round(ms) for ms in lag._late] == [30, 0]

    run(play())


def test_a_process_that_lags_takes_no_call_more_but_always_one() -> None:
    lag = LoopLag()
    sessions = Sessions(max_calls=3, lag=lag, max_lag_ms=100.0)
    lag.add(500.0)
    seen = [sessions.full]  # who has no call lags for other reasons
    with sessions.stream():
        seen.append(sessions.full)
        for _ in range(SAMPLES):
            lag.add(1.0)
        seen.append(sessions.full)
        with sessions.stream(), sessions.stream():
            seen.append(sessions.full)
    assert seen == [False, True, False, True]
    assert not Sessions(max_calls=1, lag=lag, max_lag_ms=0.0).full
