"""A supervisor's socket: who is let in, sound up and down, and that the caller is given back however it ends."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection

from media_gateway.auth import Principal
from media_gateway.core import Core
from media_gateway.voice.ports import Line, Microphone, StartedStream
from tests.media_gateway.harness import NotedSession, Running, closed, gateway, media, start

pytestmark = pytest.mark.anyio
ANN = Principal("ann", "default", "operator")
PATH = "/api/v1/calls/CA1/takeover"


class NotedMicrophone:
    def __init__(self) -> None:
        self.open = True
        self.heard = b""

    def feed(self, mulaw: bytes) -> None:
        self.heard += mulaw

    def close(self) -> None:
        self.open = False


class TakenSession(NotedSession):
    """Ann has taken this caller over."""

    def __init__(self, core: Core, started: StartedStream, line: Line) -> None:
        super().__init__(started, line)
        self.given = NotedMicrophone()

    def microphone(self, user: str) -> Microphone | None:
        return self.given if user == "ann" else None


@asynccontextmanager
async def taken(tmp_path: Path) -> AsyncIterator[tuple[Running, TakenSession, ClientConnection]]:
    async with gateway(tmp_path, make=TakenSession) as running:
        token = await running.ring("CA1")
        async with running.media() as caller:
            await caller.send(start("CA1", token))
            session = await running.session("CA1")
            assert isinstance(session, TakenSession)
            yield running, session, caller


async def test_sound_goes_up_and_the_caller_s_comes_down(tmp_path: Path) -> None:
    async with taken(tmp_path) as (running, session, caller):
        async with running.socket(PATH, additional_headers=running.bearer(ANN)) as ws:
            await running.until(lambda: session.taps)
            await ws.send(array("h", [0] * 640).tobytes())
            await running.until(lambda: session.given.heard == b"\xff" * 320)
            await caller.send(media(b"\x12" * 160))
            session.taps[0](1, b"\x34" * 160)  # the assistant's side is not sent: it would be an echo
            await caller.send(media(b"\x56" * 160))
            assert [await ws.recv(), await ws.recv()] == [b"\x00" + b"\x12" * 160, b"\x00" + b"\x56" * 160]
            await ws.send(json.dumps({"type": "ping"}))
            assert json.loads(await ws.recv()) == {"type": "pong"}
            await ws.send(json.dumps({"type": "release"}))
            assert await closed(ws) == 1000
        assert not session.given.open
        await running.until(lambda: not session.taps)


async def test_mu_law_goes_up_as_it_is(tmp_path: Path) -> None:
    async with taken(tmp_path) as (running, session, _):
        async with running.socket(f"{PATH}?format=mulaw", additional_headers=running.bearer(ANN)) as ws:
            await ws.send(b"\x77" * 160)
            await running.until(lambda: session.given.heard == b"\x77" * 160)
        await running.until(lambda: not session.given.open)


async def test_somebody_else_ends_it(tmp_path: Path) -> None:
    async with (
        taken(tmp_path) as (running, session, _),
        running.socket(PATH, additional_headers=running.bearer(ANN)) as ws,
    ):
        await running.until(lambda: session.taps)
        session.given.close()
        await ws.send(b"\x00" * 640)
        assert await closed(ws) == 1000


@pytest.mark.parametrize("frame", [b"x" * 20_000, "no json", "[]"])
async def test_what_is_no_sound_closes_it_and_gives_the_caller_back(tmp_path: Path, frame: bytes | str) -> None:
    async with taken(tmp_path) as (running, session, _):
        async with running.socket(PATH, additional_headers=running.bearer(ANN)) as ws:
            await ws.send(frame)
            assert await closed(ws) == 4400
        await running.until(lambda: not session.given.open)


@pytest.mark.parametrize(
    ("who", "path", "code"),
    [
        (Principal("vic", "default", "viewer"), PATH, 4403),
        (Principal("bob", "default", "operator"), PATH, 4409),
        (Principal("ann", "other", "admin"), PATH, 4404),
        (ANN, "/api/v1/calls/CA404/takeover", 4404),
        (ANN, f"{PATH}?format=mp3", 4400),
    ],
)
async def test_who_is_not_let_in(tmp_path: Path, who: Principal, path: str, code: int) -> None:
    async with taken(tmp_path) as (running, session, _):
        async with running.socket(path, additional_headers=running.bearer(who)) as ws:
            assert await closed(ws) == code
        await asyncio.sleep(0)
        assert session.given.heard == b""
