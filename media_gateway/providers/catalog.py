"""Which engine hears, thinks and speaks: chosen by `CALLBOARD_STT`, `CALLBOARD_LLM`, `CALLBOARD_TTS`, and told to
whoever starts the gateway. A provider that was asked for is never replaced by the demo one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from pydantic import SecretStr

from media_gateway.providers.deepgram_ears import DeepgramEars, listen_model
from media_gateway.providers.deepgram_voice import DeepgramVoice
from media_gateway.providers.elevenlabs_voice import ElevenLabsVoice
from media_gateway.providers.embedded_ears import EmbeddedEars
from media_gateway.providers.embedded_voice import EmbeddedVoice
from media_gateway.providers.line_cache import LineCache
from media_gateway.providers.openai_mind import MindOptions, OpenAiMind
from media_gateway.providers.paired_voice import PairedVoice
from media_gateway.providers.scripted_mind import ScriptedMind
from media_gateway.voice.ports import Ears, Engines, Mind, ProviderFault, Voice


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
    def deepgram_api_key(self) -> SecretStr | None: ...

    @property
    def deepgram_base_url(self) -> str: ...

    @property
    def deepgram_listen(self) -> Literal["v1", "v2"]: ...

    @property
    def deepgram_listen_model(self) -> str | None: ...

    @property
    def deepgram_language(self) -> str: ...

    @property
    def deepgram_voice(self) -> str: ...

    @property
    def elevenlabs_api_key(self) -> SecretStr | None: ...

    @property
    def elevenlabs_base_url(self) -> str: ...

    @property
    def elevenlabs_voice_id(self) -> str: ...

    @property
    def elevenlabs_model(self) -> str: ...

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
    "hearing": "DEEPGRAM_API_KEY changes it",
    "thinking": "OPENAI_API_KEY changes it",
    "speaking": "DEEPGRAM_API_KEY or ELEVENLABS_API_KEY changes it",
}


def build_engines(settings: EngineSettings) -> Engines:
    """Raises ProviderFault (kind `missing`) for a provider that this version cannot serve."""
    return Engines(ears=_ears(settings), mind=_mind(settings), voice=_voice(settings))


def _ears(settings: EngineSettings) -> Ears:
    if settings.callboard_stt == "embedded":
        return EmbeddedEars(settings.callboard_data_dir / "ears")
    if not settings.deepgram_api_key:
        raise ProviderFault("deepgram", "missing", "DEEPGRAM_API_KEY is required by CALLBOARD_STT=deepgram")
    return DeepgramEars(
        settings.deepgram_api_key.get_secret_value(),
        base_url=settings.deepgram_base_url,
        api=settings.deepgram_listen,
        model=settings.deepgram_listen_model,
        language=settings.deepgram_language,
    )


def _voice(settings: EngineSettings) -> Voice:
    if settings.callboard_tts == "embedded":
        return EmbeddedVoice(lines=LineCache(settings.callboard_data_dir / "lines"))
    voices: list[Voice] = []
    for name in _voices(settings):
        key = settings.deepgram_api_key if name == "deepgram" else settings.elevenlabs_api_key
        if not key:
            raise ProviderFault(name, "missing", f"{name.upper()}_API_KEY is required by CALLBOARD_TTS={name}")
        if name == "deepgram":
            voices.append(DeepgramVoice(key.get_secret_value(), settings.deepgram_base_url, settings.deepgram_voice))
        else:
            where = (settings.elevenlabs_base_url, settings.elevenlabs_voice_id, settings.elevenlabs_model)
            voices.append(ElevenLabsVoice(key.get_secret_value(), *where))
    return PairedVoice(voices, LineCache(settings.callboard_data_dir / "lines"))


def _voices(settings: EngineSettings) -> tuple[str, ...]:
    """The first choice, and the other vendor as its stand-in if its key is there."""
    keys = {"deepgram": settings.deepgram_api_key, "elevenlabs": settings.elevenlabs_api_key}
    return (settings.callboard_tts, *(name for name in keys if name != settings.callboard_tts and keys[name]))


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


def _listening(settings: EngineSettings) -> str:
    model = listen_model(settings.deepgram_listen, settings.deepgram_listen_model, settings.deepgram_language)
    return f"deepgram listen {settings.deepgram_listen} ({model}, {settings.deepgram_language})"


def describe(settings: EngineSettings) -> list[str]:
    """A line for each stage: `hearing: demo (pocketsphinx) · DEEPGRAM_API_KEY changes it`."""
    chosen = {
        "hearing": settings.callboard_stt,
        "thinking": settings.callboard_llm,
        "speaking": settings.callboard_tts,
    }
    lines: list[str] = []
    for stage, choice in chosen.items():
        label = _LABELS.get((stage, choice))
        named = f"openai ({', then '.join(_models(settings))})" if choice == "openai" else choice
        named = _listening(settings) if stage == "hearing" else named
        named = ", then ".join(_voices(settings)) if stage == "speaking" else named
        lines.append(f"{stage}: {label} · {_KEYS[stage]}" if label else f"{stage}: {named}")
    return lines
