"""`/ws/v1` on a real server with the real journal and hub."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from media_gateway.auth import Principal
from realtime.call import Call
from realtime.clock import iso, utcnow
from realtime.events import Draft, EventType, LiveType
from realtime.stores.port import FeedState
from tests.media_gateway.dashboard.test_sockets import append, complete, said
from tests.media_gateway.dashboard.v1.line import Line, line, told
from tests.media_gateway.harness import VIEWER, closed, gateway

pytestmark = pytest.mark.anyio
V1: dict[str, Any] = {"subprotocols": ["callboard.v1"]}


async def test_a_call_from_its_first_event_to_its_last(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        await append(running, said(1, "hello"))
        async with line(running) as client:
            reply = await client.done("subscribe", call_sid="CA1")
            assert {**reply, "epoch": "?"} == {
                "call_id": "CA1",
                "epoch": "?",
                "head": 2,
                "recovered": True,
                "replayed": 2,
                "done": False,
            }
            ringing, hello = await client.frames(2)
            assert ringing["data"] == {"status": "ringing", "call_end_time": None, "reason": None}
            assert {**hello, "ts": "?"} == {
                "type": "event",
                "call_id": "CA1",
                "epoch": reply["epoch"],
                "seq": 2,
                "event": "final_transcript",
                "ts": "?",
                "data": {"turn": 1, "speaker": "user", "text": "hello", "confidence": None},
            }
            running.gateway.core.hub.live("CA1", LiveType.PARTIAL_TRANSCRIPT, {"turn": 2, "text": "wha"}, iso(utcnow()))
            moment = await client.frame()
            assert (moment["type"], moment["event"], moment["n"]) == ("live", "partial_transcript", 1)
            assert moment["live_epoch"]
            await append(running, said(2, "what time"))
            await complete(running)
            assert told(await client.frames(3)) == [
                ("CA1", 3, "final_transcript"),
                ("CA1", 4, "call_status"),
                ("CA1", 5, "call_completed"),
            ]
            again = await client.done("subscribe", call_id="CA1", since={"epoch": reply["epoch"], "seq": 5})
            assert (again["recovered"], again["replayed"], again["done"]) == (True, 0, True)
            await client.quiet()


async def test_coming_back_brings_what_was_missed_and_nothing_else(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        async with line(running) as client:
            epoch = (await client.done("subscribe", call_id="CA1"))["epoch"]
            await client.frame()
        await append(running, said(1, "one"), said(2, "two"))
        async with line(running) as client:
            reply = await client.done("subscribe", call_id="CA1", since={"epoch": epoch, "seq": 1})
            assert (reply["recovered"], reply["head"], reply["replayed"]) == (True, 3, 2)
            assert [seq for _, seq, _ in told(await client.frames(2))] == [2, 3]
            await client.quiet()


@pytest.mark.parametrize(
    ("since", "reason"), [({"epoch": "x", "seq": 1}, "epoch_changed"), ({"seq": 9}, "epoch_changed")]
)
async def test_where_the_journal_cannot_answer_a_snapshot_precedes_the_events(
    tmp_path: Path, since: dict[str, Any], reason: str
) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        async with line(running) as client:
            reply = await client.done("subscribe", call_id="CA1", since=since)
            assert (reply["recovered"], reply["reason"], reply["replayed"]) == (False, "epoch_changed", 0)
            snapshot = await client.frame()
            assert (snapshot["type"], snapshot["seq"], snapshot["epoch"]) == ("snapshot", 1, reply["epoch"])
            assert snapshot["state"]["status"] == "ringing"
            assert "owner" not in snapshot["state"]
            await append(running, said(1, "next"))
            assert told([await client.frame()]) == [("CA1", 2, "final_transcript")]


async def test_a_replay_that_is_too_long_is_a_snapshot(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        await append(running, *[said(n, "x") for n in range(500)])
        async with line(running) as client:
            assert (await client.done("subscribe", call_id="CA1", since={"seq": 1}))["replayed"] == 500
            assert len(await client.frames(500)) == 500
            await client.done("unsubscribe", call_id="CA1")
            assert (await client.done("subscribe", call_id="CA1"))["reason"] == "too_long"
            assert (await client.frame())["type"] == "snapshot"
            await client.quiet()


async def test_all_calls_from_their_heads_on_and_no_event_twice(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        await append(running, said(1, "before"))
        async with line(running) as client:
            reply = await client.done("subscribe", call_id="*", filter={"org": "default"})
            assert [(head["call_id"], head["seq"], head["status"]) for head in reply["heads"]] == [
                ("CA1", 2, "ringing")
            ]
            assert not {"tail", "owner", "expire_at"} & set(reply["heads"][0])
            await append(running, said(2, "after"))
            await running.ring("CA2")
            assert told(await client.frames(2)) == [("CA1", 3, "final_transcript"), ("CA2", 1, "call_status")]
            # With a subscription of its own as well, the call is told by that one alone ...
            assert (await client.done("subscribe", call_id="CA1", since={"seq": 2}))["replayed"] == 1
            await append(running, said(3, "once"))
            assert [seq for _, seq, _ in told(await client.frames(2))] == [3, 4]
            await complete(running)
            assert [seq for _, seq, _ in told(await client.frames(2))] == [5, 6]
            # ... and when that is over, by `*` again.
            late = Draft(EventType.ANALYSIS_READY, {"analysis": {}}, "analysis", iso(utcnow()))
            await append(running, late)
            assert told([await client.frame()]) == [("CA1", 7, "analysis_ready")]
            await client.quiet()


async def test_a_cursor_brings_the_calls_that_came_and_went_meanwhile(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        journal = running.gateway.core.journal
        async with line(running) as client:
            cursor = (await client.done("subscribe", call_id="*"))["cursor"]
        await running.ring("CA1")
        await complete(running)
        await journal.append("CA1", (), change={"active": False})
        async with line(running, resume={"all": {"cursor": cursor}}) as client:
            reply = await client.done("subscribe", call_id="*")
            assert [(head["call_id"], head["seq"]) for head in reply["heads"]] == [("CA1", 3)]
            assert reply["recovered"] is True
        async with line(running) as client:
            assert (await client.done("subscribe", call_id="*"))["heads"] == []
        async with line(running) as client:
            forged = cursor[:-4] + "AAAA"
            reply = await client.done("subscribe", call_id="*", since={"cursor": forged})
            assert (reply["recovered"], reply["heads"]) == (False, [])


async def test_another_organisations_calls_are_unknown(tmp_path: Path) -> None:
    stranger = Principal("eve", "other", "admin")
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        async with line(running, stranger) as client:
            assert await client.refused("subscribe", call_id="CA1") == "unknown_call"
            assert await client.refused("subscribe", call_id="CA9") == "unknown_call"
            assert await client.refused("subscribe", call_id="*", filter={"org": "default"}) == "forbidden"
            assert (await client.done("subscribe", call_id="*"))["heads"] == []
            await append(running, said(1, "secret"))
            await client.quiet()
        await running.until(lambda: not running.gateway.core.hub.subscriptions)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"type": "subscribe"}, "bad_request"),
    ({"type": "subscribe", "call_id": "CA1", "call_sid": "CA1"}, "bad_request"),
    ({"type": "subscribe", "call_id": "a/b"}, "bad_request"),
    ({"type": "subscribe", "call_id": "x" * 200}, "bad_request"),
    ({"type": "subscribe", "call_id": "CA1", "since": {"seq": -1}}, "bad_request"),
    ({"type": "subscribe", "call_id": "CA1", "since": {"cursor": "x"}}, "bad_request"),
    ({"type": "subscribe", "call_id": "CA1", "since": {"epoch": "x"}}, "bad_request"),
    ({"type": "subscribe", "call_id": "*", "since": {"seq": 1}}, "bad_request"),
    ({"type": "subscribe", "call_id": "CA1", "lanes": ["live"]}, "bad_request"),
    ({"type": "subscribe", "call_id": "CA1", "lanes": ["fast"]}, "bad_request"),
    ({"type": "dance"}, "bad_request"),
    ({"type": "unsubscribe", "call_id": "CA1"}, "unknown_call"),
    ({"type": "unsubscribe"}, "bad_request"),
    ({"type": "ack", "call_id": "CA1", "seq": 1}, "unknown_call"),
    ({"type": "connect", "token": "again"}, "bad_request"),
    ({"type": "refresh", "token": "a.b.c"}, "unauthorized"),
]


async def test_commands_that_cannot_be_done_are_answered_and_the_connection_stays(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        async with line(running) as client:
            for command, code in REFUSED:
                fields = {key: value for key, value in command.items() if key != "type"}
                assert await client.refused(command["type"], **fields) == code, command
            await client.done("subscribe", call_id="CA1")
            await client.frame()
            assert await client.refused("subscribe", call_sid="CA1") == "already_subscribed"
            assert await client.done("ack", call_id="CA1", seq=1) == {"call_id": "CA1", "seq": 1}
            assert await client.done("unsubscribe", call_id="CA1") == {"call_id": "CA1"}
            await append(running, said(1, "not told"))
            await client.quiet()


FATAL = [
    ("not json", 4400),
    ("[]", 4400),
    ('{"type":"subscribe"}', 4400),
    ('{"id":0,"type":"subscribe"}', 4400),
    ('{"id":"2","type":"subscribe"}', 4400),
    (b"\x00\x01", 4400),
    ('{"id":1,"type":"subscribe","call_id":"CA1"}', 4409),
    ('{"id":1,"type":"dance"}', 4409),
    ('{"id":2,"type":"subscribe","call_id":"' + "x" * 17_000 + '"}', 1009),
    ('{"id":2,"type":' + "[" * 3000, 4400),
]


@pytest.mark.parametrize(("message", "code"), FATAL)
async def test_what_is_no_command_ends_the_connection(tmp_path: Path, message: str | bytes, code: int) -> None:
    async with gateway(tmp_path) as running, line(running) as client:
        await client.ws.send(message)
        assert await closed(client.ws) == code


FIRST = [
    ('{"id":1,"type":"connect","token":"a.b.c"}', 4401),
    ('{"id":1,"type":"subscribe","call_id":"*"}', 4401),
    ('{"id":1,"type":"refresh","token":"x"}', 4401),
    ('{"id":1,"type":"connect"}', 4400),
    ("hello", 4400),
    ('{"id":1,"type":"connect","token":"' + "x" * 9_000 + '"}', 1009),
]


@pytest.mark.parametrize(("message", "code"), FIRST)
async def test_the_first_message_must_bring_a_good_ticket(tmp_path: Path, message: str, code: int) -> None:
    async with gateway(tmp_path) as running, running.socket("/ws/v1", **V1) as ws:
        await ws.send(message)
        assert await closed(ws) == code


async def test_a_ticket_works_once_and_an_access_token_never(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        ticket = (await running.http.post("/ws-ticket", headers=running.bearer())).json()["ticket"]
        async with running.socket("/ws/v1", **V1) as ws:
            hello = await Line(ws).done("connect", token=ticket, client="test/1")
            assert (hello["ping"], hello["pong_timeout"], hello["max_subscriptions"]) == (25, 10, 128)
            assert hello["conn"]
            assert hello["expires_at"]
        for token in (ticket, running.tokens.access(VIEWER)):
            async with running.socket("/ws/v1", **V1) as ws:
                await ws.send(json.dumps({"id": 1, "type": "connect", "token": token}))
                assert await closed(ws) == 4401


async def test_the_door(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        async with running.socket("/ws/v1") as ws:
            assert await closed(ws) == 4406
        async with running.socket(f"/ws/v1?ticket={running.tokens.ticket(VIEWER)}", **V1) as ws:
            assert ws.subprotocol == "callboard.v1"
            assert await closed(ws) == 4400
        with pytest.raises(InvalidStatus) as refused:
            async with running.socket("/ws/v1", origin="https://evil.example", **V1):
                pass
        assert refused.value.response.status_code == 403
        assert len(running.gateway.connections) == 0


async def test_a_user_has_so_many_connections(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        lines = [line(running) for _ in range(10)]
        for one in lines:
            await one.__aenter__()
        async with running.socket("/ws/v1", **V1) as ws:
            await ws.send(json.dumps({"id": 1, "type": "connect", "token": running.tokens.ticket(VIEWER)}))
            assert await closed(ws) == 4429
        async with line(running, Principal("bob", "default", "viewer")) as client:
            await client.quiet()
        await lines.pop().__aexit__(None, None, None)
        await running.until(lambda: len(running.gateway.connections) == 9)
        async with line(running) as client:
            await client.quiet()
        for one in lines:
            await one.__aexit__(None, None, None)


async def test_a_refresh_keeps_the_connection_and_is_the_same_users(tmp_path: Path) -> None:
    soon = Principal("ann", "default", "viewer", expires=utcnow() + timedelta(seconds=2))
    async with gateway(tmp_path) as running, line(running, soon) as client:
        assert (
            await client.refused("refresh", token=running.tokens.ticket(Principal("eve", "default", "admin")))
            == "forbidden"
        )
        later = Principal("ann", "default", "viewer", expires=utcnow() + timedelta(hours=1))
        reply = await client.done("refresh", token=running.tokens.ticket(later))
        assert reply["expires_at"] > iso(utcnow() + timedelta(minutes=50))


async def test_a_login_that_has_expired_ends_the_connection(tmp_path: Path) -> None:
    soon = Principal("ann", "default", "viewer", expires=utcnow() + timedelta(seconds=1))
    async with gateway(tmp_path) as running, line(running, soon) as client:
        assert await closed(client.ws) == 4405


async def test_everybody_is_told_at_once_that_this_instance_goes(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, line(running) as one, line(running) as two:
        await running.gateway.drain()
        assert [await closed(one.ws), await closed(two.ws)] == [1001, 1001]


async def test_the_store_is_away_and_back(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, line(running) as client:
        await client.done("subscribe", call_id="*")
        hub = running.gateway.core.hub
        await running.until(lambda: hub.state is FeedState.LIVE)
        hub._feed_state(FeedState.DEGRADED)
        told = await client.frame()
        assert (told["type"], told["reason"]) == ("degraded", "store_unreachable")
        assert told["since"] <= iso(utcnow())
        async with line(running, Principal("bob", "default", "viewer")) as newcomer:
            assert (await newcomer.frame())["type"] == "degraded"
        hub._feed_state(FeedState.CONNECTING)
        hub._feed_state(FeedState.LIVE)
        assert await client.frame() == {"type": "restored"}
        await client.quiet()


async def test_a_call_of_any_id(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        ringing = Draft(EventType.CALL_STATUS, {"status": "initiated"}, "status:initiated", iso(utcnow()))
        await running.gateway.core.journal.open(
            Call(call_id="EL_1", call_sid="CA7", conversation_id="conv_1"), (ringing,)
        )
        for name in ("call_id", "call_sid", "conversation_id"):
            value = {"call_id": "EL_1", "call_sid": "CA7", "conversation_id": "conv_1"}[name]
            async with line(running) as client:
                assert (await client.done("subscribe", **{name: value}))["call_id"] == "EL_1"
                assert told([await client.frame()]) == [("EL_1", 1, "call_status")]


async def test_nothing_is_left_when_they_are_gone(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        counts = []
        async with line(running, Principal("bob", "default", "viewer")) as stays:
            await stays.done("subscribe", call_id="*")  # the hub and the clock run throughout
            for _ in range(4):
                async with line(running) as client:
                    await client.done("subscribe", call_id="*")
                    await client.done("subscribe", call_id="CA1")
                await running.until(lambda: running.gateway.core.hub.subscriptions == {"*": 1})
                await running.until(lambda: len(running.gateway.connections) == 1)
                counts.append(len(asyncio.all_tasks()))
        assert counts[-1] <= counts[0]
