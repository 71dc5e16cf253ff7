"""Render the simulated caller's lines again: infra/simulators/clips/clips.yaml -> <voice>/<name>.ulaw + manifest.json.

Needs Debian's `flite` (apt-get install flite) for the lines; noises are computed. `--check` renders nothing and exits
1 when a clip is missing, differs from the manifest, or the text was changed without rendering.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import wave
from array import array
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.simulators import mulaw  # noqa: E402  (the path has to be there first)
from infra.simulators.clips import FOLDER, NOISE  # noqa: E402

LIMIT_BYTES = 1_500_000
TAPS = 63
LEAD_BYTES = 20 * mulaw.BYTES_PER_MS


def speak(text: str, voice: str) -> array[int]:
    """What flite says, as 8 kHz samples."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        with wave.open(str(path), "rb") as file:
            samples = array("h", file.readframes(file.getnframes()))
            rate = file.getframerate()
    if rate == mulaw.SAMPLE_RATE:
        return samples
    if rate != 2 * mulaw.SAMPLE_RATE:
        raise SystemExit(f"flite's voice {voice} speaks at {rate} Hz; this script halves 16000 Hz only")
    return halve(samples)


def halve(samples: array[int]) -> array[int]:
    """16 kHz to 8 kHz through a windowed-sinc low pass at 3.6 kHz: without it everything above 4 kHz folds back."""
    middle, cutoff = TAPS // 2, 3600 / (2 * mulaw.SAMPLE_RATE)
    taps = [
        (2 * cutoff if n == middle else math.sin(2 * math.pi * cutoff * (n - middle)) / (math.pi * (n - middle)))
        * (0.54 - 0.46 * math.cos(2 * math.pi * n / (TAPS - 1)))
        for n in range(TAPS)
    ]
    padded = [0] * middle + list(samples) + [0] * middle
    halved = (sum(map(float.__mul__, taps, map(float, padded[at : at + TAPS]))) for at in range(0, len(samples), 2))
    return array("h", (max(-32768, min(32767, round(value))) for value in halved))


def cough() -> array[int]:
    """Two short bursts of noise that die away: sound, but no words. Seeded, so that it never changes."""
    noise = random.Random(7)  # noqa: S311 (a sound, not a secret)
    samples = array("h")
    for burst_ms, gap_ms, level in ((180, 90, 9000), (240, 0, 6500)):
        count, smooth = burst_ms * 8, 0.0
        for n in range(count):
            envelope = min(1.0, n / 40) * math.exp(-4 * n / count)
            smooth = 0.6 * smooth + 0.4 * noise.uniform(-1, 1)
            samples.append(int(level * envelope * smooth * 2))
        samples.extend([0] * gap_ms * 8)
    return samples


def to_clip(samples: array[int]) -> bytes:
    """Mu-law, the silence around it cut to 20 ms: what is measured from a clip's start is measured from its sound."""
    audio = mulaw.encode(samples.tobytes())
    start = len(audio) - len(audio.lstrip(mulaw.QUIET))
    pad = mulaw.SILENCE * LEAD_BYTES
    return pad + audio[start : mulaw.audible_end(audio)] + pad


def wanted() -> dict[str, dict[str, Any]]:
    """`<voice>/<name>` -> its text and domain, as clips.yaml has them."""
    data = yaml.safe_load((FOLDER / "clips.yaml").read_text("utf-8"))
    entries = {
        f"{voice}/{line['name']}": {"text": line["text"], "in_domain": line.get("in_domain", True)}
        for voice in data["voices"]
        for line in data["lines"]
    }
    return entries | {f"{NOISE}/{name}": {"text": "", "in_domain": False} for name in data["noises"]}


def render() -> None:
    """Write every clip and the manifest; remove clips that clips.yaml no longer names."""
    if not shutil.which("flite"):
        raise SystemExit("flite is not on this machine: apt-get install flite")
    entries = wanted()
    for path in FOLDER.glob("*/*.ulaw"):
        path.unlink()
    for key, entry in entries.items():
        voice, name = key.split("/")
        audio = to_clip(cough() if voice == NOISE else speak(entry["text"], voice))
        path = FOLDER / f"{key}.ulaw"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(audio)
        entry |= {"ms": len(audio) // mulaw.BYTES_PER_MS, "sha256": hashlib.sha256(audio).hexdigest()}
        print(f"{key:40} {entry['ms']:6} ms  {name and entry['text']}")
    (FOLDER / "manifest.json").write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", "utf-8")


def problems() -> list[str]:
    """What is not as clips.yaml and the manifest say."""
    found: list[str] = []
    manifest = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    entries = wanted()
    found += [f"{key}: in clips.yaml or in the manifest, not in both" for key in entries.keys() ^ manifest.keys()]
    total = 0
    for key in entries.keys() & manifest.keys():
        path = FOLDER / f"{key}.ulaw"
        audio = path.read_bytes() if path.exists() else b""
        total += len(audio)
        if hashlib.sha256(audio).hexdigest() != manifest[key]["sha256"]:
            found.append(f"{key}: the file is not the one the manifest describes")
        if any(entries[key][name] != manifest[key][name] for name in ("text", "in_domain")):
            found.append(f"{key}: clips.yaml says something else than the manifest")
    if total > LIMIT_BYTES:
        found.append(f"{total} bytes of clips; the limit is {LIMIT_BYTES}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="render nothing; exit 1 if the clips are not as listed")
    if not parser.parse_args().check:
        render()
    found = problems()
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
