"""The sound of a call of our own, as files: parts of some seconds each, `recording/{call}-{start}-{bytes}.ulaw`.

A part holds mu-law at 8,000 Hz in two channels, a byte each in turn: the caller, then the assistant. `start` counts
samples from the moment that the head names (`metadata.recording.began`), so that parts of several instances, and holes
where a part was lost, fall into their places. Names tell all there is to know: a recording is put together from them
without another file, and a crash leaves what was written.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realtime.blobs import Blobs, blob_name
from realtime.call import Call

KEY = "recording"
"""Of `Call.metadata`: `{began: ISO 8601, ms: of sound so far}`."""
RATE, CHANNELS = 8_000, 2
SILENCE = b"\xff"
CONTENT_TYPE = "audio/basic"
LONGEST = 5 * 3_600 * RATE
"""Samples; what claims to lie beyond is none of ours."""
_PIECE = 1 << 16
_PART = re.compile(r"-(\d{9})-(\d{7})\.ulaw")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """`start` in samples, `size` in bytes (two a sample)."""

    start: int
    size: int
    name: str

    @property
    def end(self) -> int:
        """The sample behind it."""
        return self.start + self.size // CHANNELS


def part_name(call_id: str, start: int, size: int) -> str:
    """Where this part lies."""
    return f"{_stem(call_id)}{start:09d}-{size:07d}.ulaw"


def parts(blobs: Blobs, call_id: str) -> list[Part]:
    """What there is of this call, in order. Blocking. Raises BlobsUnavailable."""
    stem, found = _stem(call_id), []
    for name in blobs.names(stem):
        fits = _PART.fullmatch(name[len(stem) - 1 :])
        if fits and int(fits[1]) < LONGEST:
            found.append(Part(int(fits[1]), int(fits[2]), name))
    return sorted(found)


def pointer(call: Call) -> Mapping[str, Any] | None:
    """What the head says of its recording; None where there is none."""
    found = call.metadata.get(KEY)
    return found if isinstance(found, Mapping) else None


def length(found: Sequence[Part]) -> int:
    """Bytes of the WAV that these parts make."""
    return len(_header(0)) + CHANNELS * max((part.end for part in found), default=0)


def wav(found: Sequence[Part], get: Callable[[str], bytes]) -> Iterator[bytes]:
    """The whole recording as a WAV file of mu-law (what a browser plays and an editor opens), piece by piece; silence
    where a part is missing or has expired. Blocking. Raises BlobsUnavailable."""
    whole = max((part.end for part in found), default=0)
    yield _header(whole * CHANNELS)
    at = 0
    for part in found:
        yield from _silence(part.start - at)
        skip = max(0, at - part.start) * CHANNELS  # two instances that held the call for a moment
        try:
            data = get(part.name)[skip : part.size]
        except LookupError:
            data = SILENCE * max(0, part.size - skip)
        yield data
        at = max(at, part.start + (skip + len(data)) // CHANNELS)
    yield from _silence(whole - at)


def _silence(samples: int) -> Iterator[bytes]:
    left = max(0, samples) * CHANNELS
    while left:
        piece = min(left, _PIECE)
        yield SILENCE * piece
        left -= piece


def _header(size: int) -> bytes:
    """RIFF with the format 7 (mu-law), which asks for a `fact` chunk."""
    form = struct.pack("<HHIIHHH", 7, CHANNELS, RATE, RATE * CHANNELS, CHANNELS, 8, 0)
    inside = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form
    inside += b"fact" + struct.pack("<II", 4, size // CHANNELS) + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(inside) + size) + inside


def _stem(call_id: str) -> str:
    return blob_name(KEY, call_id, "x").removesuffix(".x") + "-"
