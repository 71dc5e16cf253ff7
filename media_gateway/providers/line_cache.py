"""Rendered lines on disk, so that a start renders only what is new. One file a line, by what it depends on: vendor,
voice, model and text. A file that is not whole is never seen, and one that cannot be read is rendered anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from pathlib import Path

import structlog

from media_gateway.voice.ports import Voice

MOST = 2_000
"""Files that are kept; the oldest go."""
log = structlog.get_logger()


class LineCache:
    """In `folder`, which is made if need be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def render(self, voice: Voice, text: str) -> bytes:
        """The line, rendered or found. Raises ProviderFault."""
        fingerprint = str(getattr(voice, "fingerprint", voice.name))
        name = hashlib.sha256("\0".join((fingerprint, text)).encode()).hexdigest()
        file = self._folder / f"{name}.ulaw"
        sound = await asyncio.to_thread(_read, file)
        if sound:
            return sound
        sound = await voice.render(text)
        await asyncio.to_thread(self._write, file, sound)
        return sound

    def _write(self, file: Path, sound: bytes) -> None:
        """A disk that is full or read-only costs the next start its time, and nothing else."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as part:
                whole = Path(part.name)
                try:
                    part.write(sound)
                    part.flush()
                    whole.replace(file)
                finally:
                    whole.unlink(missing_ok=True)
            kept = sorted(self._folder.glob("*.ulaw"), key=lambda one: one.stat().st_mtime)
            for old in kept[:-MOST]:
                old.unlink(missing_ok=True)
        except OSError as problem:
            log.warning("line_not_kept", problem=type(problem).__name__)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
