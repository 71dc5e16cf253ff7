"""Renders the speech by which the estimate of what a caller heard is measured: `tests/media_gateway/voice/spoken.json`,
and `spoken_held_out.json`: other sentences in other voices, by which nothing may be tuned.

    .venv/bin/python -m scripts.render_spoken

Each line in several voices of espeak-ng at several rates: when each word begins (the engine's own events), where the
sound is quiet, and how long it is, in ms. Only these times are kept, no sound.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from media_gateway.providers import espeak_worker, mulaw

TARGET = Path(__file__).parent.parent / "tests" / "media_gateway" / "voice"
VOICES = ((b"en-us+f2", 155), (b"en-us+m3", 175), (b"en-gb-x-rp+f4", 140))
OTHERS = ((b"en-us+f4", 165), (b"en-gb-x-gbclan+m1", 150), (b"en-gb-scotland+m7", 180), (b"en-us+f5", 135))
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
HELD_OUT = (
    "Good morning, this is the dental practice of Doctor Reynolds, what can I do for you?",
    "The earliest cleaning we can offer is next Monday at a quarter to eight.",
    "Would you prefer to see the hygienist, or should I look for a slot with the dentist?",
    "Your insurance covers two visits a year, and you have used one of them.",
    "Before we go on, may I have your date of birth?",
    "Thank you, I found your file.",
    "It looks like your last visit was in February, and a filling was recommended.",
    "That will take roughly an hour and a half, including the numbing.",
    "Please do not eat anything for two hours before the treatment.",
    "The package left our warehouse last night and should arrive by Friday.",
    "I see two orders under your name; which one are you asking about?",
    "The blue jacket is out of stock, but we expect more at the end of the month.",
    "You can return it within thirty days, as long as the label is still attached.",
    "Refunds usually show up on your statement after three to five business days.",
    "Could you spell your last name for me, one letter at a time?",
    "I am transferring you now, please stay on the line.",
    "All of our agents are busy at the moment, so I will take a message.",
    "Your table for six is reserved for Saturday evening at half past seven, on the terrace.",
    "Are there any allergies that the kitchen should know about?",
    "The kitchen closes at ten, but the bar stays open until midnight.",
    "We charge fifteen dollars for each guest who does not show up.",
    "Take the second exit at the roundabout, then turn left behind the church.",
    "There is parking behind the building, and it is free after six.",
    "Room service is available around the clock.",
    "Your room has a balcony, a desk, and a view of the harbor.",
    "Checking out is at eleven, though we can keep your luggage until the evening.",
    "Due to the storm, your flight to Denver has been delayed by about fifty minutes.",
    "I have put you on the next connection, which leaves from gate twenty three.",
    "Do you want an aisle seat or a window seat?",
    "The plumber is on his way and will ring the bell twice.",
    "Turn off the main valve first; it is usually in the basement, close to the meter.",
    "If the water keeps running, call us back right away.",
    "Someone from the office will get in touch with you by the end of the week.",
    "The lease runs for twelve months, and the deposit equals two rents.",
    "Pets are allowed, except for large dogs.",
    "We received your application, and it is being reviewed.",
    "According to our records, the invoice from September has not been paid yet.",
    "You can pay by card, by check, or in cash at the counter.",
    "Your prescription is ready, and the pharmacist would like a word with you.",
    "Take one tablet in the morning and another before you go to bed.",
    "Okay, so that is four large pizzas, two salads, and a bottle of sparkling water.",
    "Delivery takes thirty minutes, maybe a little longer because of the rain.",
    "What is the name of the street, and on which floor do you live?",
    "Wonderful, everything is set, and you will get a text message in a minute.",
    "Sorry, the connection is rather bad, could you repeat the last part?",
    "The driver reports that the trailer is sealed and the temperature is steady.",
    "Unfortunately the loading dock is closed today, so please come back tomorrow before noon.",
    "Your reference number is seven four one, nine zero eight.",
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


def render(engine: Teller, voices: Iterable[tuple[bytes, int]], lines: Iterable[str]) -> list[dict[str, object]]:
    """Each line in each of these voices."""
    rendered: list[dict[str, object]] = []
    for voice, rate in voices:
        engine.speak_as(voice, rate)
        for text in lines:
            engine.words = []
            sound = espeak_worker.speak(engine, text)
            ms, quiet = len(sound) // 8, quiet_stretches(sound)
            if quiet and quiet[-1][1] > ms - STEP_MS:  # what is left of the last step is quiet too
                quiet[-1] = (quiet[-1][0], ms)
            name = f"{voice.decode()} {rate}"
            rendered.append({"voice": name, "text": text, "ms": ms, "words": engine.words, "quiet": quiet})
    return rendered


def main() -> None:
    """Write them all."""
    engine = Teller()
    files = (("spoken.json", VOICES, LINES), ("spoken_held_out.json", OTHERS, HELD_OUT))
    for name, voices, lines in files:
        spoken = render(engine, voices, tuple(lines))
        (TARGET / name).write_text("[\n" + ",\n".join(json.dumps(one) for one in spoken) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
