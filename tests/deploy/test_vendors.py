"""`wire`: both vendors are pointed here, read back, and left alone the second time. `doctor`: what it finds."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from infra.doctor import checks
from infra.doctor.report import show, verdict
from infra.gcloud.gcloud import Gcloud, Result
from infra.gcloud.place import Place, place
from infra.gcloud.vendors import ElevenLabs, Twilio, VendorFailed
from infra.gcloud.wire import WEBHOOK_SECRET, wire_elevenlabs, wire_twilio
from tests.deploy.vendors import KEY, NUMBER, SECRET, SID, TOKEN, Vendors

PLACE: Place = replace(place("demo-voice", "us-central1", "small"), number="1")


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors().serving() as serving:
        yield serving


def twilio(vendors: Vendors, **changes: str) -> Twilio:
    return Twilio(**{"account_sid": SID, "auth_token": TOKEN, "number": NUMBER, "base": vendors.url, **changes})


class Store:
    """A Secret Manager in the shape of a call of gcloud."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.argvs: list[str] = []

    def __call__(self, arguments: object, stdin: str | None, _seconds: float) -> Result:
        self.argvs.append(str(arguments))
        self.versions.append(stdin or "")
        return Result(0, json.dumps({"name": f"projects/1/secrets/x/versions/{len(self.versions)}"}), "")


def test_the_number_is_pointed_here_and_read_back(vendors: Vendors) -> None:
    told: list[str] = []
    assert len(wire_twilio(twilio(vendors), PLACE, told.append, dry_run=True)) == 5  # voice_method is right already
    assert vendors.writes == 0
    wire_twilio(twilio(vendors), PLACE, told.append, dry_run=False)
    base = "https://callboard-gateway-1.us-central1.run.app/api/v1/voice"
    assert vendors.number["voice_url"] == f"{base}/incoming"
    assert vendors.number["status_callback"] == f"{base}/status"
    assert vendors.number["voice_fallback_url"] == "https://callboard-fallback-1.us-central1.run.app"
    assert vendors.number["voice_fallback_method"] == "POST"
    assert vendors.writes == 1
    assert wire_twilio(twilio(vendors), PLACE, told.append, dry_run=False) == []
    assert vendors.writes == 1


def test_what_twilio_does_not_take_is_told(vendors: Vendors) -> None:
    with pytest.raises(VendorFailed, match="of one account"):
        twilio(vendors, auth_token="wrong").find()
    with pytest.raises(VendorFailed, match="owns no number"):
        twilio(vendors, number="+15550000000").find()
    with pytest.raises(VendorFailed, match="cannot be reached"):
        twilio(vendors, base="http://127.0.0.1:1").find()
    vendors.stubborn = True
    with pytest.raises(VendorFailed, match="shows something else"):
        twilio(vendors).wire(PLACE)
    vendors.number["voice_application_sid"] = "AP1"
    with pytest.raises(VendorFailed, match="TwiML application"):
        twilio(vendors).differences(PLACE)


def test_elevenlabs_webhook_and_its_secret(vendors: Vendors) -> None:
    store, told = Store(), []  # type: tuple[Store, list[str]]
    gcloud = Gcloud("demo-voice", store)
    vendor = ElevenLabs(api_key=KEY, base=vendors.url)
    assert not wire_elevenlabs(vendor, gcloud, PLACE, {}, told.append, dry_run=True)
    assert vendors.writes == 0
    assert wire_elevenlabs(vendor, gcloud, PLACE, {}, told.append, dry_run=False)
    (hook,) = vendors.webhooks.values()
    assert hook["webhook_url"] == "https://callboard-webhook-1.us-central1.run.app/webhooks/elevenlabs/post-call"
    assert hook["retry_enabled"] is True
    assert vendors.in_use == "wh_1"
    assert store.versions == [f"{SECRET}1"]
    assert SECRET not in " ".join([*told, *store.argvs])
    before = vendors.writes
    assert not wire_elevenlabs(vendor, gcloud, PLACE, {WEBHOOK_SECRET: "1"}, told.append, dry_run=False)
    assert vendors.writes == before
    # The secret is lost: a webhook shows it once, so there is a new one, and the old one goes.
    assert wire_elevenlabs(vendor, gcloud, PLACE, {}, told.append, dry_run=False)
    assert set(vendors.webhooks) == {"wh_2"} == {vendors.in_use}
    # The vendor has switched it off after failures.
    vendors.webhooks["wh_2"]["is_auto_disabled"] = True
    assert wire_elevenlabs(vendor, gcloud, PLACE, {WEBHOOK_SECRET: "2"}, told.append, dry_run=False)
    assert set(vendors.webhooks) == {"wh_3"}


def test_elevenlabs_says_no(vendors: Vendors) -> None:
    with pytest.raises(VendorFailed, match="ELEVENLABS_API_KEY"):
        ElevenLabs(api_key="wrong", base=vendors.url).webhooks()


# doctor


def test_a_bare_machine_is_told_what_to_do() -> None:
    found = list(checks.here({}, which=lambda _name: None))
    by_name = {one.name: one for one in found}
    assert by_name["gcloud"].state == "fail"
    assert by_name["git"].state == "warn"
    assert all(one.fix for one in found if one.state in ("fail", "warn"))
    console = Console(width=120, record=True, file=io.StringIO())
    show(console, found, online=False)
    text = console.export_text()
    assert "https://cloud.google.com/sdk/docs/install" in text
    assert "export TWILIO_AUTH_TOKEN=..." in text
    assert "`python3 run.py` works here without any of it" in text


def test_a_key_is_never_shown() -> None:
    environ = {"TWILIO_AUTH_TOKEN": "a-wrong-secret", "OPENAI_API_KEY": "sk-" + "s" * 20}
    found = list(checks.here(environ, which=lambda name: f"/bin/{name}"))
    by_name = {one.name: one for one in found}
    assert (by_name["TWILIO_AUTH_TOKEN"].state, by_name["OPENAI_API_KEY"].state) == ("fail", "ok")
    assert not any(value in str(found) for value in environ.values())
    assert "32 hex digits" in by_name["TWILIO_AUTH_TOKEN"].detail


def test_online_the_vendors_are_asked(vendors: Vendors) -> None:
    environ = {
        "TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_PHONE_NUMBER": NUMBER,
        "TWILIO_API_BASE_URL": vendors.url, "OPENAI_API_KEY": "sk-good-key-0123456789", "DEEPGRAM_API_KEY": "bad",
        "OPENAI_BASE_URL": f"{vendors.url}/v1", "DEEPGRAM_BASE_URL": vendors.url.replace("http", "ws"),
        "ELEVENLABS_API_KEY": KEY, "ELEVENLABS_BASE_URL": vendors.url,
    }  # fmt: skip
    found = {one.name: one for one in checks.vendors(environ)}
    assert {name: one.state for name, one in found.items()} == {
        "Twilio": "ok", "Deepgram": "fail", "OpenAI": "ok", "ElevenLabs": "ok",
    }  # fmt: skip
    assert vendors.writes == 0
    assert {one.state for one in checks.vendors({})} == {"skip"}


def test_ready() -> None:
    assert "Ready to deploy" in verdict(
        [checks.Finding("a", "b", "ok", "c"), checks.Finding("a", "d", "warn", "e", "f")]
    )
