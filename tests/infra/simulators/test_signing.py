from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from infra.simulators.signing import sign

TOKEN = "12345678901234567890123456789012"
NAMES = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=12)
VALUES = st.text(st.characters(codec="utf-8"), max_size=30)
URLS = (
    "https://example.com/api/v1/voice/incoming",
    "https://example.com/api/v1/voice/incoming?a=1&b=two%20words",
    "http://127.0.0.1:8080/api/v1/voice/incoming",
    "wss://example.com/api/v1/voice/media-stream",
    "ws://127.0.0.1:8080/api/v1/voice/media-stream",
    "wss://example.com/api/v1/voice/media-stream/",
)


@given(st.sampled_from(URLS), st.dictionaries(NAMES, VALUES, max_size=8))
def test_twilios_own_validator_agrees(url: str, form: dict[str, str]) -> None:
    assert RequestValidator(TOKEN).validate(url, form, sign(TOKEN, url, form))


def test_a_known_signature() -> None:
    """The example in Twilio's security documentation."""
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    assert sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("token", "url", "form"),
    [
        ("another", URLS[0], {"From": "+1"}),
        (TOKEN, URLS[0] + "/", {"From": "+1"}),
        (TOKEN, URLS[0].replace("https", "http"), {"From": "+1"}),
        (TOKEN, URLS[0], {"From": "+2"}),
        (TOKEN, URLS[0], {"From": "+1", "Extra": "x"}),
    ],
)
def test_any_difference_shows(token: str, url: str, form: dict[str, str]) -> None:
    assert not RequestValidator(TOKEN).validate(URLS[0], {"From": "+1"}, sign(token, url, form))
