"""What the page "Set up" is told of the connections, and the signed test webhook, against the real function."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.serving import make_server

from functions import files
from functions.elevenlabs_webhook import elevenlabs_webhook
from functions.settings import Settings as OfFunctions
from media_gateway.auth import Principal
from media_gateway.dashboard import signed_webhook
from media_gateway.dashboard.connections import recordings
from media_gateway.last_seen import LastSeen, Seen
from media_gateway.opening import blobs_of
from media_gateway.providers.seen_engines import SeenEngines
from media_gateway.settings import load
from media_gateway.voice.ports import Engines
from media_gateway.voice.telemetry import Nobody
from realtime.blobs import BlobsUnavailable
from realtime.call import Call, Status
from tests.media_gateway.harness import VIEWER, Running, environ, gateway

pytestmark = pytest.mark.anyio
ADMIN = Principal("root", "default", "admin")
SECRET = "wsec_0123456789abcdef"
PATH = "/api/v1/connections"
FORM = {"CallSid": "CA1", "CallStatus": "completed"}


async def shown(running: Running) -> dict[str, dict[str, Any]]:
    answer = await running.http.get(PATH, headers=running.bearer(ADMIN))
    assert answer.status_code == 200, answer.text
    return {line["name"]: line for line in answer.json()["connections"]}


async def attempt(running: Running) -> Any:
    return await running.http.post(f"{PATH}/elevenlabs/test", headers=running.bearer(ADMIN))


@contextmanager
def function(monkeypatch: pytest.MonkeyPatch, folder: Path, secret: str, answer: Any = None) -> Iterator[str]:
    """The function on a port of this machine; with `answer` something else that answers there."""
    for name, value in (("ELEVENLABS_WEBHOOK_SECRET", secret), ("CALLBOARD_BUS", "embedded")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(folder))
    app = flask.Flask("function")
    app.add_url_rule("/", view_func=answer or (lambda: elevenlabs_webhook(flask.request)), methods=["POST"])
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever, name="function")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


async def test_only_an_administrator_is_told(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        for principal in (VIEWER, Principal("olga", "default", "operator")):
            headers = running.bearer(principal)
            assert (await running.http.get(PATH, headers=headers)).status_code == 403
            assert (await running.http.post(f"{PATH}/elevenlabs/test", headers=headers)).status_code == 403


async def test_what_is_not_set_up_says_how_and_no_secret_is_told(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"DEEPGRAM_API_KEY": "dg-very-secret", "ELEVENLABS_WEBHOOK_SECRET": SECRET}
    async with gateway(tmp_path, **keys) as running:
        answer = await running.http.get(PATH, headers=running.bearer(ADMIN))
        for secret in (*keys.values(), running.settings.twilio_auth_token.get_secret_value()):
            assert secret not in answer.text
        lines = await shown(running)
        assert (lines["openai"]["state"], lines["openai"]["demo"]) == ("off", True)
        assert "OPENAI_API_KEY" in lines["openai"]["fix"]
        assert (lines["deepgram"]["configured"], lines["deepgram"]["state"]) == (True, "unknown")
        assert lines["deepgram"]["last_seen"] is None
        assert (lines["store"]["state"], lines["feed"]["state"]) == ("ok", "unknown")
        told = {one["name"]: one["url"] for one in answer.json()["addresses"]}
        assert told["incoming"] == "https://calls.example.com/api/v1/voice/incoming"
        assert told["status"] == "https://calls.example.com/api/v1/voice/status"
        assert told["webhook"] is None


async def test_twilio_was_seen_or_its_signature_did_not_fit(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert (await shown(running))["twilio"]["state"] == "unknown"
        await running.http.post("/api/v1/voice/status", data=FORM)  # without any signature: anybody, and no news
        assert (await shown(running))["twilio"]["state"] == "unknown"
        assert (await running.twilio("/api/v1/voice/status", FORM, token="another")).status_code == 403
        line = (await shown(running))["twilio"]
        assert (line["state"], line["last_seen"]) == ("wrong", None)
        assert "TWILIO_AUTH_TOKEN" in line["fix"]
        assert (await running.twilio("/api/v1/voice/status", FORM)).status_code == 204
        lines = await shown(running)
        assert (lines["twilio"]["state"], lines["bus"]["state"]) == ("ok", "ok")
        assert lines["twilio"]["last_seen"]
        assert "none can be placed" in lines["twilio"]["problem"]
        running.bus.broken = True
        assert (await running.twilio("/api/v1/voice/status", FORM)).status_code == 503
        line = (await shown(running))["bus"]
        assert (line["state"], bool(line["last_seen"]), bool(line["fix"])) == ("wrong", True, True)


async def test_hosted_calls_show_that_news_comes(tmp_path: Path) -> None:
    async with gateway(tmp_path, ELEVENLABS_WEBHOOK_SECRET=SECRET) as running:
        assert (await shown(running))["elevenlabs_webhook"]["state"] == "unknown"
        journal, at = running.gateway.core.journal, "2026-11-20T12:00:00.000Z"
        await journal.open(Call(call_id="CAh", hosted=True))
        await journal.complete("CAh", Status.COMPLETED, call_data={}, key="k", ts=at)
        line = (await shown(running))["elevenlabs_webhook"]
        assert line["state"] == "ok"
        assert line["last_seen"]


async def test_where_recordings_go_and_that_nowhere_is_said(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert (await shown(running))["files"]["state"] == "off"
    async with gateway(tmp_path, CALLBOARD_RECORD="true") as running:
        line = (await shown(running))["files"]
        assert (line["state"], line["demo"]) == ("unknown", True)
        assert running.gateway.core.blobs is not None
        await asyncio.to_thread(running.gateway.core.blobs.put, "recording/a.ulaw", b"x", content_type="audio/basic")
        assert (await shown(running))["files"]["state"] == "ok"
    nowhere = recordings(running.settings, Seen(), place=False)
    assert (nowhere.state, nowhere.configured) == ("wrong", False)
    assert "CALLBOARD_AUDIO_BUCKET" in nowhere.fix


async def test_a_place_for_recordings_that_takes_none_is_said(tmp_path: Path) -> None:
    async with gateway(tmp_path, CALLBOARD_RECORD="true") as running:
        blobs = running.gateway.core.blobs
        assert blobs is not None
        folder = running.settings.callboard_data_dir / "files"
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("a file where the folder should be")
        with pytest.raises(BlobsUnavailable):
            await asyncio.to_thread(blobs.put, "recording/a.ulaw", b"x", content_type="audio/basic")
        line = (await shown(running))["files"]
        assert (line["state"], "CALLBOARD_DATA_DIR" in line["fix"]) == ("wrong", True)


@pytest.mark.parametrize(
    ("store", "more", "place"),
    [
        ("embedded", {}, "FolderBlobs"),
        ("firestore", {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"}, "FolderBlobs"),
        ("firestore", {}, None),
        ("firestore", {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1", "K_SERVICE": "gateway"}, None),
    ],
)
def test_the_gateway_and_the_functions_keep_files_in_the_same_place(
    tmp_path: Path, store: str, more: dict[str, str], place: str | None
) -> None:
    given = {**environ(tmp_path), "CALLBOARD_STORE": store, "GOOGLE_CLOUD_PROJECT": "demo-x", **more}
    cloud = given.pop("K_SERVICE", None)  # a start there would refuse the engines of this machine
    settings = load(given, dev=False).model_copy(update={"k_service": cloud})
    here, there = blobs_of(settings), files.files(OfFunctions.of({**given, **more}))
    assert [type(one).__name__ for one in (here, there)] == [place or "NoneType"] * 2
    if here and there:
        here.put("recording/a.ulaw", b"x", content_type="audio/basic")
        assert there.get("recording/a.ulaw") == b"x"


async def test_no_fix_speaks_of_a_place_on_a_page(tmp_path: Path) -> None:
    """`doctor` prints the same words in a terminal."""
    async with gateway(tmp_path, ELEVENLABS_WEBHOOK_SECRET=SECRET, TWILIO_ACCOUNT_SID="AC" + "1" * 32) as running:
        for line in (await shown(running)).values():
            assert not re.search(r"\b(below|above|beside)\b", line["fix"]), line


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_engines_are_seen_in_turns_and_in_faults() -> None:
    seen = LastSeen()
    engines: Any = Engines(ears=Named("deepgram"), mind=Named("openai"), voice=Named("elevenlabs"))  # type: ignore[arg-type]
    watch = SeenEngines(engines, seen, Nobody())
    watch.began("c1", "inbound_new", "inbound")
    watch.turn("c1", {"stages": {"thinking": 5}})
    assert seen["openai"].at is None, "a turn that was cut short shows nothing"
    watch.fault("c1", "thinking", "openai", "unauthorized")
    watch.turn("c1", {"stages": {"playing": 5}})
    assert seen["deepgram"].at
    assert "unauthorized" in seen["openai"].problem, "something stood in for it"
    watch.ended("c1", "done")
    watch.began("c2", "inbound_new", "inbound")
    watch.turn("c2", {"stages": {"playing": 5}})
    assert (bool(seen["openai"].at), seen["openai"].problem) == (True, "")


async def test_a_signed_webhook_is_taken_by_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with function(monkeypatch, tmp_path / "functions", SECRET) as url:
        async with gateway(tmp_path, ELEVENLABS_WEBHOOK_SECRET=SECRET, ELEVENLABS_WEBHOOK_URL=url) as running:
            answer = (await attempt(running)).json()
            assert (answer["ok"], answer["status"]) == (True, 200), answer
            log = (await running.http.get("/api/v1/audit", headers=running.bearer(ADMIN))).json()["entries"]
            assert [(one["action"], one["target"]) for one in log] == [("elevenlabs.test", answer["conversation_id"])]
            line = (await shown(running))["elevenlabs_webhook"]
            assert (line["state"], bool(line["last_seen"])) == ("ok", True)


@pytest.mark.parametrize(
    ("secret", "other", "status", "fix"),
    [
        ("another-secret", None, 401, "ELEVENLABS_WEBHOOK_SECRET"),
        (SECRET, lambda: "hello", 200, "ELEVENLABS_WEBHOOK_URL"),
        (SECRET, lambda: flask.redirect("http://127.0.0.1:9/"), 302, "log"),
    ],
)
async def test_a_webhook_that_is_not_taken_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, other: Any, status: int, fix: str
) -> None:
    with function(monkeypatch, tmp_path / "functions", secret, other) as url:
        async with gateway(tmp_path, ELEVENLABS_WEBHOOK_SECRET=SECRET, ELEVENLABS_WEBHOOK_URL=url) as running:
            answer = (await attempt(running)).json()
            assert (answer["ok"], answer["status"]) == (False, status), answer
            assert fix in answer["fix"]
            line = (await shown(running))["elevenlabs_webhook"]
            assert (line["state"], fix in line["problem"]) == ("wrong", True)


async def test_a_webhook_to_nobody_to_a_slow_one_and_to_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with function(monkeypatch, tmp_path / "f", SECRET) as gone:
        pass
    async with gateway(tmp_path, ELEVENLABS_WEBHOOK_SECRET=SECRET, ELEVENLABS_WEBHOOK_URL=gone) as running:
        answer = (await attempt(running)).json()
        assert (answer["ok"], answer["status"], bool(answer["fix"])) == (False, None, True)
    over = threading.Event()
    with function(monkeypatch, tmp_path / "f", SECRET, lambda: str(over.wait(20))) as slow:
        monkeypatch.setattr(signed_webhook, "DEADLINE_S", 0.05)
        async with gateway(tmp_path, ELEVENLABS_WEBHOOK_SECRET=SECRET, ELEVENLABS_WEBHOOK_URL=slow) as running:
            answer = (await attempt(running)).json()
            over.set()
            assert "No answer within" in answer["message"]
    async with gateway(tmp_path, ELEVENLABS_WEBHOOK_SECRET=SECRET) as running:
        answer = await attempt(running)
        assert answer.status_code == 409
        assert "ELEVENLABS_WEBHOOK_URL" in answer.json()["error"]["fix"]


def test_only_dev_knows_the_functions_by_itself(tmp_path: Path) -> None:
    dev = load({"CALLBOARD_DATA_DIR": str(tmp_path), "FUNCTIONS_PORT": "8081"}, dev=True)
    assert dev.function_url("elevenlabs_webhook") == "http://127.0.0.1:8081/elevenlabs_webhook"
    assert load(environ(tmp_path, FUNCTIONS_PORT="8081")).function_url("elevenlabs_webhook") == ""
