"""What a call that we place costs, about, in US dollars: list prices of the United States and Canada, November 2026.

Without the language model (its price is its vendor's and its length's). Others differ; what you really pay is on the
bill.
"""

from __future__ import annotations

from media_gateway.voice.prices import HEARING, MACHINE_DETECTION, OUTBOUND, SPEAKING, STREAM

MINUTES = 2
CHARACTERS = 450
"""Spoken in a minute."""


def call_price(stt: str, tts: str) -> dict[str, float]:
    """Of a call of `MINUTES`, by what is paid for; `stt` and `tts` as CALLBOARD_STT and CALLBOARD_TTS have them."""
    minute = {
        "twilio": OUTBOUND,
        "media_stream": STREAM,
        "stt": HEARING.get(stt, 0.0),
        "tts": SPEAKING.get(tts, 0.0) * CHARACTERS / 1_000,
    }
    parts = {name: price * MINUTES for name, price in minute.items()} | {"machine_detection": MACHINE_DETECTION}
    return {name: round(price, 4) for name, price in parts.items()}
