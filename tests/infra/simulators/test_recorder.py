"""Each thing that Twilio would not take is caught, and nothing else is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulators.recorder import (
    STREAM_MESSAGE,
    STREAM_PROTOCOL,
    ClearFrame,
    MarkFrame,
    MediaFrame,
    ProtocolViolations,
    Violation,
    judge_frame,
)

SID = "MZ" + "1" * 32


def media(audio: bytes) -> str:
    return frame(event="media", media={"payload": base64.b64encode(audio).decode()})


def frame(**body: Any) -> str:
    return json.dumps({"streamSid": SID} | body)


@given(st.binary(min_size=1, max_size=2000).filter(lambda audio: audio[:1] not in (b"R", b"I", b"O", b"f", b"F", b".")))
def test_good_media_of_any_size(audio: bytes) -> None:
    assert judge_frame(media(audio), stream_sid=SID) == MediaFrame(audio)


def test_good_marks_and_clears() -> None:
    assert judge_frame(frame(event="mark", mark={"name": "turn7:3"}), stream_sid=SID) == MarkFrame("turn7:3")
    assert judge_frame(frame(event="clear"), stream_sid=SID) == ClearFrame()


@pytest.mark.parametrize(
    ("message", "code", "what"),
    [
        (b"{}", STREAM_PROTOCOL, "binary frame of 2 bytes"),
        ("", STREAM_PROTOCOL, "not JSON"),
        ("{'event': 'clear'}", STREAM_PROTOCOL, "not JSON"),
        ("3", STREAM_PROTOCOL, "not a JSON object"),
        (frame(), STREAM_MESSAGE, "unknown event None"),
        (frame(event="stop"), STREAM_MESSAGE, "unknown event 'stop'"),
        (frame(event="Media"), STREAM_MESSAGE, "unknown event 'Media'"),
        (frame(event="dtmf"), STREAM_MESSAGE, "unknown event 'dtmf'"),
        (frame(event=["media"]), STREAM_MESSAGE, "unknown event"),
        ('{"event":"clear"}', STREAM_MESSAGE, "streamSid None"),
        (frame(event="clear", streamSid="CA1"), STREAM_MESSAGE, "streamSid 'CA1'"),
        (frame(event="media"), STREAM_MESSAGE, "without media.payload"),
        (frame(event="media", media="AAAA"), STREAM_MESSAGE, "without media.payload"),
        (frame(event="media", media={"payload": 7}), STREAM_MESSAGE, "without media.payload"),
        (frame(event="media", media={"payload": ""}), STREAM_MESSAGE, "empty payload"),
        (frame(event="media", media={"payload": "not base64!"}), STREAM_MESSAGE, "not base64"),
        (frame(event="media", media={"payload": "////x"}), STREAM_MESSAGE, "not base64"),
        (frame(event="media", media={"payload": "_-__"}), STREAM_MESSAGE, "not base64"),
        (media(b"RIFF$\x00\x00\x00WAVEfmt "), STREAM_MESSAGE, "WAV file header"),
        (media(b"ID3\x04\x00"), STREAM_MESSAGE, "MP3 file header"),
        (media(b"OggS\x00"), STREAM_MESSAGE, "Ogg file header"),
        (frame(event="mark"), STREAM_MESSAGE, "without mark.name"),
        (frame(event="mark", mark={"name": ""}), STREAM_MESSAGE, "without mark.name"),
        (frame(event="mark", mark={"name": 3}), STREAM_MESSAGE, "without mark.name"),
    ],
)
def test_strictness(message: str | bytes, code: int, what: str) -> None:
    judged = judge_frame(message, stream_sid=SID)
    assert isinstance(judged, Violation)
    assert judged.code == code
    assert what in judged.what


def test_nothing_before_start() -> None:
    judged = judge_frame(media(b"\xff" * 160), stream_sid=SID, started=False)
    assert isinstance(judged, Violation)
    assert judged.what == "media before start"


@given(st.one_of(st.text(), st.binary(), st.recursive(st.none() | st.text(), st.lists).map(json.dumps)))
def test_no_message_is_too_strange(message: str | bytes) -> None:
    assert isinstance(judge_frame(message, stream_sid=SID), Violation)


def test_the_failure_lists_every_violation() -> None:
    failure = ProtocolViolations((Violation(31951, "one", 12.4), Violation(12200, "two", 900)))
    assert str(failure) == "2 protocol violation(s):\n  [31951] at 12 ms: one\n  [12200] at 900 ms: two"
