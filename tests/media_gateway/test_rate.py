"""The token bucket, and what a media stream may send."""

from __future__ import annotations

import pytest

from media_gateway.rate import Bucket
from media_gateway.telephony import media_protocol as wire
from media_gateway.telephony.flood import LOOK_EVERY, Allowance


def test_a_bucket() -> None:
    bucket = Bucket(rate=2, burst=3)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(10.4)
    assert bucket.take(10.5)
    assert not bucket.take(10.5)
    assert [bucket.take(1_000.0) for _ in range(4)] == [True, True, True, False], "never more than the burst"
    assert not Bucket(rate=2, burst=3).take(0.0, cost=4)


SOUND = wire.Media("MZ1", wire.MediaBody(b"\xff" * 160))
LONG = wire.Media("MZ1", wire.MediaBody(b"\xff" * 16_000))
KEY = wire.Dtmf("MZ1", wire.DtmfBody("1"))
ECHO = wire.Mark("MZ1", wire.MarkBody("m"))


def _flood(allowed: Allowance, message: wire.Incoming) -> None:
    """At the latest with the next look at the clock."""
    for _ in range(LOOK_EVERY if message is SOUND else 1):
        allowed.check(message)


@pytest.mark.parametrize(
    ("message", "burst", "every_s"),
    [(SOUND, 500, 0.02), (LONG, 5, 2.0), (KEY, 40, 0.1), (ECHO, 1_000, 0.02)],
    ids=["sound", "long frames", "keys", "marks"],
)
def test_a_stream_in_real_time_goes_on_and_a_flood_is_refused(
    message: wire.Incoming, burst: int, every_s: float
) -> None:
    now = 0.0
    allowed = Allowance(lambda: now)
    for _ in range(3 * burst):
        allowed.check(message)
        now += every_s
    allowed = Allowance(lambda: now)
    for _ in range(burst):
        allowed.check(message)
    with pytest.raises(wire.ProtocolError) as refused:
        _flood(allowed, message)
    assert refused.value.code == 1008
    allowed.check(wire.Stop("MZ1"))
