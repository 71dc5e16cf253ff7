"""Nobody sees another organisation's call: every route and every socket of the application, walked by the greatest
principal that another organisation has. A route or socket that is new is walked too; a socket that this file does not
know fails it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus

from media_gateway.auth import Principal
from realtime import audit
from realtime.accounts import Accounts
from realtime.call import Call, Status
from realtime.clock import utcnow
from realtime.events import Draft, EventType
from realtime.records import inbox
from tests.media_gateway.harness import Running, gateway

pytestmark = pytest.mark.anyio
EVE = Principal("eve", "other", "admin")
ADMIN = Principal("root", "default", "admin")
SECRET = "a-word-of-the-caller"
PHONE = "+14155550123"
TS = "2026-11-20T12:00:00.000Z"
IDS = ("CA1", "CA_SID_1", "conv_1")
OPEN = {"/livez", "/readyz", "/openapi.json", "/", "/auth/login"}
"""Without a principal, and without anything of an organisation."""
VENDORS = "/api/v1/voice/"
"""Signed by Twilio: no principal comes there."""
OUTWARD = {"/driver_data/call-elevenlabs", ("POST", "/api/v1/calls"), ("POST", "/api/v1/campaigns")}
OWN = "/api/v1/do-not-call/{phone}"
"""Any number may be taken off one's own list; that of another organisation is another list."""


async def peopled(running: Running) -> str:
    """Something of everything in the organisation `default`; the id of its key."""
    core = running.gateway.core
    metadata = {"variables": {"note": SECRET}, "audio": {"name": "audio/CA1.mp3", "bytes": 5}}
    call = Call(
        call_id="CA1", call_sid="CA_SID_1", conversation_id="conv_1", hosted=True, caller_phone=PHONE, metadata=metadata
    )
    await core.journal.open(call)
    line = {"turn": 1, "speaker": "user", "text": SECRET, "confidence": 1.0}
    await core.journal.append("CA1", [Draft(EventType.FINAL_TRANSCRIPT, line, "t1", TS)])
    assert core.blobs is not None
    core.blobs.put("audio/CA1.mp3", SECRET.encode(), content_type="audio/mpeg")
    message = inbox.Message(message_id="m1", call_id="CA1", text=SECRET, at=TS, callback=PHONE)
    await core.store.commit(inbox.writes("default", message))
    await audit.record(core.store, "default", SECRET, "call.say", "CA1", utcnow())
    accounts = Accounts(core.store)
    await accounts.add_user("ann", org="default", role="viewer", password="$argon2id$" + SECRET, actor="root")
    key, _ = await accounts.add_key(SECRET, org="default", role="admin", actor="root")
    return key.id


def bodies(document: dict[str, Any], path: str, method: str) -> Any:
    """What the document says that the route takes."""
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {})
    fields = content.get("application/json", {}).get("schema", {}).get("properties", {})
    values = {
        "password": "correct horse battery", "name": "mallory", "label": "x", "role": "viewer", "phone": PHONE,
        "to": PHONE, "text": "hello", "by": "phone", "driverId": "7", "current": "x", "new": "correct horse battery",
    }  # fmt: skip
    return {name: values[name] for name in fields if name in values}


def filled(path: str, any_id: str, key_id: str) -> str:
    names = {"name": "ann", "key_id": key_id, "call_id": any_id, "conversation_id": any_id}
    names |= {"campaign_id": any_id, "phone": "%2B14155550199"}
    return re.sub(r"{(\w+)}", lambda found: names[found[1]], path)


async def state(running: Running, key_id: str) -> Any:
    """All that another organisation could have changed here."""
    core, accounts = running.gateway.core, Accounts(running.gateway.core.store)
    call = await core.journal.find("CA1")
    events = await core.journal.events("CA1")
    _, entries = await inbox.newest(core.store, "default")
    return call, events, entries, await accounts.user("ann"), await accounts.key(key_id)


async def test_no_route_shows_or_changes_anything_of_another_organisation(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        key_id = await peopled(running)
        before = await state(running, key_id)
        document = (await running.http.get("/openapi.json")).json()
        walked = 0
        for route in (route for route in running.app.routes if isinstance(route, Route)):
            if route.path in OPEN or route.path.startswith(VENDORS):
                continue
            for method in sorted((route.methods or set()) - {"HEAD"}):
                if route.path in OUTWARD or (method, route.path) in OUTWARD:
                    continue
                for any_id in IDS:
                    path = filled(route.path, any_id, key_id)
                    headers = running.bearer(EVE)
                    body = bodies(document, route.path, method)
                    answer = await running.http.request(method, path, headers=headers, json=body or None)
                    told = f"{method} {path}: {answer.status_code} {answer.text[:200]}"
                    assert SECRET not in answer.text, told
                    assert PHONE not in answer.text, told
                    assert answer.status_code < 500, told
                    if "{" in route.path and route.path != OWN:
                        assert answer.status_code in (404, 422), told
                    walked += 1
        assert walked > 60
        assert await state(running, key_id) == before
        for path in ("/api/v1/calls", "/api/v1/calls/CA1", "/api/v1/messages", "/api/v1/audit", "/api/v1/keys"):
            mine = await running.http.get(path, headers=running.bearer(ADMIN))
            assert SECRET in mine.text, "what the walk looked for is there to be seen by its owners"


async def heard(ws: Any) -> str:
    """All that a socket says within a moment."""
    said = ""
    try:
        async with asyncio.timeout(0.3):
            while True:
                frame = await ws.recv()
                said += frame if isinstance(frame, str) else frame.decode(errors="replace")
    except (TimeoutError, ConnectionClosed):
        return said


async def ticket(running: Running, principal: Principal) -> str:
    answer = await running.http.post("/ws-ticket", headers=running.bearer(principal))
    return str(answer.json()["ticket"])


async def asks(running: Running, path: str, principal: Principal) -> str:
    """What somebody hears on this socket who asks for the call in every way there is, while it goes on."""
    said = ""
    commands: list[dict[str, Any]] = [{"type": "subscribe", "call_sid": one} for one in IDS]
    commands += [{"type": "subscribe", "conversation_id": one} for one in IDS]
    v1 = path == "/ws/v1"
    if v1:
        commands = [{"id": n, "type": "subscribe", "call_id": one} for n, one in enumerate((*IDS, "*"), 2)]
    options: dict[str, Any] = {"subprotocols": ["callboard.v1"]} if v1 else {}
    try:
        async with running.socket(path, **options) as ws:
            hello = {"id": 1, "type": "connect", "token": "", "ticket": await ticket(running, principal)}
            await ws.send(json.dumps({**hello, "token": hello["ticket"]}))
            for command in commands:
                await ws.send(json.dumps(command))
            said += await heard(ws)
            line = {"turn": 2, "speaker": "user", "text": SECRET, "confidence": 1.0}
            key = f"{path} {principal.user}"
            await running.gateway.core.journal.append("CA1", [Draft(EventType.FINAL_TRANSCRIPT, line, key, TS)])
            said += await heard(ws)
            said += f" closed {ws.close_code}"
    except (InvalidStatus, ConnectionClosed) as refused:
        said += str(refused)
    return said


SHOWN = ("/ws/calls/transcriptions", "/ws/events", "/ws/v1")
NOT_SHOWN = ("/ws/voice", "/api/v1/calls/{call_id}/listen", "/api/v1/calls/{call_id}/takeover")
"""They show no journal: one's own voice, and the sound of a call that runs here."""
TWILIO = ("/api/v1/voice/media-stream",)


async def test_no_socket_tells_of_another_organisations_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await peopled(running)
        await running.gateway.core.journal.append("CA1", (), change={"status": Status.IN_PROGRESS})
        sockets = {route.path for route in running.app.routes if isinstance(route, WebSocketRoute)}
        assert sockets == {*SHOWN, *NOT_SHOWN, *TWILIO}, "a new socket: say here what it shows and to whom"
        for path in SHOWN:
            assert SECRET not in await asks(running, path, EVE), path
            assert SECRET in await asks(running, path, ADMIN), f"{path} shows it to its owners"
        for path in NOT_SHOWN:
            said = await asks(running, filled(path, "CA1", ""), EVE)
            assert SECRET not in said
            assert "closed 44" in said or path == "/ws/voice", said
