"""Render the voice's stand-in phrases again: providers/phrases/phrases.json -> <name>.ulaw, with Debian's flite.

    .venv/bin/python scripts/render_phrases.py

Needs `flite` (apt-get install flite). Commit what it writes; the gateway only reads it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from media_gateway.providers import mulaw  # noqa: E402  (the path has to be there first)
from media_gateway.providers.phrase_book import FOLDER  # noqa: E402

VOICE = "slt"


def speak(text: str) -> bytes:
    """What flite says, as mu-law at 8 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phrase.wav"
        subprocess.run(["flite", "-voice", VOICE, "-t", text, "-o", str(path)], check=True)
        with wave.open(str(path), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
            return mulaw.encode(mulaw.to_pcm(mulaw.resample(samples, file.getframerate())))


def main() -> None:
    """Render all of them."""
    if shutil.which("flite") is None:
        raise SystemExit("flite is not installed: apt-get install flite")
    for name, text in json.loads((FOLDER / "phrases.json").read_text("utf-8")).items():
        (FOLDER / f"{name}.ulaw").write_bytes(speak(text))
        print(f"{name}: {text}")


if __name__ == "__main__":
    main()
