"""The caller's lines: raw mu-law files in `clips/<voice>/<name>.ulaw`, with what they truly say in the manifest.

Rendered by `scripts/render_clips.py` from `clips/clips.yaml`; the text is for measuring recognisers, never for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from infra.simulators.mulaw import BYTES_PER_MS

FOLDER = Path(__file__).parent / "clips"
NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Clip:
    """One line. `text` is what it says (empty for a noise); `in_domain` is False when no booking flow would say it."""

    name: str
    voice: str
    text: str
    audio: bytes = field(repr=False)
    in_domain: bool = True

    @property
    def ms(self) -> int:
        return len(self.audio) // BYTES_PER_MS


def manifest(folder: Path = FOLDER) -> Mapping[str, Mapping[str, object]]:
    """`<voice>/<name>` -> `{text, in_domain, ms, sha256}`, of every clip."""
    data: dict[str, dict[str, object]] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return data


@cache
def load(name: str, voice: str, folder: Path = FOLDER) -> Clip:
    """The clip in this voice, else the noise of that name. Read once. Raises KeyError naming what
    there is."""
    entries = manifest(folder)
    for key in (f"{voice}/{name}", f"{NOISE}/{name}"):
        if key in entries:
            entry = entries[key]
            audio = (folder / f"{key}.ulaw").read_bytes()
            return Clip(name, key.split("/")[0], str(entry["text"]), audio, bool(entry["in_domain"]))
    known = sorted(key for key in entries if key.startswith((f"{voice}/", f"{NOISE}/")))
    raise KeyError(f"no clip {name!r} in voice {voice!r}; there are: {', '.join(known) or 'none for this voice'}")
