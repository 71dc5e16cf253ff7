"""Renders the speech by which the estimate of what a caller heard is measured: `tests/media_gateway/voice/spoken.json`.

    .venv/bin/python scripts/render_spoken.py

Each line in several voices of espeak-ng at several rates: when each word begins (the engine's own events), where the
sound is quiet, and how long it is, in ms. Only these times are kept, no sound.
"""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import numpy as np

from media_gateway.providers import espeak_worker, mulaw

TARGET = Path(__file__).parent.parent / "tests" / "media_gateway" / "voice" / "spoken.json"
VOICES = ((b"en-us+f2", 155), (b"en-us+m3", 175), (b"en-gb-x-rp+f4", 140))
WORD = 1
_RATE, _POSITION_CHARACTER, _UTF8 = 1, 1, 1
STEP_MS = 5
LINES = (
    "Thanks for calling, how can I help you today?",
    "I have you down for an oil change on Tuesday at nine thirty, is that right?",
    "We have openings at nine thirty, eleven fifteen, and two in the afternoon.",
    "Your appointment is confirmed for tomorrow at four fifteen in the afternoon.",
    "An oil change takes about forty five minutes and costs forty nine dollars and ninety five cents.",
    "I am sorry, I could not find a vehicle with that registration number.",
    "Could you please tell me the make, the model, and the year of your car?",
    "I can move your appointment to Thursday the twenty first at ten, if that suits you better.",
    "Sure, let me check what is available for the day after tomorrow.",
    "We are open from eight in the morning until six in the evening, Monday through Friday.",
    "The brakes need to be inspected before we can tell you what the repair will cost.",
    "If you like, I can put you through to one of my colleagues at the front desk.",
    "No problem, what day would work for you?",
    "Can I have your phone number, please?",
    "I did not catch that, could you say it once more?",
    "Let me repeat that to make sure I have it right.",
    "The total comes to one hundred and twenty dollars before tax.",
    "We will send you a reminder the day before.",
    "There is a free slot at a quarter past three on Wednesday afternoon.",
    "Is there anything else I can do for you today?",
    "Your car is ready to be picked up at any time before six.",
    "Please bring the registration and the service book.",
    "The technician noticed that the rear tires are worn and should be replaced soon.",
)


class Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class Teller(espeak_worker.Espeak):
    """Tells when each word begins: (offset in the text, ms)."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[tuple[int, int]] = []

    def speak_as(self, voice: bytes, rate: int) -> None:
        """From now on."""
        assert self._library.espeak_SetVoiceByName(voice) == 0
        self._library.espeak_SetParameter(_RATE, rate, 0)

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        super()._collect(samples, count, events)
        told = ctypes.cast(events, ctypes.POINTER(Event))
        at = 0
        while told[at].type:
            if told[at].type == WORD:
                self.words.append((told[at].text_position - 1, told[at].audio_position))
            at += 1
        return 0


def quiet_stretches(sound: bytes) -> list[tuple[int, int]]:
    """(from, to) in ms where the sound is hardly any."""
    samples = np.abs(mulaw.decode(sound).astype(np.int32))
    size = STEP_MS * 8
    steps = [bool((samples[at : at + size] > 350).mean() < 1 / 16) for at in range(0, len(samples) - size + 1, size)]
    found: list[tuple[int, int]] = []
    for n, quiet in enumerate(steps):
        if quiet and found and found[-1][1] == n * STEP_MS:
            found[-1] = (found[-1][0], (n + 1) * STEP_MS)
        elif quiet:
            found.append((n * STEP_MS, (n + 1) * STEP_MS))
    return [(since, until) for since, until in found if until - since >= 2 * STEP_MS]


def main() -> None:
    """Write them all."""
    engine, rendered = Teller(), []
    for voice, rate in VOICES:
        engine.speak_as(voice, rate)
        for text in LINES:
            engine.words = []
            sound = espeak_worker.speak(engine, text)
            rendered.append(
                {
                    "voice": f"{voice.decode()} {rate}",
                    "text": text,
                    "ms": len(sound) // 8,
                    "words": engine.words,
                    "quiet": quiet_stretches(sound),
                }
            )
    TARGET.write_text("[\n" + ",\n".join(json.dumps(one) for one in rendered) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
