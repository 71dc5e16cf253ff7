"""The functions' environment on the embedded parts, and the end of everything they opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from functions import files, publisher, runtime
from tests.functions.apps import SECRET


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The path of the one file."""
    for name in (
        "K_SERVICE",
        "FIRESTORE_EMULATOR_HOST",
        "PUBSUB_EMULATOR_HOST",
        "CALLBOARD_RETENTION_DAYS",
        "CALLBOARD_PUSH_TOKEN",
        "CALLBOARD_PUSH_AUDIENCE",
        "CALLBOARD_PUSH_ACCOUNT",
        "CALLBOARD_AUDIO_BUCKET",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ELEVENLABS_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("CALLBOARD_STORE", "embedded")
    monkeypatch.setenv("CALLBOARD_BUS", "embedded")
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    yield tmp_path / "callboard.db"
    runtime.close_all()
    publisher.close_all()
    files.close_all()
