"""Dashboard clients as other people would write them: they log in, subscribe, and keep what they saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2
from websockets.asyncio.client import ClientConnection, connect

DEADLINE_S = 15.0


class Api:
    """The REST interface, logged in. Raises httpx2.HTTPStatusError on an error answer."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.token = ""
        self._login = {"username": username, "password": password}
        self._client = httpx2.AsyncClient(base_url=self.url, timeout=DEADLINE_S)

    async def __aenter__(self) -> Self:
        try:
            answer = await self._client.post("/auth/login", json=self._login)
            answer.raise_for_status()
            self.token = answer.json()["access_token"]
        except BaseException:  # whoever may not come in has nothing to close
            await self._client.aclose()
            raise
        self._client.headers["Authorization"] = f"Bearer {self.token}"
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON answer."""
        answer = await self._client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    async def file(self, path: str, **query: Any) -> bytes:
        """The answer as it is."""
        answer = await self._client.get(path, params=query)
        answer.raise_for_status()
        return answer.content

    async def post(self, path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer."""
        answer = await self._client.post(path, json=dict(body), headers=headers)
        answer.raise_for_status()
        return answer.json()

    async def events(self, call_id: str) -> list[dict[str, Any]]:
        """The journal of a call to its end, without the analysis: that comes whenever it is done."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = (await self.get(f"/api/v1/calls/{quote(call_id)}/events", after=after))["events"]
            if not page:
                return [event for event in found if event["type"] != "analysis_ready"]
            found += page


class Watcher:
    """A WebSocket client that keeps every message."""

    def __init__(self, url: str, path: str, token: str, first: Mapping[str, Any] | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self._url = f"{url.replace('http', 'ws', 1)}{path}?token={quote(token)}"
        self._first = first
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(DEADLINE_S):
            self._socket = await connect(self._url, compression=None)
            if self._first:
                await self._socket.send(json.dumps(self._first))
                self._keep(await self._socket.recv())
        self._task = asyncio.create_task(self._listen(self._socket))
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._socket:
            await self._socket.close()
        if self._task:
            await self._task

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            self._keep(message)

    def _keep(self, message: str | bytes) -> None:
        self.messages.append(json.loads(message))
        self._changed.set()

    async def until(self, true_of: Callable[[dict[str, Any]], bool], timeout_s: float = DEADLINE_S) -> bool:
        """Wait until a message is as wanted; False when none is in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not any(true_of(message) for message in self.messages):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


def transcriptions(api: Api, key: str) -> Watcher:
    """`/ws/calls/transcriptions`, subscribed to the call with this CallSid or conversation id."""
    name = "conversation_id" if key.startswith("conv_") else "call_sid"
    return Watcher(api.url, "/ws/calls/transcriptions", api.token, {"type": "subscribe", name: key})


def events(api: Api) -> Watcher:
    """`/ws/events`, everything of the organisation."""
    return Watcher(api.url, "/ws/events", api.token)
