"""Speaking with ElevenLabs: the multi-context WebSocket for conversations, REST for lines that are rendered ahead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote, urlencode

import httpx2

from media_gateway.providers.elevenlabs_speech import INACTIVITY_S, NAME, ElevenLabsSpeech
from media_gateway.providers.speech_link import RENDER_S, refused, speak_over, try_door
from media_gateway.voice.ports import ProviderFault, Speaking, Spoken

KEY_NAME = "ELEVENLABS_API_KEY"
_FORMAT = "ulaw_8000"


class ElevenLabsVoice:
    """The port `Voice`. `base_url` is an `http://` or `https://` origin."""

    name = NAME

    def __init__(self, key: str, base_url: str, voice_id: str, model: str) -> None:
        origin, path = base_url.rstrip("/"), f"/v1/text-to-speech/{quote(voice_id, safe='')}"
        query = {
            "model_id": model,
            "output_format": _FORMAT,
            "auto_mode": "true",
            "sync_alignment": "true",
            "apply_text_normalization": "off",  # the text is spoken form already, and alignment is to count in it
            "inactivity_timeout": str(INACTIVITY_S),
        }
        self._socket_url = f"{origin.replace('http', 'ws', 1)}{path}/multi-stream-input?{urlencode(query)}"
        self._rest_url = f"{origin}{path}?{urlencode({'output_format': _FORMAT})}"
        self._headers = {"xi-api-key": key}
        self._model = model
        self.fingerprint = f"{NAME} {voice_id} {model}"
        """What a rendered line depends on beside its text."""

    async def warm(self) -> None:
        """Is the key good, and the voice there? Raises ProviderFault."""
        await try_door(ElevenLabsSpeech(), self._socket_url, self._headers, KEY_NAME)

    async def aclose(self) -> None:
        """Nothing is held between calls."""

    async def open(self, on_spoken: Callable[[Spoken], None]) -> Speaking:
        """Raises ProviderFault."""
        return await speak_over(ElevenLabsSpeech(), self._socket_url, self._headers, KEY_NAME, on_spoken)

    async def render(self, text: str) -> bytes:
        """Raises ProviderFault."""
        try:
            async with asyncio.timeout(RENDER_S), httpx2.AsyncClient(timeout=RENDER_S) as client:
                body = {"text": text, "model_id": self._model}
                answer = await client.post(self._rest_url, json=body, headers=self._headers)
        except TimeoutError as late:
            raise ProviderFault(NAME, "timeout", "nothing was rendered") from late
        except httpx2.TimeoutException as late:
            raise ProviderFault(NAME, "timeout", "nothing was rendered") from late
        except httpx2.HTTPError as problem:
            raise ProviderFault(NAME, "refused", type(problem).__name__) from problem
        if answer.status_code != 200:
            raise refused(NAME, answer.status_code, KEY_NAME)
        sound = answer.content
        if not sound or answer.headers.get("content-type", "").startswith(("text/", "application/json")):
            raise ProviderFault(NAME, "broken", "an answer without sound")
        return sound
