"""The codec without a network: random text never gets past it as anything but a message or a ProtocolError."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.telephony import media_protocol as wire
from tests.media_gateway.harness import STREAM_SID, connected, media, start

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
SHAPED = st.fixed_dictionaries(
    {"event": st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "clear"])},
    optional={
        "streamSid": st.just(STREAM_SID) | st.text(max_size=8),
        "start": JSON,
        "media": JSON,
        "dtmf": JSON,
        "mark": JSON,
    },
)


@given(st.lists(st.text(max_size=200) | JSON.map(json.dumps) | SHAPED.map(json.dumps), max_size=5), st.booleans())
def test_nothing_else_comes_out(frames: list[str], started: bool) -> None:
    protocol = wire.MediaProtocol()
    if started:
        protocol.receive(connected())
        protocol.receive(start("CA1", "t"))
    for frame in frames:
        with suppress(wire.ProtocolError):
            message = protocol.receive(frame)
            assert isinstance(message, wire.Incoming)
            if not isinstance(message, wire.Connected | wire.Start):
                assert started or any('"start"' in known for known in frames)


@given(st.binary(max_size=2000))
def test_sound_comes_through_untouched(mulaw: bytes) -> None:
    protocol = wire.MediaProtocol()
    protocol.receive(start("CA1", "t"))
    message = protocol.receive(media(mulaw))
    assert isinstance(message, wire.Media)
    assert message.media.payload == mulaw
    frame = json.loads(wire.Frames(STREAM_SID).media(mulaw))
    assert frame == {"event": "media", "streamSid": STREAM_SID, "media": {"payload": b64encode(mulaw).decode()}}
    assert b64decode(frame["media"]["payload"]) == mulaw


@given(st.text())
def test_a_mark_of_any_name_is_json(name: str) -> None:
    frame = json.loads(wire.Frames(STREAM_SID).mark(name))
    assert frame == {"event": "mark", "streamSid": STREAM_SID, "mark": {"name": name}}


def test_twilios_own_example_messages() -> None:
    protocol = wire.MediaProtocol()
    assert protocol.receive('{"event":"connected","protocol":"Call","version":"1.0.0"}') == wire.Connected()
    message = protocol.receive(start("CA1", "t", extra={"new": ["field"]}))
    assert isinstance(message, wire.Start)
    assert message.start.custom_parameters == {"token": "t"}
    assert message.start.call_sid == "CA1"


def test_start_may_come_without_connected_but_not_after_another() -> None:
    protocol = wire.MediaProtocol()
    protocol.receive(start("CA1", "t"))
    for frame in (connected(), start("CA1", "t")):
        with pytest.raises(wire.ProtocolError) as refused:
            protocol.receive(frame)
        assert refused.value.code == wire.BAD_ORDER
