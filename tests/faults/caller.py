"""A telephone whose frames come back (`echoing`): how many came late, by the schedule they were sent on."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import httpx2
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect

from tests.media_gateway.harness import TOKEN, connected, media, start

FRAME_S = 0.02
LATE_S = 0.5
"""A frame that takes longer is late. More than a busy machine needs, less than anybody who waits for a store."""


async def webhook(address: str, path: str, form: dict[str, str]) -> httpx2.Response:
    """Twilio posts this to the gateway at `address` (host:port), which is its PUBLIC_BASE_URL."""
    url = f"http://{address}{path}"
    headers = {
        "X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
        return await http.post(url, content=urlencode(form), headers=headers)


class Caller:
    """One stream. Frame n is due at n x 20 ms, however late the one before was."""

    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws
        self.sent: list[float] = []
        self.back: list[float] = []

    @property
    def late(self) -> int:
        """Frames whose echo came more than LATE_S after they were sent, or not yet."""
        now = asyncio.get_running_loop().time()
        waited = [back - sent for sent, back in zip(self.sent, self.back, strict=False)]
        waited += [now - sent for sent in self.sent[len(self.back) :]]
        return sum(one > LATE_S for one in waited)

    async def heard(self, more: int) -> None:
        """Until so many more frames have come back."""
        wanted = len(self.back) + more
        async with asyncio.timeout(60):
            while len(self.back) < wanted:
                await asyncio.sleep(FRAME_S)

    async def speak(self) -> None:
        loop = asyncio.get_running_loop()
        began, frame = loop.time(), media(b"\xff" * 160)
        while True:
            await asyncio.sleep(max(0.0, began + len(self.sent) * FRAME_S - loop.time()))
            self.sent.append(loop.time())
            await self._ws.send(frame)

    async def hear(self) -> None:
        loop = asyncio.get_running_loop()
        sound = b64encode(b"\xff" * 160).decode()
        async for message in self._ws:
            frame = json.loads(message)
            assert (frame["event"], frame["media"]["payload"]) == ("media", sound)
            self.back.append(loop.time())


@asynccontextmanager
async def calling(address: str, call_sid: str) -> AsyncIterator[Caller]:
    """A call on the gateway at `address`, talking until the end of the context."""
    answer = await webhook(address, "/api/v1/voice/incoming", {"CallSid": call_sid, "From": "+15550001111"})
    assert answer.status_code == 200, answer.text
    token = answer.text.split('name="token" value="')[1].split('"')[0]
    url = f"ws://{address}/api/v1/voice/media-stream"
    signed = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {})}
    async with connect(url, additional_headers=signed, proxy=None, compression=None, ping_interval=None) as ws:
        await ws.send(connected())
        await ws.send(start(call_sid, token))
        caller = Caller(ws)
        tasks = [asyncio.create_task(caller.speak()), asyncio.create_task(caller.hear())]
        try:
            yield caller
            assert not any(task.done() for task in tasks), "the stream broke off"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
