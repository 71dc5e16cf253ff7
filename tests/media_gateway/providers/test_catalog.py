"""Engines by name; what cannot be served is refused, not replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from media_gateway.providers.catalog import build_engines, describe
from media_gateway.voice.ports import ProviderFault, Several


@dataclass(frozen=True)
class _Settings:
    callboard_stt: str = "embedded"
    callboard_llm: str = "scripted"
    callboard_tts: str = "embedded"
    callboard_data_dir: Path = Path(".callboard")
    callboard_max_calls: int = 100
    deepgram_api_key: SecretStr | None = None
    deepgram_base_url: str = "wss://api.deepgram.com"
    deepgram_listen: Literal["v1", "v2"] = "v1"
    deepgram_listen_model: str | None = None
    deepgram_language: str = "en"
    deepgram_voice: str = "aura-2-thalia-en"
    elevenlabs_api_key: SecretStr | None = None
    elevenlabs_base_url: str = "https://api.elevenlabs.io"
    elevenlabs_voice_id: str = "abc"
    elevenlabs_model: str = "eleven_flash_v2_5"
    openai_api_key: SecretStr | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str = "gpt-6-luna"
    openai_model_standin: str | None = None
    openai_reasoning_effort: str = "none"


def test_the_keyless_engines() -> None:
    engines = build_engines(_Settings())
    assert (engines.ears.name, engines.mind.name, engines.voice.name) == ("pocketsphinx", "scripted", "espeak-ng")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (_Settings(callboard_stt="deepgram"), "DEEPGRAM_API_KEY is required by CALLBOARD_STT=deepgram"),
        (_Settings(callboard_llm="openai"), "OPENAI_API_KEY is required by CALLBOARD_LLM=openai"),
        (_Settings(callboard_tts="elevenlabs"), "ELEVENLABS_API_KEY is required by CALLBOARD_TTS=elevenlabs"),
        (_Settings(callboard_tts="deepgram"), "DEEPGRAM_API_KEY is required by CALLBOARD_TTS=deepgram"),
    ],
)
def test_a_provider_that_was_asked_for_is_never_replaced_in_silence(settings: _Settings, named: str) -> None:
    with pytest.raises(ProviderFault, match=named):
        build_engines(settings)


def test_the_start_screen_says_what_serves_each_stage_and_what_would_change_it() -> None:
    assert describe(_Settings()) == [
        "hearing: demo (pocketsphinx) · DEEPGRAM_API_KEY changes it",
        "thinking: demo (scripted) · OPENAI_API_KEY changes it",
        "speaking: demo (espeak-ng) · DEEPGRAM_API_KEY or ELEVENLABS_API_KEY changes it",
    ]


def test_deepgram_hears_by_its_key() -> None:
    english = _Settings(callboard_stt="deepgram", deepgram_api_key=SecretStr("dg-x"))
    assert build_engines(english).ears.name == "deepgram"
    assert describe(english)[0] == "hearing: deepgram listen v1 (nova-3, en)"
    spanish = replace(english, deepgram_listen="v2", deepgram_language="es")
    assert describe(spanish)[0] == "hearing: deepgram listen v2 (flux-general-multi, es)"


def test_openai_by_its_key() -> None:
    settings = _Settings(callboard_llm="openai", openai_api_key=SecretStr("sk-x"), openai_model_standin="gpt-5.4-mini")
    assert build_engines(settings).mind.name == "openai"
    assert describe(settings)[1] == "thinking: openai (gpt-6-luna, then gpt-5.4-mini)"
    assert "sk-x" not in str(describe(settings))


KEYS = {"deepgram_api_key": SecretStr("dg-x"), "elevenlabs_api_key": SecretStr("el-x")}


@pytest.mark.parametrize(("first", "second"), [("deepgram", "elevenlabs"), ("elevenlabs", "deepgram")])
def test_the_other_voice_stands_in_when_its_key_is_there(first: str, second: str) -> None:
    alone = _Settings(callboard_tts=first, **{f"{first}_api_key": SecretStr("x")})  # type: ignore[arg-type]
    assert describe(alone)[2] == f"speaking: {first}"
    both = _Settings(callboard_tts=first, **KEYS)  # type: ignore[arg-type]
    assert describe(both)[2] == f"speaking: {first}, then {second}"
    voice = build_engines(both).voice
    assert isinstance(voice, Several)
    assert voice.without(first).name == second
    assert voice.without(second).name == first
