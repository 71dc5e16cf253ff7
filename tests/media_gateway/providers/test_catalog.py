"""Engines by name; what cannot be served is refused, not replaced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from media_gateway.providers.catalog import build_engines, describe
from media_gateway.voice.ports import ProviderFault


@dataclass(frozen=True)
class _Settings:
    callboard_stt: str = "embedded"
    callboard_llm: str = "scripted"
    callboard_tts: str = "embedded"
    callboard_data_dir: Path = Path(".callboard")
    callboard_max_calls: int = 100
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
        (_Settings(callboard_stt="deepgram"), "CALLBOARD_STT=deepgram .*CALLBOARD_STT=embedded"),
        (_Settings(callboard_llm="openai"), "OPENAI_API_KEY is required by CALLBOARD_LLM=openai"),
        (_Settings(callboard_tts="elevenlabs"), "CALLBOARD_TTS=elevenlabs .*ELEVENLABS_API_KEY"),
        (_Settings(callboard_tts="deepgram"), "CALLBOARD_TTS=deepgram .*DEEPGRAM_API_KEY"),
    ],
)
def test_a_provider_that_was_asked_for_is_never_replaced_in_silence(settings: _Settings, named: str) -> None:
    with pytest.raises(ProviderFault, match=named):
        build_engines(settings)


def test_the_start_screen_says_what_serves_each_stage_and_what_would_change_it() -> None:
    assert describe(_Settings()) == [
        "hearing: demo (pocketsphinx) · DEEPGRAM_API_KEY will change it (not in this version yet)",
        "thinking: demo (scripted) · OPENAI_API_KEY changes it",
        "speaking: demo (espeak-ng) · DEEPGRAM_API_KEY or ELEVENLABS_API_KEY will change it (not in this version yet)",
    ]
    assert describe(_Settings(callboard_stt="deepgram"))[0] == "hearing: deepgram"


def test_openai_by_its_key() -> None:
    settings = _Settings(callboard_llm="openai", openai_api_key=SecretStr("sk-x"), openai_model_standin="gpt-5.4-mini")
    assert build_engines(settings).mind.name == "openai"
    assert describe(settings)[1] == "thinking: openai (gpt-6-luna, then gpt-5.4-mini)"
    assert "sk-x" not in str(describe(settings))
