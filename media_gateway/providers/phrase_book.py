"""Spoken phrases that need no engine: mu-law files, rendered once with flite by `scripts/render_phrases.py`."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "phrases"


@cache
def phrases() -> dict[str, bytes]:
    """What is said (lower case, words only) -> mu-law at 8 kHz. Read once, a few hundred kB."""
    texts: dict[str, str] = json.loads((FOLDER / "phrases.json").read_text("utf-8"))
    return {_plain(text): (FOLDER / f"{name}.ulaw").read_bytes() for name, text in texts.items()}


def find(text: str) -> bytes | None:
    """The phrase with these words, whatever the punctuation."""
    return phrases().get(_plain(text))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower().replace("’", "'")))
