"""Which engine hears, thinks and speaks: chosen by `CALLBOARD_STT`, `CALLBOARD_LLM`, `CALLBOARD_TTS`, and told to
whoever starts the gateway. A provider that was asked for is never replaced by the demo one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from media_gateway.providers.embedded_ears import EmbeddedEars
from media_gateway.providers.embedded_voice import EmbeddedVoice
from media_gateway.providers.scripted_mind import ScriptedMind
from media_gateway.voice.ports import Engines, ProviderFault


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


_LABELS = {
    ("hearing", "embedded"): "demo (pocketsphinx)",
    ("thinking", "scripted"): "demo (scripted)",
    ("speaking", "embedded"): "demo (espeak-ng)",
}
_KEYS = {
    "hearing": "DEEPGRAM_API_KEY will change it (not in this version yet)",
    "thinking": "OPENAI_API_KEY will change it (not in this version yet)",
    "speaking": "DEEPGRAM_API_KEY or ELEVENLABS_API_KEY will change it (not in this version yet)",
}


def build_engines(settings: EngineSettings) -> Engines:
    """Raises ProviderFault (kind `missing`) for a provider that this version cannot serve."""
    if settings.callboard_stt != "embedded":
        raise _not_built("CALLBOARD_STT", settings.callboard_stt, "embedded", "DEEPGRAM_API_KEY")
    if settings.callboard_llm != "scripted":
        raise _not_built("CALLBOARD_LLM", settings.callboard_llm, "scripted", "OPENAI_API_KEY")
    if settings.callboard_tts != "embedded":
        key = "ELEVENLABS_API_KEY" if settings.callboard_tts == "elevenlabs" else "DEEPGRAM_API_KEY"
        raise _not_built("CALLBOARD_TTS", settings.callboard_tts, "embedded", key)
    ears = EmbeddedEars(settings.callboard_data_dir / "ears")
    return Engines(ears=ears, mind=ScriptedMind(), voice=EmbeddedVoice())


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
        lines.append(f"{stage}: {label} · {_KEYS[stage]}" if label else f"{stage}: {choice}")
    return lines


def _not_built(variable: str, choice: str, demo: str, key: str) -> ProviderFault:
    remedy = f"{variable}={choice} cannot be served by this version yet; set {variable}={demo}"
    return ProviderFault(choice, "missing", f"{remedy} (in dev, {key} alone selects {choice})")
