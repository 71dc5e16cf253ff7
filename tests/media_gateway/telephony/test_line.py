"""The line's buffer: bounded, ordered, cleared, and quiet when the peer is gone."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.websockets import WebSocketDisconnect

from media_gateway.telephony.line import SocketLine
from media_gateway.telephony.media_protocol import Frames

pytestmark = pytest.mark.anyio


class Peer:
    """What a socket's send does; stalls while `open` is not set."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.gone: Exception | None = None

    async def send(self, frame: str) -> None:
        await self.open.wait()
        if self.gone:
            raise self.gone
        self.got.append(json.loads(frame)["event"])


async def test_a_slow_peer_costs_a_bounded_amount_and_then_its_call() -> None:
    peer, told = Peer(), asyncio.Event()
    peer.open.clear()
    line = SocketLine(Frames("MZ1"), limit=10_000)
    writing = asyncio.create_task(line.write_out(peer.send, told.set))
    line.media(b"\xff" * 160)
    await asyncio.sleep(0)
    while not told.is_set():
        line.media(b"\xff" * 160)
    line.media(b"\xff" * 100_000)
    peer.open.set()
    await asyncio.wait_for(writing, 1)
    assert peer.got == ["media"], "only what was under way already"
    assert not line.hung_up


async def test_clear_drops_sound_and_keeps_marks() -> None:
    peer = Peer()
    line = SocketLine(Frames("MZ1"))
    for n in range(3):
        line.media(b"\xff" * 800)
        line.mark(f"g1:{n}")
    line.clear()
    line.media(b"\x00")
    line.close()
    line.close()
    await asyncio.wait_for(line.write_out(peer.send, lambda: None), 1)
    assert peer.got == ["mark", "mark", "mark", "clear", "media"]
    assert line.hung_up


async def test_room_that_clear_made_can_be_used_again() -> None:
    told: list[bool] = []
    line = SocketLine(Frames("MZ1"), limit=10_000)
    peer = Peer()
    peer.open.clear()
    writing = asyncio.create_task(line.write_out(peer.send, lambda: told.append(True)))
    for _ in range(20):
        line.media(b"\xff" * 3_000)
        line.clear()
    assert told == []
    peer.open.set()
    line.close()
    await asyncio.wait_for(writing, 1)


@pytest.mark.parametrize("error", [WebSocketDisconnect(1006), OSError("gone"), RuntimeError("already closed")])
async def test_a_peer_that_left(error: Exception) -> None:
    peer = Peer()
    peer.gone = error
    line = SocketLine(Frames("MZ1"))
    line.media(b"\xff")
    line.media(b"\xff")
    await asyncio.wait_for(line.write_out(peer.send, lambda: None), 1)
    line.media(b"\xff")
    assert peer.got == []
    assert not line.hung_up


async def test_no_sound_is_no_message() -> None:
    peer = Peer()
    line = SocketLine(Frames("MZ1"))
    line.media(b"")
    line.close()
    await asyncio.wait_for(line.write_out(peer.send, lambda: None), 1)
    assert peer.got == []


class Socket:
    """Takes what is written at once, or does not."""

    def __init__(self) -> None:
        self.got: list[list[str]] = []
        self.takes = True

    def write(self, frames: list[bytes]) -> bool:
        if self.takes:
            self.got.append([json.loads(frame)["event"] for frame in frames])
        return self.takes


async def test_frames_of_one_turn_are_one_write_and_no_task_wakes() -> None:
    socket, peer = Socket(), Peer()
    line = SocketLine(Frames("MZ1"), write=socket.write)
    writing = asyncio.create_task(line.write_out(peer.send, lambda: None))
    await asyncio.sleep(0)
    line.media(b"\xff" * 800)
    line.mark("g1:1")
    await asyncio.sleep(0.001)
    line.media(b"\xff" * 800)
    line.clear()
    line.close()
    await asyncio.wait_for(writing, 1)
    assert socket.got[0] == ["media", "mark"]
    assert [event for write in socket.got[1:] for event in write] + peer.got == ["clear"], (
        "and no sound that was cleared"
    )


async def test_nothing_overtakes_what_a_slow_peer_is_waited_for() -> None:
    socket, peer = Socket(), Peer()
    socket.takes = False
    peer.open.clear()
    line = SocketLine(Frames("MZ1"), write=socket.write)
    writing = asyncio.create_task(line.write_out(peer.send, lambda: None))
    line.media(b"\xff")
    await asyncio.sleep(0.001)  # the task has it in hand, and waits
    socket.takes = True
    line.mark("g1:1")
    await asyncio.sleep(0.001)
    assert socket.got == []
    peer.open.set()
    await asyncio.sleep(0.001)
    line.clear()
    await asyncio.sleep(0.001)
    assert (peer.got, socket.got) == (["media", "mark"], [["clear"]])
    line.close()
    await asyncio.wait_for(writing, 1)
