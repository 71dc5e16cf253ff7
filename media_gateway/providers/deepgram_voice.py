"""Speaking with Deepgram (`speak` v1, Aura) over its WebSocket: mu-law 8 kHz as the telephone wants it, untouched."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from media_gateway.providers.deepgram_speech import NAME, DeepgramSpeech
from media_gateway.providers.speech_link import render_by_speaking, speak_over, try_door
from media_gateway.voice.ports import Speaking, Spoken

KEY_NAME = "DEEPGRAM_API_KEY"


class DeepgramVoice:
    """The port `Voice`. `base_url` is a `ws://` or `wss://` origin; `model` names the voice ("aura-2-thalia-en")."""

    name = NAME

    def __init__(self, key: str, base_url: str, model: str) -> None:
        query = urlencode({"model": model, "encoding": "mulaw", "sample_rate": "8000"})
        self._url = f"{base_url.rstrip('/')}/v1/speak?{query}"
        self._headers = {"Authorization": f"Token {key}"}
        self.fingerprint = f"{NAME} {model}"
        """What a rendered line depends on beside its text."""

    async def warm(self) -> None:
        """Is the key good, and the voice there? Raises ProviderFault."""
        await try_door(DeepgramSpeech(), self._url, self._headers, KEY_NAME)

    async def aclose(self) -> None:
        """Nothing is held between calls."""

    async def open(self, on_spoken: Callable[[Spoken], None]) -> Speaking:
        """Raises ProviderFault."""
        return await speak_over(DeepgramSpeech(), self._url, self._headers, KEY_NAME, on_spoken)

    async def render(self, text: str) -> bytes:
        """Raises ProviderFault."""
        return await render_by_speaking(self, text)
