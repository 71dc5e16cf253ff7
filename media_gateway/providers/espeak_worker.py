"""The demo voice's process: text in, mu-law out. The only place that loads espeak-ng (GPL-3.0-or-later), which is why
it is a program of its own at the end of a pipe.

In: JSON `{id, text}`. Out: AUDIO (4 bytes of id, then mu-law at 8 kHz) any number of times, then JSON `{event: end,
id}`; or JSON `{event: fault, detail}`. The functions are those of espeak-ng's speak_lib.h, version 1.52.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any, BinaryIO

import espeakng_loader
import numpy as np

from media_gateway.providers import mulaw
from media_gateway.providers.pipe import Kind, pack, pack_json, read_message

VOICE = b"en-us+f2"
WORDS_A_MINUTE = 155
_OUTPUT_SYNCHRONOUS = 2
_PARAMETER_RATE = 1
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1
_CHUNK = 1600
_GAIN = 0.8
_SEED = 1
"""Of the breath noise: the same words are the same bytes, so that a restarted process can go on in mid-clause."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakError(Exception):
    """espeak-ng refused; the text says which call."""


class Espeak:
    """The library, loaded once. `say` returns linear samples at `rate`."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        self._pieces: list[mulaw.Pcm] = []
        self._callback = _Callback(self._collect)
        data = os.fsencode(espeakng_loader.get_data_path())
        self.rate: int = self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data, 0)
        if self.rate <= 0:
            raise EspeakError("espeak_Initialize failed: its voice data cannot be read")
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(VOICE):
            raise EspeakError(f"espeak_SetVoiceByName failed: no voice {VOICE.decode()}")
        self._library.espeak_SetParameter(_PARAMETER_RATE, WORDS_A_MINUTE, 0)

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        return 0

    def say(self, text: str) -> mulaw.Pcm:
        """Raises EspeakError."""
        self._pieces = []
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        encoded = text.encode()
        size = ctypes.c_size_t(len(encoded) + 1)
        if self._library.espeak_Synth(encoded, size, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None):
            raise EspeakError("espeak_Synth failed")
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, dtype=np.int16)


def speak(engine: Espeak, text: str) -> bytes:
    """`text` as mu-law at 8 kHz."""
    wave = engine.say(text).astype(np.float64) * _GAIN
    return mulaw.encode(mulaw.to_pcm(mulaw.resample(wave, engine.rate)))


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Until the gateway closes the pipe."""
    engine = Espeak()
    while message := read_message(source):
        wanted = json.loads(message[1])
        number = int(wanted["id"])
        sound = speak(engine, wanted["text"])
        for start in range(0, len(sound), _CHUNK):
            sink.write(pack(Kind.AUDIO, number.to_bytes(4, "big") + sound[start : start + _CHUNK]))
        sink.write(pack_json({"event": "end", "id": number}))
        sink.flush()


def main() -> None:
    """The gateway ends this process by closing its pipe; Ctrl-C is the gateway's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except EspeakError as error:
        sys.stdout.buffer.write(pack_json({"event": "fault", "detail": str(error)}))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
