"""What is written at once and what waits for its turn: on the wire there is one order, whatever the socket takes."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from media_gateway.auth import Principal
from media_gateway.dashboard.v1 import frames, model
from media_gateway.dashboard.v1.encoder import Encoder
from media_gateway.dashboard.v1.model import Limits, Phase, State
from media_gateway.dashboard.v1.outbox import Outbox
from media_gateway.dashboard.v1.peer import Peer
from media_gateway.dashboard.v1.socket import Turns
from media_gateway.dashboard.v1.watch import SHORT, Watch
from media_gateway.dashboard.v1.wire import FULL
from media_gateway.middleware import SEND
from realtime.events import Event, EventType, LiveEvent, LiveType
from tests.media_gateway.dashboard.v1.test_wire import opened

pytestmark = pytest.mark.anyio
TS = "2026-11-20T10:00:00.000Z"
ANN = Principal("ann", "default", "viewer")


class Hub:
    """Lets itself be subscribed to."""

    def __init__(self) -> None:
        self.watches: list[Watch] = []

    def attach(self, watch: Watch, **_: object) -> None:
        self.watches.append(watch)

    def leave(self, watch: Watch) -> None:
        if watch in self.watches:
            self.watches.remove(watch)


@dataclass
class Socket:
    """As Starlette's, over a transport that is full when told so."""

    scope: dict[str, Any]
    transport: Any
    room: asyncio.Event

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.room.wait()
        self.transport.write(frames.Line(message["text"].encode()).frame)

    def full(self, yes: bool) -> None:
        self.transport.buffered = FULL + 1 if yes else 0
        self.room.clear() if yes else self.room.set()


def connected() -> tuple[Peer, Socket, Watch]:
    """A client that watches all and has been told so."""
    protocol, transport = opened()
    socket = Socket({SEND: protocol.send}, transport, asyncio.Event())
    socket.room.set()
    hub: Any = Hub()
    state = State(limits=Limits(), opened_at=0, planned_at=1e9, ping_at=1e9, phase=Phase.OPEN, principal=ANN)
    turns = Turns()

    def list_all(peer: Peer, watch: Watch, heads: list[Mapping[str, Any]]) -> None:
        peer.listed(watch, heads, "cursor", recovered=True)

    peer = Peer(
        socket,  # type: ignore[arg-type]
        hub,
        state,
        Outbox(Encoder()),
        wake=turns.ask,
        redeem=lambda *_: None,
        list_all=list_all,
        ping=lambda _: {"type": "ping"},
        recheck_at=1e9,
    )
    peer.tell(model.Received(frames.Subscribe(1, call_id="*"), 1.0))
    (watch,) = hub.watches
    watch.found([])
    return peer, socket, watch


def said(socket: Socket) -> list[dict[str, Any]]:
    """The frames on the wire."""
    found = []
    for frame in socket.transport.written:
        start = {126: 4, 127: 10}.get(frame[1], 2)
        found.append(json.loads(frame[start:]))
    return found


def event(seq: int, text: str = "x", call_id: str = "CA1") -> Event:
    return Event(call_id, "e1", seq, EventType.IDLE, TS, {"text": text})


def moment(n: int) -> LiveEvent:
    return LiveEvent("CA1", n, LiveType.PARTIAL_TRANSCRIPT, TS, {"text": "t"}, "l1")


async def settled(peer: Peer) -> None:
    for _ in range(50):
        await asyncio.sleep(0)
    assert not len(peer.outbox)


async def test_where_nothing_waits_it_is_written_at_once_and_before_the_answer_nothing_is() -> None:
    peer, socket, watch = connected()
    assert watch.put([event(1)], replayed_to=0)
    assert said(socket) == []
    await settled(peer)
    assert [frame["type"] for frame in said(socket)] == ["reply", "event"]
    watch.put([event(2)], replayed_to=0)
    watch.put_live(moment(1))
    assert [frame["type"] for frame in said(socket)] == ["reply", "event", "event", "live"]
    watch.put([event(3, "x" * SHORT), event(4)], replayed_to=0)
    assert len(said(socket)) == 4, "a long line takes its turn, and what follows with it"
    await settled(peer)
    assert [frame["seq"] for frame in said(socket) if frame["type"] == "event"] == [1, 2, 3, 4]


async def test_what_a_subscription_of_its_own_tells_is_not_told_by_all_as_well() -> None:
    peer, socket, watch = connected()
    await settled(peer)
    watch.floors["CA1"] = 5  # type: ignore[index]  # as when the call had one up to its fifth event
    for seq in (4, 5, 6):
        watch.put([event(seq)], replayed_to=0)
    watch.put([event(1, call_id="CA2")], replayed_to=0)
    await settled(peer)
    told = [(frame["call_id"], frame["seq"]) for frame in said(socket) if frame["type"] == "event"]
    assert told == [("CA1", 6), ("CA2", 1)]


async def test_nothing_is_written_after_the_end() -> None:
    peer, socket, watch = connected()
    await settled(peer)
    peer.finish(4501, "planned")
    watch.put([event(1)], replayed_to=0)
    watch.put_live(moment(1))
    for _ in range(20):
        await asyncio.sleep(0)
    assert [frame["type"] for frame in said(socket)] == ["reply"]


@pytest.mark.parametrize("seed", range(25))
async def test_the_order_is_kept_however_the_socket_fills_and_empties(seed: int) -> None:
    dice = random.Random(seed)
    peer, socket, watch = connected()
    seq = n = asked = 0
    for _ in range(200):
        match dice.choice(["event", "event", "long", "many", "live", "full", "room", "turn", "ping"]):
            case "event" | "long" as kind:
                seq += 1
                assert watch.put([event(seq, "x" * (SHORT if kind == "long" else 9))], replayed_to=0)
            case "many":
                assert watch.put([event(seq + more) for more in range(1, 8)], replayed_to=0)
                seq += 7
            case "live":
                n += 1
                watch.put_live(moment(n))
            case "full" | "room" as kind:
                socket.full(kind == "full")
            case "turn":
                await asyncio.sleep(0)
            case _:
                asked += 1
                peer.tell(model.Received(frames.Subscribe(1 + asked, call_id="*"), 1.0 + asked))
    socket.full(False)
    await settled(peer)
    told = said(socket)
    assert [frame["seq"] for frame in told if frame["type"] == "event"] == list(range(1, seq + 1))
    assert [frame["n"] for frame in told if frame["type"] == "live"] == list(range(1, n + 1))
    assert [frame["id"] for frame in told if frame["type"] == "reply"] == list(range(1, asked + 2))
