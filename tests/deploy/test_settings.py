"""What the services are told on Cloud Run, held to what the gateway and the functions read: nothing that they need is
forgotten, and nothing is said that nobody hears."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from functions.reminder_settings import ReminderSettings
from functions.settings import Settings as FunctionSettings
from infra.gcloud.fit import environment, unfit
from infra.gcloud.place import Place, place
from infra.gcloud.profiles import PROFILES
from infra.gcloud.resources import FUNCTIONS, SECRETS, components
from infra.gcloud.services import Inputs, document
from media_gateway.settings import Settings, SettingsError, load

ROOT = Path(__file__).resolve().parents[2]
READ_BY_GATEWAY = {name.upper() for name in Settings.model_fields} - {"DEV", "GENERATED"}
READ_BY_FUNCTIONS = {
    name for path in (ROOT / "functions").glob("*.py")
    for name in re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', path.read_text())
}  # fmt: skip
OF_THE_PLATFORM = {"K_SERVICE", "PORT", "FUNCTION_TARGET"}
HERE_ONLY = {
    *("FUNCTIONS_PORT", "CALLBOARD_DATA_DIR"),  # one machine
    *("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "CLOUD_TASKS_BASE_URL"),  # emulators
    *("CALLBOARD_PUSH_TOKEN", "CALLBOARD_PUSH_CERTS_URL"),  # the embedded bus; Google's keys have one address
    "ELEVENLABS_PERSONALIZE_SECRET",  # the gateway only makes one up in `dev`
}
"""Read by somebody, and not for Cloud Run."""
TOLD = {"TWILIO_ACCOUNT_SID": "AC" + "1" * 32, "TWILIO_PHONE_NUMBER": "+15551230000", "HANDOFF_NUMBER": "+15559990000"}


def rendered(profile: str, told: Mapping[str, str] = TOLD) -> dict[str, dict[str, str]]:
    """The environment of each service, by component; secrets have stand-ins."""
    there: Place = replace(place("demo-voice", "us-central1", profile), number="1")
    names = {image: f"{there.repository}/{image}@sha256:{1:064d}" for image in ("gateway", "functions")}
    inputs = Inputs(images=names, versions={secret.name: "1" for secret in SECRETS}, settings=told)
    return {one.name: environment(document(there, one, inputs), {}) for one in components(there)}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_gateway_would_start(profile: str) -> None:
    found = [load(env) for env in rendered(profile).values() if "FUNCTION_TARGET" not in env]
    assert {one.callboard_role for one in found} == ({"media", "dashboard"} if profile == "prod" else {"all"})
    for one in found:
        assert (one.callboard_store, one.callboard_bus, one.handoff_number) == ("firestore", "pubsub", "+15559990000")
        if one.callboard_role != "media":
            assert one.elevenlabs_webhook_url.endswith(".run.app/webhooks/elevenlabs/post-call")
            assert one.elevenlabs_personalize_url.startswith("https://callboard-personalize-")
            assert one.callboard_audio_bucket == "demo-voice-callboard-files"


def test_every_function_would_start() -> None:
    for name, env in rendered("small").items():
        if "FUNCTION_TARGET" not in env:
            continue
        settings = FunctionSettings.of(env)
        settings.require("CALLBOARD_STORE", settings.store, "firestore")
        settings.require("CALLBOARD_BUS", settings.bus, "pubsub")
        if name == "apply":
            assert settings.push_audience
            assert settings.push_account
        if name in ("webhook", "apply", "reconcile"):
            assert settings.audio_bucket
        if name == "reminders":
            assert ReminderSettings.of(env).queue
        needs = {"webhook": "ELEVENLABS_WEBHOOK_SECRET", "personalize": "ELEVENLABS_PERSONALIZE_SECRET",
                 "fallback": "TWILIO_AUTH_TOKEN", "reconcile": "ELEVENLABS_API_KEY"}  # fmt: skip
        assert name not in needs or needs[name] in env


def test_whatever_the_gateway_reads_can_be_told() -> None:
    """A setting that nobody could set on Cloud Run is one that was forgotten here."""
    gateway = components(place("demo-voice", "us-central1", "small"))[0]
    said = set(rendered("small", {})[gateway.name])
    assert said | set(gateway.settings) >= READ_BY_GATEWAY - HERE_ONLY - OF_THE_PLATFORM
    assert not set(gateway.settings) & HERE_ONLY


def test_whatever_a_function_reads_can_be_told() -> None:
    said = {name for env in rendered("small", {}).values() if "FUNCTION_TARGET" in env for name in env}
    said |= {name for one in FUNCTIONS for name in one.settings}
    assert said >= READ_BY_FUNCTIONS - (HERE_ONLY - {"ELEVENLABS_PERSONALIZE_SECRET"})
    assert len(READ_BY_FUNCTIONS) > 20


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_is_said_that_nobody_reads(profile: str) -> None:
    for name, env in rendered(profile).items():
        known = READ_BY_FUNCTIONS if "FUNCTION_TARGET" in env else READ_BY_GATEWAY
        assert set(env) <= known | OF_THE_PLATFORM, name
    for one in components(place("demo-voice", "us-central1", profile)):
        assert set(one.settings) <= (READ_BY_GATEWAY if one.image == "gateway" else READ_BY_FUNCTIONS), one.name


def test_the_list_to_copy_from_is_whole() -> None:
    """.env.example names every variable that is read, and none that is not."""
    listed = set(re.findall(r"^([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    inside = {"K_SERVICE", "FUNCTION_TARGET", "CALLBOARD_PUSH_TOKEN", "CALLBOARD_PUSH_CERTS_URL"}
    assert listed == (READ_BY_GATEWAY | READ_BY_FUNCTIONS) - inside  # set by Google, by `dev`, by tests


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"HANDOFF_NUMBER": "555"}, "HANDOFF_NUMBER"),
        ({"CALLBOARD_TIMEZONE": "Mars/Base"}, "CALLBOARD_TIMEZONE"),
        ({"CALLBOARD_RETENTION_DAYS": "soon"}, "CALLBOARD_RETENTION_DAYS"),
        ({"CALLBOARD_LLM": "scripted"}, "CALLBOARD_LLM"),
        ({"DEEPGRAM_LISTEN": "v7"}, "DEEPGRAM_LISTEN"),
    ],
)
def test_what_the_gateway_would_not_start_with_is_told_before_anything_is_made(
    told: Mapping[str, str], named: str
) -> None:
    there = replace(place("demo-voice", "us-central1", "small"), number="1")
    names = dict.fromkeys(("gateway", "functions"), f"x@sha256:{1:064d}")
    versions = {secret.name: "1" for secret in SECRETS}
    inputs = Inputs(images=names, versions=versions, settings={**TOLD, **told})
    documents = [document(there, one, inputs) for one in components(there)]
    assert set(unfit(documents, {})) == {named}
    assert set(unfit(documents, {"JWT_SECRET": "short"})) == {named, "JWT_SECRET"}


def test_a_variable_too_few_would_be_noticed() -> None:
    env = rendered("small")["gateway"]
    del env["CALLBOARD_TTS"]
    with pytest.raises(SettingsError, match="CALLBOARD_TTS"):
        load(env)
