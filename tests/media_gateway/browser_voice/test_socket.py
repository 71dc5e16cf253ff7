"""`/ws/voice` on a real server: let in, carried, told, continued; and what hostile or unlucky clients do."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from media_gateway.auth import Principal
from realtime.call import Call, Status
from realtime.clock import iso, utcnow
from realtime.events import Draft, EventType, LiveType
from tests.media_gateway import harness
from tests.media_gateway.harness import VIEWER, NotedSession, Running, closed

pytestmark = pytest.mark.anyio
ANA = Principal("ana", "default", "operator")
FRAME = b"\x00\x10" * 320


def gateway(tmp_path: Path, **env: Any) -> AbstractAsyncContextManager[Running]:
    """However busy this machine is, it takes calls."""
    return harness.gateway(tmp_path, CALLBOARD_MAX_LAG_MS="0", **env)


def ticket(running: Running, principal: Principal = ANA) -> str:
    return running.tokens.ticket(principal)


async def talk(ws: ClientConnection, running: Running, principal: Principal = ANA, **start: Any) -> str:
    """Log in and begin; the id of the conversation."""
    await ws.send(json.dumps({"type": "auth", "ticket": ticket(running, principal)}))
    assert json.loads(await ws.recv())["type"] == "authenticated"
    await ws.send(json.dumps({"type": "start", **start}))
    told = json.loads(await ws.recv())
    assert told["event"] == "started"
    session_id: str = told["data"]["session_id"]
    return session_id


async def append(running: Running, call_id: str, *drafts: Draft) -> Call:
    done = await running.gateway.core.journal.append(call_id, drafts)
    running.gateway.core.hub.notice(done.call.to_dict())
    return done.call


def draft(kind: EventType, n: int, **data: Any) -> Draft:
    return Draft(kind, {"turn": n, **data}, f"{kind}:{n}", iso(utcnow()))


def a_turn(n: int) -> tuple[Draft, Draft, Draft]:
    return (
        draft(EventType.FINAL_TRANSCRIPT, n, speaker="user", text="capital?", confidence=None),
        draft(EventType.AI_RESPONSE_COMPLETE, n, speaker="assistant", text="Paris.", full_text="Paris."),
        draft(EventType.TURN_METRICS, n, stages={"thinking": 12}, tokens={}),
    )


async def events(ws: ClientConnection, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            message = json.loads(await ws.recv())
            if message.get("event"):
                found.append(message)
    return found


async def until_lost(session: NotedSession) -> None:
    async with asyncio.timeout(5):
        await session.over.wait()
    assert session.notes[-1] == ("lost", None)


async def test_sound_goes_up_at_half_the_rate_and_comes_down_at_twice(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws:
        call_id = await talk(ws, running)
        for _ in range(5):
            await ws.send(FRAME)
        await ws.send(json.dumps({"type": "text", "text": " hello "}))
        session = await running.session(call_id)
        await running.until(lambda: ("text", "hello") in session.notes)
        heard = b"".join(note for kind, note in session.notes if kind == "media")
        assert abs(len(heard) - 5 * 160) <= 16
        session.line.media(b"\xff" * 400)
        session.line.mark("m1")
        sound = await ws.recv()
        assert isinstance(sound, bytes)
        assert len(sound) == 1600
        await running.until(lambda: ("mark", "m1") in session.notes)
        session.line.clear()
        assert json.loads(await ws.recv()) == {"event": "clear", "data": {}}
        head = await running.gateway.core.journal.find(call_id)
        assert head is not None
        assert (head.direction, head.metadata) == ("inbound", {"source": "browser", "user": "ana"})
        await ws.send(json.dumps({"type": "stop"}))
        assert await closed(ws) == 1000
        assert session.notes[-1] == ("stop", None)
        assert session.ended


async def test_sound_or_a_word_begins_as_well_as_start_does(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        for first in (FRAME, json.dumps({"type": "text", "text": "hi"})):
            async with running.socket("/ws/voice") as ws:
                await ws.send(json.dumps({"type": "connect", "ticket": ticket(running)}))
                await ws.recv()
                await ws.send(first)
                session = await running.session(json.loads(await ws.recv())["data"]["session_id"])
                await running.until(partial(getattr, session, "notes"))
        assert [session.notes[0][0] for session in running.sessions] == ["media", "text"]


async def test_speaker_and_everybody_hear_the_same_in_the_same_order(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws, running.socket("/ws/events") as wall:
        await wall.send(json.dumps({"type": "auth", "ticket": ticket(running, VIEWER)}))
        await wall.recv()
        call_id = await talk(ws, running)
        hub = running.gateway.core.hub
        stamp = iso(utcnow())
        await append(running, call_id, draft(EventType.DTMF, 0, digit="1"))
        await events(wall, 2)  # it rings, and both are there
        await events(ws, 1)
        hub.live(call_id, LiveType.PARTIAL_TRANSCRIPT, {"turn": 1, "text": "cap"}, stamp)
        final, complete, metrics = a_turn(1)
        await append(running, call_id, final)
        mine, theirs = await events(ws, 2), await events(wall, 2)
        hub.live(call_id, LiveType.AI_RESPONSE_CHUNK, {"turn": 1, "offset": 0, "text": "Pa"}, stamp)
        mine += await events(ws, 1)
        theirs += await events(wall, 1)
        await append(running, call_id, complete, metrics)
        mine += await events(ws, 2)
        theirs += await events(wall, 2)
        assert mine == theirs
        assert [message["event"] for message in mine] == [
            "partial_transcript", "final_transcript", "ai_response_chunk", "ai_response_complete", "metrics_updated",
        ]  # fmt: skip
        for message in mine:
            assert message["data"]["userId"] == "ana"
            assert message["data"]["session_id"] == call_id
            assert message["data"]["timestamp"]
        assert [message["data"]["text"] for message in mine[:4]] == ["cap", "capital?", "Pa", "Paris."]
        assert mine[4]["data"]["last_response_time"] == 12


async def test_switched_off_the_wall_hears_nothing_and_the_speaker_all(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, ENABLE_WEBRTC_BROADCAST="false") as running,
        running.socket("/ws/voice") as ws,
        running.socket("/ws/events") as wall,
    ):
        await wall.send(json.dumps({"type": "auth", "ticket": ticket(running, VIEWER)}))
        await wall.recv()
        call_id = await talk(ws, running)
        await append(running, call_id, *a_turn(1))
        assert len(await events(ws, 3)) == 3
        other = await running.gateway.core.journal.open(Call(call_id="CA1"), a_turn(1))
        running.gateway.core.hub.notice(other.to_dict())
        assert {message["data"]["session_id"] for message in await events(wall, 3)} == {"CA1"}
        assert len(await running.gateway.core.journal.events(call_id)) == 4


async def test_a_failing_broadcast_never_touches_the_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("no encoder today")

    monkeypatch.setattr("media_gateway.dashboard.sockets.GlobalEncoder.message", broken)
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws:
        call_id = await talk(ws, running)
        session = await running.session(call_id)
        await append(running, call_id, *a_turn(1))
        session.line.media(b"\xff" * 8)
        assert len(await ws.recv()) == 32
        await ws.send(json.dumps({"type": "text", "text": "still here"}))
        await running.until(lambda: ("text", "still here") in session.notes)
        assert not session.over.is_set()


async def test_a_reload_goes_on_in_the_same_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        async with running.socket("/ws/voice") as ws:
            call_id = await talk(ws, running)
            await running.gateway.core.journal.own(call_id, "here")
            first = await running.session(call_id)
        await until_lost(first)
        async with running.socket("/ws/voice") as ws:
            assert await talk(ws, running, session_id=call_id) == call_id
        assert running.sessions[-1].started.resumed


async def test_an_ended_conversation_is_continued_where_it_stopped(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        journal = running.gateway.core.journal
        async with running.socket("/ws/voice") as ws:
            old = await talk(ws, running, flow="inbound_general")
            await journal.append(old, a_turn(1), change={"conversation_state": {"state": "slot_collection"}})
            await ws.send(json.dumps({"type": "stop"}))
            await closed(ws)
        await journal.complete(old, Status.COMPLETED, call_data={}, key="end", ts=iso(utcnow()))
        async with running.socket("/ws/voice") as ws:
            new = await talk(ws, running, session_id=old)
            assert new != old
            head = await journal.find(new)
            assert head is not None
            assert head.conversation_state == {"state": "slot_collection"}
            assert (head.flow, head.metadata["continues"]) == ("inbound_general", old)
            told = [event.data["text"] for event in await journal.events(new) if event.data.get("text")]
            assert told == ["capital?", "Paris."]
            assert running.sessions[-1].started.resumed


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"session_id": "CA1"}, "not_found"),
        ({"session_id": "../x"}, "not_found"),
        ({"flow": "no_such_flow"}, "bad_request"),
        ({"flow": 7}, "bad_request"),
        ({"session_id": "x" * 200}, "bad_request"),
    ],
)
async def test_a_start_that_cannot_be_says_why(tmp_path: Path, first: dict[str, Any], code: str) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws:
        await ws.send(json.dumps({"type": "auth", "ticket": ticket(running)}))
        await ws.recv()
        await ws.send(json.dumps({"type": "start", **first}))
        refusal = json.loads(await ws.recv())
        assert (refusal["type"], refusal["code"]) == ("error", code)
        assert await closed(ws) in (4400, 4403)
        assert running.sessions == []
        assert await running.journal_size() == 0


async def test_nobody_goes_on_with_the_conversation_of_another(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        async with running.socket("/ws/voice") as ws:
            call_id = await talk(ws, running)
            async with running.socket("/ws/voice") as other:
                await other.send(
                    json.dumps({"type": "auth", "ticket": ticket(running, Principal("bo", "default", "admin"))})
                )
                await other.recv()
                await other.send(json.dumps({"type": "start", "session_id": call_id}))
                assert json.loads(await other.recv())["code"] == "forbidden"
                assert await closed(other) == 4403
        assert len(running.sessions) == 1


async def test_the_door(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        with pytest.raises(InvalidStatus, match="403"):
            async with running.socket("/ws/voice", origin="https://evil.example"):
                pass
        async with running.socket("/ws/voice") as ws:
            await ws.send(FRAME)
            assert await closed(ws) == 4401
        async with running.socket("/ws/voice") as ws:
            await ws.send(json.dumps({"type": "auth", "ticket": ticket(running, VIEWER)}))
            assert await closed(ws) == 4403
        assert running.sessions == []
        assert await running.journal_size() == 0


@pytest.mark.parametrize(
    ("hostile", "code"),
    [
        ([b"\x00" * 17_000], 4400),
        ([b"\x00" * 641], 4400),
        (["not json"], 4400),
        (["[]"], 4400),
        ([b"\x00" * 16_000] * 40, 4429),
        ([json.dumps({"type": "text", "text": "x"})] * 80, 4429),
    ],
)
async def test_hostile_input_ends_the_conversation_cleanly(tmp_path: Path, hostile: list[Any], code: int) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws:
        session = await running.session(await talk(ws, running))
        for frame in hostile:
            await ws.send(frame)
        assert await closed(ws) == code
        await until_lost(session)
        await running.until(lambda: session.ended and len(running.gateway.sessions) == 0)


async def test_texts_that_cannot_be_said_are_told_so(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws:
        session = await running.session(await talk(ws, running))
        for wrong in (
            {"type": "text", "text": " "},
            {"type": "text", "text": "x" * 1001},
            {"type": "text"},
            {"type": "sing"},
        ):
            await ws.send(json.dumps(wrong))
            assert json.loads(await ws.recv())["code"] == "bad_request"
        assert not [note for note in session.notes if note[0] == "text"]


async def test_a_full_house_takes_no_more(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, CALLBOARD_MAX_CALLS="1") as running,
        running.socket("/ws/voice") as ws,
        running.socket("/ws/voice") as late,
    ):
        await talk(ws, running)
        await late.send(json.dumps({"type": "auth", "ticket": ticket(running)}))
        await late.recv()
        await late.send(json.dumps({"type": "start"}))
        assert await closed(late) == 1013


async def test_a_session_that_crashes_closes_its_socket_and_no_other(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws, running.socket("/ws/voice") as other:
        session = await running.session(await talk(ws, running))
        await talk(other, running)
        session.crash = True
        session.over.set()
        assert await closed(ws) == 1000
        await other.send(json.dumps({"type": "ping"}))
        assert json.loads(await other.recv()) == {"type": "pong"}


async def test_whoever_was_to_be_handed_over_is_let_go(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/voice") as ws:
        call_id = await talk(ws, running)
        journal = running.gateway.core.journal
        await journal.append(call_id, (), change={"next": "handoff"})
        session = await running.session(call_id)
        session.over.set()
        assert await closed(ws) == 1000
        async with asyncio.timeout(5):
            while (await journal.events(call_id))[-1].type != EventType.CALL_COMPLETED:
                await asyncio.sleep(0.01)
