"""Sound and news that no bus takes: from the webhook through a file to the call."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from functions import files
from functions.settings import Settings
from realtime.bus.envelope import decode
from realtime.bus.outbox import Outbox
from realtime.bus.port import MAX_DATA_BYTES, BusMessage
from realtime.call import Call
from tests.functions.apps import app_of, deliver, transcription
from tests.functions.test_apply_call_event import beside, found, kept_aside, opened, push
from tests.functions.test_apply_call_event import deliver as push_to_applier
from tests.functions.test_elevenlabs_webhook import published
from tests.realtime.blobs.cloud_storage import bucket

MP3 = b"\xff\xfb\x90\x00" + bytes(9_000_000)


def sound(text: object) -> dict[str, Any]:
    return {
        "type": "post_call_audio",
        "event_timestamp": 1,
        "data": {"agent_id": "a", "conversation_id": "conv_1", "full_audio": text},
    }


def relayed(database: Path) -> list[BusMessage]:
    """What the webhook has published goes to the applier, one after the other."""
    outbox, messages = Outbox(database), list[BusMessage]()
    try:
        while letters := outbox.claim("test", seconds=60, limit=10):
            for letter in letters:
                messages.append(decode(letter.data))
                assert push_to_applier(push(messages[-1])) == 204
                outbox.acknowledge("test", letter.n)
    finally:
        outbox.close()
    return messages


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_the_sound_goes_into_a_file_and_a_pointer_travels(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    opened(embedded, Call(call_id="EL_1", conversation_id="conv_1", hosted=True))
    with bucket() as there:
        if where == "bucket":
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", there.url)
            monkeypatch.setenv("CALLBOARD_AUDIO_BUCKET", "callboard-audio")
        app = app_of("elevenlabs_webhook")
        for _ in range(2):  # and again, as a retry would come
            assert deliver(app, sound(base64.b64encode(MP3).decode()))[0] == 200
        first, second = relayed(embedded)
        assert first == second
        assert len(json.dumps(first.to_dict())) < 1000
        pointer = found(embedded, "EL_1").metadata["audio"]
        assert (pointer["bytes"], pointer["content_type"]) == (len(MP3), "audio/mpeg")
        place = files.files(Settings.of(os.environ))
        assert place is not None
        assert place.get(pointer["name"]) == MP3
        assert len(there.objects) == (where == "bucket")


def test_the_webhook_is_not_acknowledged_while_the_sound_cannot_be_kept(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.blobs.cloud_storage.SECONDS", 0.2)
    monkeypatch.setenv("CALLBOARD_AUDIO_BUCKET", "callboard-audio")
    with bucket() as there:
        there.broken = True
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", there.url)
        assert deliver(app_of("elevenlabs_webhook"), sound("AAAA"))[0] == 503
    assert published(embedded) == []


@pytest.mark.parametrize("text", ["not base64!", "", None, 7, ["AAAA"], "AAA"])
def test_sound_that_is_none_is_told_of_all_the_same(embedded: Path, text: object) -> None:
    assert deliver(app_of("elevenlabs_webhook"), sound(text))[0] == 200
    (message,) = published(embedded)
    assert "full_audio" not in message.data
    assert "audio_bytes" in message.data
    assert not (embedded.parent / "files").exists()


def test_news_that_no_bus_takes_travels_in_a_file(embedded: Path) -> None:
    opened(embedded, Call(call_id="EL_1", conversation_id="conv_1", hosted=True))
    long = [{"role": "user", "message": "x" * MAX_DATA_BYTES, "time_in_call_secs": 0}]
    status, _ = deliver(app_of("elevenlabs_webhook"), transcription(transcript=long))
    assert status == 200
    (message,) = published(embedded)
    assert message.data.keys() == {"callboard_in_file"}
    assert len(list((embedded.parent / "files" / "news").iterdir())) == 1
    assert push_to_applier(push(message)) == 204
    events = beside(embedded, lambda journal, _: journal.events("EL_1"))
    record = beside(embedded, lambda journal, _: journal.call_data(events[-1]))
    assert record["transcript"] == long
    assert list((embedded.parent / "files" / "news").iterdir()) == [], "the call has it"
    # The acknowledgement was lost: the news comes again, its file is gone, the call is as it was.
    assert push_to_applier(push(message)) == 204
    assert [event.seq for event in beside(embedded, lambda journal, _: journal.events("EL_1"))] == [1, 2]
    assert "not there any more" in kept_aside(embedded)[0]["why"]
