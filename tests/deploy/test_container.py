"""The container's own command, in a clean environment made of the container's own requirements and files.

An image without a WebSocket library starts, serves HTTP, and answers every upgrade with 404. So what is demanded here
is 101 on the media socket, and then a conversation.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from google.api_core.exceptions import AlreadyExists
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect

from tests.media_gateway.harness import STREAM_SID, connected, environ, media, start

pytestmark = [pytest.mark.anyio, pytest.mark.call]
ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "media_gateway" / "Dockerfile"
STUBS = Path(__file__).parent / "stubs"
TOKEN = "a-twilio-auth-token"
MEDIA = "/api/v1/voice/media-stream"


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, comments dropped and lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def command() -> list[str]:
    (only,) = [rest for word, rest in instructions() if word == "CMD"]
    parsed: list[str] = json.loads(only)  # exec form is JSON
    return parsed


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the image: `app` with what the last stage copies from the context, `venv` from the lock."""
    root = tmp_path_factory.mktemp("image")
    stages = [at for at, (word, _) in enumerate(instructions()) if word == "FROM"]
    for word, rest in instructions()[stages[-1] :]:
        if word == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                to = root / "app" / (f"{target}/{source}" if target.endswith("/") else target)
                to.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
                else:
                    shutil.copy(ROOT / source, to)
    venv = root / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    lock = str(ROOT / "media_gateway" / "requirements.lock")
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(venv / "bin" / "python")]
    subprocess.run([*install, "--require-hashes", "-r", lock], check=True)
    return root


def test_the_dockerfile_keeps_its_rules() -> None:
    lines = instructions()
    assert command() == ["python", "-m", "media_gateway"]
    assert "gunicorn" not in DOCKERFILE.read_text()
    assert [rest for word, rest in lines if word == "USER"] == ["10001"]
    assert any("--require-hashes" in rest for word, rest in lines if word == "RUN")
    copied = {source for word, rest in lines if word == "COPY" and "--from" not in rest for source in rest.split()[:-1]}
    assert {source.split("/")[0] for source in copied} <= {"media_gateway", "realtime", "LICENSE", "NOTICE"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert {"!media_gateway", "!realtime"} <= set(ignored)


def test_the_lock_has_the_socket_library_and_no_demo_engine() -> None:
    names = set(
        re.findall(r"^([a-z0-9-]+)==", (ROOT / "media_gateway" / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert {"websockets", "uvicorn", "starlette", "uvloop"} <= names
    assert not {"gunicorn", "pocketsphinx", "espeakng-loader", "pytest"} & names


def test_without_settings_it_says_what_is_missing(image: Path) -> None:
    done = subprocess.run(_argv(image), cwd=image / "app", env={"PATH": ""}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "JWT_SECRET" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "missing"),  # the demo engines are asked for, and an image has none
        pytest.param({"CALLBOARD_FLOWS_DIR": "/nowhere"}, "/nowhere", marks=pytest.mark.long),
        pytest.param({"CALLBOARD_DATA_DIR": "/dev/null/data"}, "CALLBOARD_DATA_DIR", marks=pytest.mark.long),
    ],
)
def test_what_keeps_it_from_starting_is_said(image: Path, tmp_path: Path, changes: dict[str, str], said: str) -> None:
    environment = environ(tmp_path, PORT="0", **changes)
    done = subprocess.run(_argv(image), cwd=image / "app", env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_websocket_library_it_does_not_start(image: Path, tmp_path: Path) -> None:
    (tmp_path / "websockets").mkdir()
    (tmp_path / "websockets" / "__init__.py").write_text('raise ImportError("there is no websockets")')
    environment = {**environ(tmp_path), "PYTHONPATH": str(tmp_path), "PORT": "0"}
    done = subprocess.run(_argv(image), cwd=image / "app", env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "there is no websockets" in done.stderr


async def test_a_conversation_with_the_embedded_store(image: Path, tmp_path: Path) -> None:
    async with _running(image, environ(tmp_path)) as gateway:
        await _converse(*gateway)


@pytest.mark.long
@pytest.mark.emulator
async def test_a_conversation_as_in_production(
    image: Path, tmp_path: Path, firestore_emulator: str, pubsub_emulator: str
) -> None:
    _make_topic(pubsub_emulator, "container-test")
    production = {
        "CALLBOARD_STORE": "firestore",
        "CALLBOARD_BUS": "pubsub",
        "GOOGLE_CLOUD_PROJECT": "container-test",
        "FIRESTORE_EMULATOR_HOST": firestore_emulator,
        "PUBSUB_EMULATOR_HOST": pubsub_emulator,
    }
    async with _running(image, environ(tmp_path, **production)) as (http, port):
        await _converse(http, port)
        ringing = {"CallSid": "CA1", "CallStatus": "completed", "SequenceNumber": "2"}
        assert (await _signed(http, "/api/v1/voice/status", ringing)).status_code == 204


async def _converse(http: httpx2.AsyncClient, port: int) -> None:
    """A whole turn: the greeting, a sentence, an answer, all of it in the journal."""
    answer = await _signed(http, "/api/v1/voice/incoming", {"CallSid": "CA1", "From": "+15550001111"})
    token = answer.text.split('name="token" value="')[1].split('"')[0]
    signature = RequestValidator(TOKEN).compute_signature(f"wss://calls.example.com{MEDIA}", {})
    async with connect(
        f"ws://calls.example.com{MEDIA}",
        host="127.0.0.1",
        port=port,
        proxy=None,
        additional_headers={"X-Twilio-Signature": signature},
    ) as ws:
        assert ws.response is not None
        assert ws.response.status_code == 101
        assert "Sec-WebSocket-Extensions" not in ws.response.headers
        await ws.send(connected())
        await ws.send(start("CA1", token))
        await _until_spoken(ws)
        for _ in range(60):
            await ws.send(media())
        await _until_spoken(ws)
        types = await _journal_until(http, ws, {"final_transcript", "ai_response_complete"})
        assert types[0] == "call_status"


async def _until_spoken(ws: ClientConnection) -> None:
    """Sound comes and ends with a mark, which is echoed as Twilio does."""
    sound = False
    async with asyncio.timeout(10):
        while True:
            frame = json.loads(await ws.recv())
            sound = sound or frame["event"] == "media"
            if frame["event"] == "mark":
                await ws.send(json.dumps({"event": "mark", "streamSid": STREAM_SID, "mark": frame["mark"]}))
                if sound:
                    return


async def _journal_until(http: httpx2.AsyncClient, ws: ClientConnection, wanted: set[str]) -> list[str]:
    """The types of the call's events once `wanted` are among them; marks are echoed meanwhile."""
    login = {"username": "admin", "password": environ(Path())["ADMIN_PASSWORD"]}
    access = (await http.post("/auth/login", json=login)).json()["access_token"]
    headers = {"Authorization": f"Bearer {access}"}

    async def echo() -> None:
        async for text in ws:
            frame = json.loads(text)
            if frame["event"] == "mark":
                await ws.send(json.dumps({"event": "mark", "streamSid": STREAM_SID, "mark": frame["mark"]}))

    echoing = asyncio.create_task(echo())
    try:
        async with asyncio.timeout(15):
            while True:
                events = (await http.get("/api/v1/calls/CA1/events", headers=headers)).json()["events"]
                types = [event["type"] for event in events]
                if wanted <= set(types):
                    return types
                await asyncio.sleep(0.1)
    finally:
        echoing.cancel()


async def _signed(http: httpx2.AsyncClient, path: str, form: Mapping[str, str]) -> httpx2.Response:
    signature = RequestValidator(TOKEN).compute_signature(f"https://calls.example.com{path}", dict(form))
    return await http.post(path, content=urlencode(form), headers={"X-Twilio-Signature": signature})


@asynccontextmanager
async def _running(image: Path, environment: dict[str, str]) -> AsyncIterator[tuple[httpx2.AsyncClient, int]]:
    port = _free_port()
    with _process(image, {**environment, "PORT": str(port)}) as process:
        headers = {"Host": "calls.example.com"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
            async with asyncio.timeout(40):
                while not await _ready(http):
                    assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
                    await asyncio.sleep(0.1)
            yield http, port


async def _ready(http: httpx2.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx2.TransportError:
        return False


@contextmanager
def _process(image: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command, ended by SIGTERM as the platform does it, within its ten seconds."""
    everything = {**environment, "PYTHONPATH": f"{STUBS}{os.pathsep}{image / 'app'}"}
    process: subprocess.Popen[Any] = subprocess.Popen(
        _argv(image), cwd=image / "app", env=everything, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stderr:
            process.stderr.close()


def _argv(image: Path) -> list[str]:
    program, *arguments = command()
    return [str(image / "venv" / "bin" / program), *arguments]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _make_topic(emulator: str, project: str) -> None:
    import grpc
    from google.cloud.pubsub_v1 import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    channel = grpc.insecure_channel(emulator)
    publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    try:
        publisher.create_topic(name=f"projects/{project}/topics/callboard-events")
    except AlreadyExists:
        pass
    finally:
        channel.close()
