"""What a call that we place costs, about, in US dollars: list prices of the United States and Canada, November 2026.

Without the language model (its price is its vendor's and its length's). Others differ; what you really pay is on the
bill.
"""

from __future__ import annotations

MINUTES = 2
PER_MINUTE = {"twilio": 0.014, "media_stream": 0.004}
PER_CALL = {"machine_detection": 0.0075}
STT_PER_MINUTE = {"deepgram": 0.0077}
TTS_PER_MINUTE = {"deepgram": 0.0135, "elevenlabs": 0.0225}
"""For 450 characters spoken in a minute."""


def call_price(stt: str, tts: str) -> dict[str, float]:
    """Of a call of `MINUTES`, by what is paid for; `stt` and `tts` as CALLBOARD_STT and CALLBOARD_TTS have them."""
    parts = {name: price * MINUTES for name, price in PER_MINUTE.items()} | PER_CALL
    parts["stt"] = STT_PER_MINUTE.get(stt, 0.0) * MINUTES
    parts["tts"] = TTS_PER_MINUTE.get(tts, 0.0) * MINUTES
    return {name: round(price, 4) for name, price in parts.items()}
