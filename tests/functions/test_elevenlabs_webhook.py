"""The webhook as a functions-framework app: who gets which answer, and what is on the bus afterwards."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from functions import elevenlabs_webhook
from realtime.bus.envelope import decode
from realtime.bus.outbox import Outbox
from realtime.bus.port import BusMessage
from tests.functions.apps import PATH, app_of, deliver, sign, transcription


def published(database: Path) -> list[BusMessage]:
    outbox = Outbox(database)
    try:
        return [decode(letter.data) for letter in outbox.claim("test", seconds=0, limit=100)]
    finally:
        outbox.close()


def test_a_signed_webhook_is_on_the_bus_before_it_is_acknowledged(embedded: Path) -> None:
    status, answer = deliver(app_of("elevenlabs_webhook"), transcription())
    (message,) = published(embedded)
    assert (status, answer) == (200, {"received": True, "id": message.id})
    assert message.data == transcription()["data"]


@pytest.mark.parametrize("kind", ["answering_machine_detection", "something_new"])
def test_an_unknown_type_is_kept_and_acknowledged(embedded: Path, kind: str) -> None:
    status, _ = deliver(app_of("elevenlabs_webhook"), {"type": kind, "event_timestamp": 1, "data": {"a": 1}})
    assert (status, [message.type for message in published(embedded)]) == (200, [kind])


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(lambda: "", id="none"),
        pytest.param(lambda: "t=1,v0=00", id="old and short"),
        pytest.param(lambda: "nonsense", id="nonsense"),
        pytest.param(lambda: sign(b"another body"), id="of another body"),
        pytest.param(lambda: sign(json.dumps(transcription()).encode(), secret="other"), id="with another secret"),
    ],
)
def test_a_bad_signature_is_refused_and_nothing_is_published(embedded: Path, signed: Callable[[], str]) -> None:
    status, answer = deliver(app_of("elevenlabs_webhook"), transcription(), signature=signed())
    assert (status, answer["error"]["code"]) == (401, "bad_signature")
    assert published(embedded) == []


@pytest.mark.parametrize(("offset", "status"), [(-1790, 200), (-1810, 401), (50, 200), (70, 401)])
def test_old_news_and_news_from_the_future_are_refused(embedded: Path, offset: int, status: int) -> None:
    body = json.dumps(transcription()).encode()
    signature = sign(body, at=time.time() + offset)
    assert deliver(app_of("elevenlabs_webhook"), body, signature=signature)[0] == status


def test_without_a_secret_nobody_gets_in(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELEVENLABS_WEBHOOK_SECRET")
    for secret in ("", "wsec_test"):
        body = json.dumps(transcription()).encode()
        status, _ = deliver(app_of("elevenlabs_webhook"), body, signature=sign(body, secret=secret))
        assert status == 401
    assert published(embedded) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b'{"type": "x"}',
        b'{"data": {}}',
        b"[" * 100_000,
        b'{"type":"x","data":{"a":NaN}}',
    ],
)
def test_what_is_no_webhook_is_400(embedded: Path, body: bytes) -> None:
    status, answer = deliver(app_of("elevenlabs_webhook"), body)
    assert (status, answer["error"]["code"]) == (400, "bad_request")
    assert published(embedded) == []


def test_half_a_surrogate_pair_does_not_lose_the_call(embedded: Path) -> None:
    body = b'{"type": "x", "event_timestamp": 1, "data": {"said": "a\\ud83d and a whole \\ud83d\\udc4b"}}'
    assert deliver(app_of("elevenlabs_webhook"), body)[0] == 200
    assert published(embedded)[0].data == {"said": "a? and a whole 👋"}


def test_a_body_that_is_too_large_is_413(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elevenlabs_webhook, "MAX_BODY", 500)
    app = app_of("elevenlabs_webhook")
    status, answer = deliver(app, transcription())
    assert (status, answer["error"]["code"]) == (413, "too_large")
    body = json.dumps(transcription()).encode()
    chunked = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}  # as gunicorn tells of a body without a length
    headers = {"ElevenLabs-Signature": sign(body)}
    response = app.test_client().post(PATH, input_stream=io.BytesIO(body), headers=headers, environ_overrides=chunked)
    assert response.status_code == 413


def test_what_the_bus_can_never_take_is_413_without_a_place_for_files(
    monkeypatch: pytest.MonkeyPatch, embedded: Path
) -> None:
    monkeypatch.setenv("CALLBOARD_STORE", "firestore")
    monkeypatch.setenv("CALLBOARD_BUS", "pubsub")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo")
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    app = app_of("elevenlabs_webhook")
    assert deliver(app, transcription(note="x" * 7_100_000))[0] == 413
    assert deliver(app, transcription())[0] == 503  # nobody listens there


def test_audio_of_many_megabytes_becomes_a_small_message(embedded: Path) -> None:
    audio = {
        "type": "post_call_audio",
        "event_timestamp": 1,
        "data": {"conversation_id": "c", "full_audio": "A" * 12_000_000},
    }
    assert deliver(app_of("elevenlabs_webhook"), audio)[0] == 200
    data = published(embedded)[0].data
    assert (data["audio"]["bytes"], len(json.dumps(data)) < 300) == (9_000_000, True)


@pytest.mark.parametrize(
    "change", [{"CALLBOARD_BUS": ""}, {"CALLBOARD_BUS": "pubsub"}, {"CALLBOARD_DATA_DIR": "/proc/none"}]
)
def test_what_cannot_be_published_is_not_acknowledged(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    status, answer = deliver(app_of("elevenlabs_webhook"), transcription())
    assert (status, answer["error"]["code"]) == (503, "unavailable")


def test_only_a_post_is_a_webhook(embedded: Path) -> None:
    response = app_of("elevenlabs_webhook").test_client().get(PATH)
    assert response.status_code == 405


def test_a_cold_start_imports_no_sdk() -> None:
    code = (
        "import sys, functions.elevenlabs_webhook\n"
        "heavy = ('google.cloud.', 'google.api_core', 'google.auth', 'grpc', 'elevenlabs', 'pydantic', 'requests')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


def test_the_framework_adds_none_of_them_either() -> None:
    code = (
        "import sys, functions_framework\n"
        "functions_framework.create_app('elevenlabs_webhook', 'functions/main.py')\n"
        "heavy = ('google.cloud.firestore', 'google.cloud.pubsub', 'grpc', 'elevenlabs', 'pydantic')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


COLD = """
import sys, functions_framework
before = set(sys.modules)
import functions.main
started = set(sys.modules) - before
import functions.elevenlabs_webhook, realtime.bus.rest
print(sorted(started), sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


def test_a_cold_start_imports_what_its_function_needs_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLD],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if name != "FUNCTION_TARGET"},
    )
    started, all_of_the_webhook = done.stdout.strip().split("] [")
    assert started == "['functions', 'functions.logs', 'functions.main'"
    brought = {"'functions'", "'realtime'", "'urllib3'", "'urllib'"}
    assert set(all_of_the_webhook.rstrip("]").split(", ")) <= brought


def test_a_service_that_knows_which_one_it_is_is_ready_before_its_first_request() -> None:
    code = "import sys, functions.main; print('functions.elevenlabs_webhook' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "FUNCTION_TARGET": "elevenlabs_webhook"},
    )
    assert done.stdout.strip() == "True False"
