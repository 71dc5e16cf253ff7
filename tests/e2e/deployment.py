"""What is asked of a deployment from outside, with nothing but its addresses and a login."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from infra.local.clients import Api, Watcher

REACHED = ("API_BASE_URL", "WS_BASE_URL", "TEST_USERNAME", "TEST_PASSWORD")
DIALLED = "TEST_PHONE_NUMBER"
SOCKET = "/ws/calls/transcriptions"
CALL_S = 300.0
"""A real call: ringing, talking, and the time that the vendor takes for its analysis."""


class Incomplete(Exception):
    """Some of the variables are set, and others are not."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """`phone_number` is the telephone that rings, "" for none; `ours` a system that the tests started themselves, whose
    telephones are simulated."""

    api_base_url: str
    ws_base_url: str
    username: str
    password: str = field(repr=False)
    phone_number: str = ""
    ours: bool = False
    call_s: float = CALL_S

    def api(self) -> Api:
        """Logged in, inside the context."""
        return Api(self.api_base_url, self.username, self.password)

    def watcher(self, token: str, key: str) -> Watcher:
        """The socket of transcripts, subscribed to this call."""
        name = "conversation_id" if key.startswith("conv_") else "call_sid"
        return Watcher(self.ws_base_url, SOCKET, token, {"type": "subscribe", name: key})


def given(environ: Mapping[str, str]) -> Deployment | None:
    """The deployment that the environment names; None if it names none. Raises Incomplete."""
    values = {name: environ.get(name, "").strip().rstrip("/") for name in (*REACHED, DIALLED)}
    lacking = [name for name in REACHED if not values[name]]
    if not any(values[name] for name in REACHED):
        return None
    if lacking:
        raise Incomplete(f"to test a deployment, set these too: {', '.join(lacking)}")
    wrong = [name for name, scheme in (("API_BASE_URL", "http"), ("WS_BASE_URL", "ws"))
             if not values[name].startswith((f"{scheme}://", f"{scheme}s://"))]  # fmt: skip
    if wrong:
        raise Incomplete(f"{wrong[0]} must be an origin such as https://HOST (WS_BASE_URL: wss://HOST)")
    api, websocket, username, password = (values[name] for name in REACHED)
    return Deployment(api, websocket, username, password, values[DIALLED])


async def sockets_are_there(there: Deployment) -> None:
    """Nothing is dialled: a login, an upgrade that is answered 101, a subscription that is confirmed, and no entry for
    whoever brings a wrong token."""
    async with there.api() as api:
        call_sid = f"CA{uuid4().hex}"
        async with there.watcher(api.token, call_sid) as watcher:
            (answer,) = watcher.messages
            assert answer["type"] == "subscribed", answer
            assert answer["call_sid"] == call_sid
    with pytest.raises(InvalidStatus) as refused:
        async with there.watcher("nonsense", call_sid):
            """Nobody gets here."""
    status = refused.value.response.status_code
    assert status != 404, "the upgrade was answered 404: docs/deploy.md, Is a socket really there?"
    assert status == 401, f"whoever brings a wrong token was answered {status}"


async def a_call_from_order_to_record(there: Deployment) -> dict[str, Any]:
    """A call through the hosted agent, watched on the socket, and fetched afterwards; its record."""
    async with there.api() as api:
        placed = await _order(there, api)
        async with there.watcher(api.token, placed["conversation_id"]) as watcher:
            completed = await watcher.until(lambda message: message["type"] == "call_completed", there.call_s)
            seen = [message.get("status", message["type"]) for message in watcher.messages]
            assert completed, f"not completed within {there.call_s:.0f} s; the socket told {seen}"
        record: dict[str, Any] = watcher.messages[-1]["call_data"]
        assert record["status"] == "completed", f"nobody talked: the call ended as {record['status']}; {seen}"
        head = await api.get(f"/api/v1/calls/{placed['conversation_id']}")
        _transcribed(head, watcher, record)
        fetched = await api.post(f"/driver_data/conversations/{placed['conversation_id']}/fetch", {})
        assert fetched["status"] == "done", f"the vendor says {fetched['status']!r} of a call that we completed"
        assert fetched["conversation_id"] == placed["conversation_id"]
        for name in ("call_sid", "conversation_id"):
            assert record[name] == placed[name]
        return record


async def _order(there: Deployment, api: Api) -> dict[str, Any]:
    said = "This is a test of the telephone system. There is nothing to do; please say thank you and hang up."
    order = {
        "driverId": f"e2e-{int(time.time())}",
        "driverName": "Test",
        "phoneNumber": there.phone_number,
        "violations": [{"type": "reminder", "description": said}],
    }
    try:
        key = {"Idempotency-Key": uuid4().hex}
        placed: dict[str, Any] = await api.post("/driver_data/call-elevenlabs", order, headers=key)
    except httpx2.HTTPStatusError as refused:
        said = refused.response.text[:500]
        raise AssertionError(f"the order was answered {refused.response.status_code}: {said}") from None
    assert set(placed) == {"call_sid", "conversation_id", "status"}
    assert placed["status"] == "initiated"
    return placed


def _transcribed(head: Mapping[str, Any], watcher: Watcher, record: Mapping[str, Any]) -> None:
    """The words came: live where the vendor's monitor is to be had, and in the record in any case."""
    lines = [message for message in watcher.messages if message["type"] == "transcription"]
    assert all(set(line) >= {"conversation_id", "call_sid", "speaker", "text", "final", "timestamp"} for line in lines)
    if head.get("call", head)["metadata"].get("transcripts") == "monitor":
        assert any(line["final"] and line["text"] for line in lines), "the head says live, and no word came"
    assert record["transcript"], "the call is completed and has no transcript: docs/hosted-calls.md"
