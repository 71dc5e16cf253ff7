"""Which engine hears, thinks and speaks: chosen by `CALLBOARD_STT`, `CALLBOARD_LLM`, `CALLBOARD_TTS`, and told to
whoever starts the gateway. A provider that was asked for is never replaced by the demo one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from media_gateway.providers.embedded_ears import EmbeddedEars
from media_gateway.providers.embedded_voice import EmbeddedVoice
from media_gateway.providers.openai_mind import MindOptions, OpenAiMind
from media_gateway.providers.scripted_mind import ScriptedMind
from media_gateway.voice.ports import Engines, Mind, ProviderFault


class EngineSettings(Protocol):
    """The part of the settings that chooses."""

    @property
    def callboard_stt(self) -> str: ...

    @property
    def callboard_llm(self) -> str: ...

    @property
    def callboard_tts(self) -> str: ...

    @property
    def callboard_data_dir(self) -> Path: ...

    @property
    def callboard_max_calls(self) -> int: ...

    @property
    def openai_api_key(self) -> SecretStr | None: ...

    @property
    def openai_base_url(self) -> str: ...

    @property
    def openai_model(self) -> str: ...

    @property
    def openai_model_standin(self) -> str | None: ...

    @property
    def openai_reasoning_effort(self) -> str: ...


_LABELS = {
    ("hearing", "embedded"): "demo (pocketsphinx)",
    ("thinking", "scripted"): "demo (scripted)",
    ("speaking", "embedded"): "demo (espeak-ng)",
}
_KEYS = {
    "hearing": "DEEPGRAM_API_KEY will change it (not in this version yet)",
    "thinking": "OPENAI_API_KEY changes it",
    "speaking": "DEEPGRAM_API_KEY or ELEVENLABS_API_KEY will change it (not in this version yet)",
}


def build_engines(settings: EngineSettings) -> Engines:
    """Raises ProviderFault (kind `missing`) for a provider that this version cannot serve."""
    if settings.callboard_stt != "embedded":
        raise _not_built("CALLBOARD_STT", settings.callboard_stt, "embedded", "DEEPGRAM_API_KEY")
    if settings.callboard_tts != "embedded":
        key = "ELEVENLABS_API_KEY" if settings.callboard_tts == "elevenlabs" else "DEEPGRAM_API_KEY"
        raise _not_built("CALLBOARD_TTS", settings.callboard_tts, "embedded", key)
    ears = EmbeddedEars(settings.callboard_data_dir / "ears")
    return Engines(ears=ears, mind=_mind(settings), voice=EmbeddedVoice())


def _mind(settings: EngineSettings) -> Mind:
    if settings.callboard_llm == "scripted":
        return ScriptedMind()
    if not settings.openai_api_key:
        raise ProviderFault("openai", "missing", "OPENAI_API_KEY is required by CALLBOARD_LLM=openai")
    effort = settings.openai_reasoning_effort
    options = MindOptions(
        api_key=settings.openai_api_key.get_secret_value(),
        base_url=settings.openai_base_url,
        models=_models(settings),
        effort="" if effort == "model" else effort,
        most_connections=2 * settings.callboard_max_calls,  # a turn that was cut may still be closing its own
    )
    return OpenAiMind(options)


def _models(settings: EngineSettings) -> tuple[str, ...]:
    """The first choice, and its stand-in if there is one."""
    return tuple(dict.fromkeys(filter(None, (settings.openai_model, settings.openai_model_standin))))


def describe(settings: EngineSettings) -> list[str]:
    """A line for each stage: `hearing: demo (pocketsphinx) · DEEPGRAM_API_KEY will change it ...`."""
    chosen = {
        "hearing": settings.callboard_stt,
        "thinking": settings.callboard_llm,
        "speaking": settings.callboard_tts,
    }
    lines: list[str] = []
    for stage, choice in chosen.items():
        label = _LABELS.get((stage, choice))
        named = f"openai ({', then '.join(_models(settings))})" if choice == "openai" else choice
        lines.append(f"{stage}: {label} · {_KEYS[stage]}" if label else f"{stage}: {named}")
    return lines


def _not_built(variable: str, choice: str, demo: str, key: str) -> ProviderFault:
    remedy = f"{variable}={choice} cannot be served by this version yet; set {variable}={demo}"
    return ProviderFault(choice, "missing", f"{remedy} (in dev, {key} alone selects {choice})")
