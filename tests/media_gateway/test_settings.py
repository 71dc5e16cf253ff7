"""The environment: nothing that matters is guessed, and every mistake is named with its remedy."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from media_gateway.settings import Settings, SettingsError, load
from tests.media_gateway.harness import environ


def wrong(environment: dict[str, str]) -> dict[str, str]:
    with pytest.raises(SettingsError) as refused:
        load(environment)
    for name in refused.value.problems:
        assert f"  {name}: " in str(refused.value)
    return refused.value.problems


def test_an_empty_environment_names_everything_at_once() -> None:
    assert set(wrong({})) == {
        *("CALLBOARD_STORE", "CALLBOARD_BUS", "CALLBOARD_STT", "CALLBOARD_LLM", "CALLBOARD_TTS"),
        *("TWILIO_AUTH_TOKEN", "JWT_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD"),
    }


def test_an_empty_variable_is_an_unset_one(tmp_path: Path) -> None:
    assert set(wrong(environ(tmp_path, CALLBOARD_STT="", JWT_SECRET="  "))) == {"CALLBOARD_STT", "JWT_SECRET"}
    assert load(environ(tmp_path, PORT="", HANDOFF_NUMBER="")).port == 8080


def test_what_is_needed_is_enough(tmp_path: Path) -> None:
    settings = load(environ(tmp_path, PORT="9000", LOG_LEVEL="debug", ENABLE_WEBRTC_BROADCAST="false"))
    assert (settings.port, settings.log_level, settings.enable_webrtc_broadcast) == (9000, "DEBUG", False)
    assert settings.socket_base_url == "wss://calls.example.com"
    assert not settings.dev
    assert settings.generated == frozenset()
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PORT": "eighty"}, {"PORT"}),
        ({"CALLBOARD_STT": "whisper", "LOG_LEVEL": "loud"}, {"CALLBOARD_STT", "LOG_LEVEL"}),
        ({"CALLBOARD_STT": "deepgram"}, {"DEEPGRAM_API_KEY"}),
        ({"CALLBOARD_LLM": "openai", "CALLBOARD_TTS": "elevenlabs"}, {"OPENAI_API_KEY", "ELEVENLABS_API_KEY"}),
        ({"CALLBOARD_STORE": "firestore", "CALLBOARD_BUS": "pubsub"}, {"GOOGLE_CLOUD_PROJECT"}),
        ({"HANDOFF_NUMBER": "(555) 123-0000"}, {"HANDOFF_NUMBER"}),
        ({"JWT_SECRET": "k1:"}, {"JWT_SECRET"}),
        ({"JWT_SECRET": "k1:a,k1:b"}, {"JWT_SECRET"}),
        ({"PUBLIC_BASE_URL": "calls.example.com"}, {"PUBLIC_BASE_URL"}),
        ({"PUBLIC_BASE_URL": "https://calls.example.com/voice"}, {"PUBLIC_BASE_URL"}),
        ({"PUBLIC_BASE_URL": "https://user:pass@calls.example.com"}, {"PUBLIC_BASE_URL"}),
        ({"DEEPGRAM_BASE_URL": "https://api.deepgram.com"}, {"DEEPGRAM_BASE_URL"}),
        ({"CALLBOARD_TIMEZONE": "Mars/Olympus"}, {"CALLBOARD_TIMEZONE"}),
        ({"CALLBOARD_MAX_CALLS": "0"}, {"CALLBOARD_MAX_CALLS"}),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, changes: dict[str, str], named: set[str]) -> None:
    assert set(wrong(environ(tmp_path, **changes))) == named


def test_on_cloud_run_the_demo_engines_stop_the_start(tmp_path: Path) -> None:
    problems = wrong(environ(tmp_path, K_SERVICE="callboard", JWT_SECRET="short", PUBLIC_BASE_URL=""))
    assert set(problems) == {
        *("CALLBOARD_STORE", "CALLBOARD_BUS", "CALLBOARD_STT", "CALLBOARD_LLM", "CALLBOARD_TTS"),
        *("JWT_SECRET", "PUBLIC_BASE_URL"),
    }
    assert "refused on Cloud Run" in problems["CALLBOARD_LLM"]
    with pytest.raises(SettingsError):
        load(environ(tmp_path, K_SERVICE="callboard"), dev=True)


def test_a_media_instance_has_no_login(tmp_path: Path) -> None:
    environment = environ(tmp_path, CALLBOARD_ROLE="media")
    del environment["ADMIN_USERNAME"], environment["ADMIN_PASSWORD"]
    assert load(environment).callboard_role == "media"


def test_several_jwt_keys(tmp_path: Path) -> None:
    here = environ(tmp_path, PUBLIC_BASE_URL="")
    settings = load({**here, "JWT_SECRET": "new:n:with-colon, old:o"})
    assert settings.jwt_keys == (("new", "n:with-colon"), ("old", "o"))
    assert load({**here, "JWT_SECRET": "just-a-secret"}).jwt_keys == (("1", "just-a-secret"),)


@pytest.mark.parametrize("dev", [False, True])
def test_a_short_jwt_secret_is_for_this_machine_alone(tmp_path: Path, dev: bool) -> None:
    long = "x" * 32
    for url in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"):
        load(environ(tmp_path, PUBLIC_BASE_URL=url, JWT_SECRET="short"), dev=dev)
    for url in ("https://calls.example.com", "http://10.0.0.1:8080", "https://127.0.0.1.evil.com"):
        load(environ(tmp_path, PUBLIC_BASE_URL=url, JWT_SECRET=long), dev=dev)
        for secret in ("short", f"new:{long},old:short"):
            with pytest.raises(SettingsError) as refused:
                load(environ(tmp_path, PUBLIC_BASE_URL=url, JWT_SECRET=secret), dev=dev)
            assert set(refused.value.problems) == {"JWT_SECRET"}


def test_the_example_names_every_variable() -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
    named = {line.partition("=")[0] for line in example.splitlines() if line and not line.startswith("#")}
    platform = {"dev", "generated", "k_service"}
    assert {name.upper() for name in set(Settings.model_fields) - platform} <= named


def test_dev_makes_up_its_secrets_once(tmp_path: Path) -> None:
    environment = {"CALLBOARD_DATA_DIR": str(tmp_path / "new"), "ADMIN_USERNAME": "me"}
    first, second = load(environment, dev=True), load(environment, dev=True)
    assert first == second
    assert first.admin_username == "me"
    assert "ADMIN_USERNAME" not in first.generated
    assert {"TWILIO_AUTH_TOKEN", "JWT_SECRET", "ADMIN_PASSWORD", "ELEVENLABS_WEBHOOK_SECRET"} <= first.generated
    assert len(first.jwt_keys[0][1]) >= 32
    file = tmp_path / "new" / "dev-secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["twilio_auth_token"] == first.twilio_auth_token.get_secret_value()
    file.write_text("{damaged")
    assert load(environment, dev=True).jwt_secret != first.jwt_secret


def test_dev_chooses_by_the_key_that_is_there(tmp_path: Path) -> None:
    data = {"CALLBOARD_DATA_DIR": str(tmp_path)}

    def chosen(**keys: str) -> tuple[str, str, str, str]:
        settings = load(data | keys, dev=True)
        return settings.callboard_stt, settings.callboard_llm, settings.callboard_tts, settings.callboard_store

    assert chosen() == ("embedded", "scripted", "embedded", "embedded")
    assert chosen(DEEPGRAM_API_KEY="d", OPENAI_API_KEY="o") == ("deepgram", "openai", "deepgram", "embedded")
    assert chosen(ELEVENLABS_API_KEY="e") == ("embedded", "scripted", "elevenlabs", "embedded")
    assert chosen(DEEPGRAM_API_KEY="d", CALLBOARD_STT="embedded") == ("embedded", "scripted", "deepgram", "embedded")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="CALLBOARD_DATA_DIR"):
        load({"CALLBOARD_DATA_DIR": str(tmp_path / "file" / "data")}, dev=True)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "correct horse" not in repr(load(environ(tmp_path)))


def test_the_entry_point_says_it_in_a_few_lines() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "media_gateway"], env={"PATH": ""}, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 2
    assert "JWT_SECRET: " in answer.stderr
    assert "Traceback" not in answer.stderr


def test_where_calls_may_go(tmp_path: Path) -> None:
    assert load(environ(tmp_path)).call_countries == {"US", "CA"}
    assert load(environ(tmp_path, CALLBOARD_CALL_COUNTRIES="us, GB")).call_countries == {"US", "GB"}
    for value in ("USA", "US,XX", ","):
        with pytest.raises(SettingsError, match="CALLBOARD_CALL_COUNTRIES"):
            load(environ(tmp_path, CALLBOARD_CALL_COUNTRIES=value))
    with pytest.raises(SettingsError, match="CALLBOARD_MAX_OUTBOUND_PER_DAY"):
        load(environ(tmp_path, CALLBOARD_MAX_OUTBOUND_PER_DAY="-1"))
