"""What the page says about this installation: which engine serves each stage, and what would change it. Pure."""

from __future__ import annotations

from typing import Any

from media_gateway.settings import Settings

_NAMES = {
    ("hearing", "embedded"): "pocketsphinx",
    ("hearing", "deepgram"): "Deepgram",
    ("thinking", "scripted"): "scripted",
    ("thinking", "openai"): "OpenAI",
    ("speaking", "embedded"): "espeak-ng",
    ("speaking", "deepgram"): "Deepgram",
    ("speaking", "elevenlabs"): "ElevenLabs",
}
_UNLOCK = {
    "hearing": "DEEPGRAM_API_KEY",
    "thinking": "OPENAI_API_KEY",
    "speaking": "DEEPGRAM_API_KEY or ELEVENLABS_API_KEY",
}


def about(settings: Settings, *, demo: bool) -> dict[str, Any]:
    """`{engines: [{stage, name, demo, unlock}], store, bus, demo, base_url}`; `unlock` is the variable that brings the
    real engine, null where it is real already. `demo`: demo calls can be placed."""
    chosen = {
        "hearing": settings.callboard_stt,
        "thinking": settings.callboard_llm,
        "speaking": settings.callboard_tts,
    }
    engines = []
    for stage, choice in chosen.items():
        is_demo = choice in ("embedded", "scripted")
        unlock = _UNLOCK[stage] if is_demo else None
        engines.append({"stage": stage, "name": _NAMES[stage, choice], "demo": is_demo, "unlock": unlock})
    return {
        "engines": engines,
        "store": settings.callboard_store,
        "bus": settings.callboard_bus,
        "demo": demo,
        "base_url": settings.base_url,
    }
