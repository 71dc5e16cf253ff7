"""Who is answered when the gateway is not: a caller of Twilio's, and nobody else."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from twilio.request_validator import RequestValidator
from werkzeug.test import Client, TestResponse

from tests.functions.apps import app_of

TOKEN = "a-twilio-auth-token"
BASE = "https://callboard-fallback-1.us-central1.run.app"
FORM = {"CallSid": "CA1", "From": "+15550001111", "FromCity": "", "ErrorCode": "11200"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("PUBLIC_BASE_URL", BASE)
    monkeypatch.setenv("HANDOFF_NUMBER", "+15559990000")
    return app_of("voice_fallback").test_client()


def ask(client: Client, path: str = "/", *, token: str = TOKEN, form: dict[str, str] | None = None) -> TestResponse:
    signature = RequestValidator(token).compute_signature(BASE + path, FORM)
    return client.post(path, data=form or FORM, headers={"X-Twilio-Signature": signature})


@pytest.mark.parametrize("path", ["/", "/voice", "/voice?a=1"])
def test_the_caller_is_joined_with_a_person(client: Client, path: str) -> None:
    answer = ask(client, path)
    assert (answer.status_code, answer.content_type.split(";")[0]) == (200, "text/xml")
    verbs = [(verb.tag, verb.text) for verb in ET.fromstring(answer.text)]
    assert [tag for tag, _ in verbs] == ["Say", "Dial", "Say", "Hangup"]
    assert verbs[1][1] == "+15559990000"


def test_without_a_person_it_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDOFF_NUMBER")
    assert [verb.tag for verb in ET.fromstring(ask(client).text)] == ["Say", "Hangup"]


def test_nobody_else_is_answered(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(client, token="another").status_code == 403
    assert ask(client, form={**FORM, "From": "+15550002222"}).status_code == 403
    assert client.post("/", data=FORM).status_code == 403
    assert client.get("/").status_code == 405
    assert client.post("/", data=b"\xff=1").status_code == 400
    assert client.post("/", data=b"x" * 70_000).status_code == 413
    for name in ("TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL"):
        with monkeypatch.context() as without:
            without.setenv(name, "")
            assert ask(client).status_code == 403
