"""TwiML is read as strictly as Twilio reads it."""

from __future__ import annotations

import pytest
from twilio.twiml.voice_response import VoiceResponse

from infra.simulators import twiml
from infra.simulators.recorder import (
    DIAL_NUMBER,
    STREAM_HANDSHAKE,
    STREAM_SCHEME,
    STREAM_URL,
    TWIML_PARSE,
    TWIML_SCHEMA,
)

BASE = "https://example.com/api/v1/voice/incoming"


def stream(attributes: str = 'url="wss://example.com/media"', inside: str = "") -> str:
    return f"<Connect><Stream {attributes}>{inside}</Stream></Connect>"


def read(inside: str) -> twiml.Document:
    return twiml.parse(f"<Response>{inside}</Response>", base_url=BASE)


def test_what_twilios_builder_writes_is_without_fault() -> None:
    response = VoiceResponse()
    opened = response.connect().stream(
        url="wss://example.com/media", name="s1", status_callback="https://example.com/s"
    )
    opened.parameter(name="token", value='a"<&>b')
    response.redirect("/api/v1/voice/resume", method="POST")
    response.dial("+14155550123", timeout=20, action="https://example.com/done", caller_id="+14155550100")
    response.say("Goodbye", voice="alice")
    response.pause(length=2)
    response.hangup()
    document = twiml.parse(str(response), base_url=BASE)
    assert document.faults == ()
    assert document.verbs == (
        twiml.Stream("wss://example.com/media", {"token": 'a"<&>b'}, "s1"),
        twiml.Redirect("https://example.com/api/v1/voice/resume"),
        twiml.Dial("+14155550123", 20, "https://example.com/done"),
        twiml.Say("Goodbye"),
        twiml.Pause(2),
        twiml.Hangup(),
    )


@pytest.mark.parametrize(
    "inside",
    [
        "",
        stream('url="ws://127.0.0.1:8080/media"'),
        stream('url="ws://localhost:8080/media"'),
        stream('url="ws://[::1]:8080/media"'),
        stream(inside=f'<Parameter name="{"n" * 9}" value="{"v" * 490}"/>'),
        stream(inside='<Parameter name="empty" value=""/>'),
        "<Dial><Number>+14155550123</Number></Dial>",
        "<Reject/>",
        "<Redirect method='GET'>https://example.com/x?y=1</Redirect>",
    ],
)
def test_good(inside: str) -> None:
    assert read(inside).faults == ()


@pytest.mark.parametrize(
    ("inside", "code", "what"),
    [
        ("<Connects/>", TWIML_SCHEMA, "<Connects> is not a verb"),
        ("<hangup/>", TWIML_SCHEMA, "<hangup> is not a verb"),
        ("<Hangup now='1'/>", TWIML_SCHEMA, "no attribute 'now'"),
        ("<Hangup/>and then", TWIML_SCHEMA, "text after <Hangup>"),
        ("words", TWIML_SCHEMA, "text inside <Response>"),
        ("<Record/>", TWIML_SCHEMA, "not one that this phone can follow"),
        ("<Connect/>", TWIML_SCHEMA, "0 nouns"),
        ("<Connect><Room>x</Room></Connect>", TWIML_SCHEMA, "<Room> cannot stand inside <Connect>"),
        (stream() .replace("<Connect>", '<Connect answer="x">'), TWIML_SCHEMA, "no attribute 'answer'"),
        (stream('url="wss://example.com/m" status_callback="https://e.com"'), TWIML_SCHEMA, "'status_callback'"),
        (stream('url="wss://example.com/m" statusCallback="/s"'), TWIML_SCHEMA, "must be absolute"),
        (stream('url="wss://example.com/m" track="both_tracks"'), TWIML_SCHEMA, "inbound track only"),
        (stream('url="wss://example.com/m" audioFormat="x"'), TWIML_SCHEMA, "no attribute 'audioFormat'"),
        (stream('url="ws://example.com/media"'), STREAM_SCHEME, "must be wss"),
        (stream('url="https://example.com/media"'), STREAM_SCHEME, "must be wss"),
        (stream('url="wss://example.com/media?token=1"'), STREAM_HANDSHAKE, "query string"),
        (stream('url="wss://example.com/media?"'), STREAM_HANDSHAKE, "query string"),
        (stream('url="wss://example.com/media#x"'), STREAM_URL, "fragment"),
        (stream('url="wss://user:pass@example.com/media"'), STREAM_URL, "user name"),
        (stream('url="/media"'), STREAM_URL, "not an absolute URL"),
        (stream(""), STREAM_URL, "not an absolute URL"),
        (stream(inside=f'<Parameter name="{"n" * 10}" value="{"v" * 490}"/>'), TWIML_SCHEMA, "500 characters"),
        (stream(inside='<Parameter name="a"/>'), TWIML_SCHEMA, "without name or value"),
        (stream(inside='<Parameter name="a" value="1"/>' * 2), TWIML_SCHEMA, "two <Parameter"),
        (stream(inside='<Param name="a" value="1"/>'), TWIML_SCHEMA, "cannot stand inside <Stream>"),
        ("<Redirect/>", TWIML_SCHEMA, "without a URL"),
        ("<Redirect method='post'>/x</Redirect>", TWIML_SCHEMA, "one of GET, POST"),
        ("<Redirect>ftp://example.com</Redirect>", TWIML_SCHEMA, "not an http(s) URL"),
        ("<Dial/>", TWIML_SCHEMA, "0 numbers"),
        ("<Dial><Number>+14155550123</Number><Number>+14155550124</Number></Dial>", TWIML_SCHEMA, "2 numbers"),
        ("<Dial>5550123</Dial>", DIAL_NUMBER, "not a number in E.164"),
        ("<Dial timeout='soon'>+14155550123</Dial>", TWIML_SCHEMA, "whole number from 1 to 600"),
        ("<Dial caller_id='+1'>+14155550123</Dial>", TWIML_SCHEMA, "no attribute 'caller_id'"),
        ("<Pause length='-1'/>", TWIML_SCHEMA, "whole number"),
        ("<Say/><Reject/>", TWIML_SCHEMA, "only be the first verb"),
        ("<Reject reason='bored'/>", TWIML_SCHEMA, "one of busy, rejected"),
    ],
)  # fmt: skip
def test_strictness(inside: str, code: int, what: str) -> None:
    document = read(inside)
    assert document.usable
    assert [fault for fault in document.faults if fault.code == code and what in fault.what], document.faults


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not XML"),
        ("<Response>", "not XML"),
        ("{}", "not XML"),
        ("<response/>", "root element is <response>"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><Response/>", "document type"),
        ("<Response>" + " " * 65536 + "</Response>", "bytes of TwiML"),
    ],
)
def test_what_cannot_be_read_at_all(text: str, what: str) -> None:
    document = twiml.parse(text, base_url=BASE)
    assert not document.usable
    assert document.verbs == ()
    assert document.faults[0].code == TWIML_PARSE
    assert what in document.faults[0].what


def test_a_stream_that_cannot_open_is_left_out_and_the_rest_stays() -> None:
    document = read(stream('url="ws://example.com/media"') + "<Redirect>/resume</Redirect>")
    assert document.verbs == (twiml.Redirect("https://example.com/resume"),)
