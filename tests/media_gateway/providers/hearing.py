"""What the recogniser's tests share: the flow's phrases, the clips, and a call's worth of hearing in this process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import media_gateway.conversation
from media_gateway.conversation.flow import load_flow
from media_gateway.providers.ears_worker import Recogniser
from media_gateway.providers.worker import Worker

LEAD = b"\xff" * 4000
TAIL = b"\xff" * 8000


@cache
def flow_phrases() -> tuple[str, ...]:
    """What callers of the booking flow are expected to say."""
    folder = Path(media_gateway.conversation.__file__).parent / "flows"
    return load_flow(folder / "inbound_new.yaml").phrases


@cache
def model_folder() -> Path:
    """One for the whole run: the model is built once."""
    return Path(tempfile.mkdtemp(prefix="callboard-ears-"))


def hear(*clips: bytes, frame: int = 160, phrases: tuple[str, ...] | None = None) -> list[Mapping[str, Any]]:
    """The events of one call in which these clips are said, half a second apart from a second of silence."""
    events: list[Mapping[str, Any]] = []
    recogniser = Recogniser(events.append, model_folder())
    recogniser.configure(patience_ms=600, phrases=phrases or flow_phrases())
    for clip in clips:
        sound = LEAD + clip + TAIL
        for start in range(0, len(sound), frame):
            recogniser.feed(sound[start : start + frame])
    return events


def finals(events: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [event for event in events if event["event"] == "final"]


def text_of(events: list[Mapping[str, Any]]) -> str:
    return " ".join(str(event["text"]) for event in finals(events))


def watch_workers(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Worker]:
    """Every engine process that is started from now on, in order."""
    started: asyncio.Queue[Worker] = asyncio.Queue()
    made = Worker.connection_made

    def connection_made(worker: Worker, transport: asyncio.BaseTransport) -> None:
        made(worker, transport)
        started.put_nowait(worker)

    monkeypatch.setattr(Worker, "connection_made", connection_made)
    return started
