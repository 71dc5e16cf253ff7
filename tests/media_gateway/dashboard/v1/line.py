"""A `callboard.v1` client for tests that says what the test says and checks nothing by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection

from media_gateway.auth import Principal
from tests.media_gateway.harness import VIEWER, Running

Frame = dict[str, Any]


class Line:
    """One connection."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.ids = 0

    async def send(self, type_: str, **fields: Any) -> int:
        """A command with the next id."""
        self.ids += 1
        await self.ws.send(json.dumps({"id": self.ids, "type": type_, **fields}))
        return self.ids

    async def frame(self) -> Frame:
        """The next frame that is no ping."""
        async with asyncio.timeout(10):
            while True:
                frame: Frame = json.loads(await self.ws.recv())
                if frame["type"] != "ping":
                    return frame

    async def frames(self, count: int) -> list[Frame]:
        return [await self.frame() for _ in range(count)]

    async def ask(self, type_: str, **fields: Any) -> Frame:
        """A command, and the frame that answers it; nothing else may come before."""
        id = await self.send(type_, **fields)
        frame = await self.frame()
        assert (frame["type"], frame["id"]) == ("reply", id), frame
        return frame

    async def done(self, type_: str, **fields: Any) -> Frame:
        """The result of a command that must succeed."""
        answer = await self.ask(type_, **fields)
        assert answer["ok"], answer
        result: Frame = answer["result"]
        return result

    async def refused(self, type_: str, **fields: Any) -> str:
        """The error code of a command that must not."""
        answer = await self.ask(type_, **fields)
        assert not answer["ok"], answer
        code: str = answer["error"]["code"]
        return code

    async def quiet(self) -> None:
        """Nothing has been sent that was not read: the answer to a command is the next frame."""
        assert await self.refused("unsubscribe", call_id="nobody") == "unknown_call"


@asynccontextmanager
async def line(running: Running, principal: Principal = VIEWER, **hello: Any) -> AsyncIterator[Line]:
    """A connection that is connected."""
    async with running.socket("/ws/v1", subprotocols=["callboard.v1"]) as ws:
        one = Line(ws)
        await one.done("connect", token=running.tokens.ticket(principal), **hello)
        yield one


def told(frames: list[Frame]) -> list[tuple[str, int, str]]:
    """(call, seq, event) of durable events."""
    return [(frame["call_id"], frame["seq"], frame["event"]) for frame in frames if frame["type"] == "event"]
