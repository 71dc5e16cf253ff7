"""F13 to F17: races, slow and many clients, another journal, clocks that are wrong."""

from __future__ import annotations

import asyncio
import json
import resource
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from media_gateway.auth import Principal
from media_gateway.dashboard.v1.model import Limits
from realtime.call import Call
from realtime.clock import utcnow
from realtime.journal import Journal
from realtime.stores.port import Delete, Doc, Query
from tests.faults.fleet import Writer, beside, following
from tests.faults.inside import inside
from tests.faults.proxy import Proxy
from tests.media_gateway.harness import Running, closed, gateway

pytestmark = pytest.mark.anyio


async def test_f13_an_event_between_the_registration_and_the_reading_of_the_journal(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        journal = here.running.gateway.core.journal
        await here.writer.open("CA1")
        find, events = journal.find, journal.events

        async def late_find(any_id: str) -> Call | None:
            await here.writer.say("CA1")
            call = await find(any_id)
            await here.writer.say("CA1")
            return call

        async def late_events(call_id: str, after: int = 0, limit: int = 500) -> Any:
            await here.writer.say("CA1")
            page = await events(call_id, after, limit)
            await here.writer.say("CA1")
            return page

        journal.find, journal.events = late_find, late_events  # type: ignore[method-assign]
        async with following(here.address, calls=("CA1",)) as follower:
            await follower.until(lambda: follower.record)
            journal.find, journal.events = find, events  # type: ignore[method-assign]
            await follower.has(here.writer, "CA1")


async def test_f14_a_slow_client_is_closed_and_nobody_else_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_gateway.dashboard.v1.socket.Limits", lambda: Limits(max_bytes=300_000))
    async with inside(tmp_path) as here, AsyncExitStack() as stack:
        await here.writer.open("CA1")
        fast = [
            await stack.enter_async_context(following(here.address, calls=("CA1",), user=f"user{n}")) for n in range(10)
        ]
        ticket = here.running.tokens.ticket(Principal("slow", "default", "viewer"))
        protocol = Subprotocol("callboard.v1")
        slow = await connect(f"ws://{here.address}/ws/v1", subprotocols=[protocol], proxy=None, max_queue=1)
        await slow.send(json.dumps({"id": 1, "type": "connect", "token": ticket}))
        await slow.recv()
        await slow.send(json.dumps({"id": 2, "type": "subscribe", "call_id": "CA1"}))
        hub = here.running.gateway.core.hub
        await here.running.until(lambda: hub.subscriptions == {"CA1": 11})
        for n in range(600):  # 20 MB: more than the kernel buffers for anybody
            await here.writer.say("CA1", text="x" * 30_000)
            for follower in fast:
                await follower.until(lambda n=n, follower=follower: len(follower.record) == n + 2)  # type: ignore[misc]
            if hub.subscriptions["CA1"] < 11:
                break
        assert hub.subscriptions == {"CA1": 10}
        assert await closed(slow) == 4508
        for follower in fast:
            await follower.has(here.writer, "CA1")
            assert len([state for state in follower.states if state.phase == "live"]) == 1
        async with following(here.address, calls=("CA1",), user="slow") as resumed:
            await resumed.has(here.writer, "CA1")


def _counted(here: Running, reads: list[str]) -> None:
    """What this gateway asks its store for."""
    store = here.gateway.core.store
    get, ask = store.get, store.query

    async def counted_get(*paths: str) -> list[Doc | None]:
        reads.extend(path for path in paths if path.startswith(("calls/", "aliases/")))
        return await get(*paths)

    async def counted_query(query: Query) -> list[Doc]:
        reads.append(query.collection)
        return await ask(query)

    store.get, store.query = counted_get, counted_query  # type: ignore[method-assign]


async def _storm(tmp_path: Path, clients: int, gateways: int) -> None:
    """All lose their sockets at once and come back, each with what it saw last, while events go on: a call's journal
    is read once for all of a gateway, not once for each."""
    reads: list[str] = []
    loop = asyncio.get_running_loop()
    async with beside(tmp_path) as writer, AsyncExitStack() as stack:
        doors: list[Proxy] = []
        for _ in range(gateways):
            one = await stack.enter_async_context(gateway(tmp_path, CALLBOARD_ROLE="dashboard"))
            doors.append(await stack.enter_async_context(Proxy(f"127.0.0.1:{one.server.bound_port}")))
            _counted(one, reads)
        await writer.open("CA1")
        await writer.say("CA1", 30)
        before = await writer.log("CA1")
        there, over = asyncio.Barrier(clients + 1), asyncio.Event()

        async def client(n: int) -> None:
            door = doors[n % gateways].address
            async with following(door, calls=("CA1",), everything=True, user=f"user{n}") as follower:
                await follower.until(lambda: len(follower.record) == len(before))
                await there.wait()
                await over.wait()
                await follower.until(lambda: len(follower.record) >= len(log))
                assert follower.record[: len(log)] == log  # its analysis comes when it comes
                assert len([state for state in follower.states if state.phase == "live"]) == 2

        async with asyncio.TaskGroup() as group:
            for n in range(clients):
                group.create_task(client(n))
            await there.wait()
            reads.clear()
            began = loop.time()
            for door in doors:
                door.reset()
            for _ in range(4):
                await writer.say("CA1", 5)
            await writer.complete("CA1")
            log = await writer.log("CA1")
            over.set()
        # So many a second at most, whatever the number of clients.
        assert len(reads) < gateways * (10 + 6 * (loop.time() - began)), (len(reads), reads[:20])


async def test_f15_a_storm_of_clients_that_come_back(tmp_path: Path) -> None:
    await _storm(tmp_path, clients=100, gateways=1)


@pytest.mark.long
@pytest.mark.timeout(330)
async def test_f15_a_storm_of_a_thousand(tmp_path: Path) -> None:
    """On three gateways, for each takes 500 sockets at most. Four descriptors for each client are all ours here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{wanted} open files are needed and {hard} allowed: ulimit -Hn {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        await _storm(tmp_path, clients=1000, gateways=3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_f16_a_journal_that_was_rebuilt_or_has_expired_is_a_snapshot_never_a_silent_hole(tmp_path: Path) -> None:
    async with inside(tmp_path) as here:
        await here.writer.open("CA1")
        await here.writer.say("CA1", 30)
        events = await here.writer.store.query(Query("calls/CA1/events", order_by="seq"))
        await here.writer.store.commit([Delete(doc.path) for doc in events[:20]])
        async with following(here.address, calls=("CA1",)) as follower:
            await follower.until(lambda: follower.snapshots)
            assert (follower.record, follower.snapshots[0].seq) == ([], 31)
            await here.writer.say("CA1")
            await follower.until(lambda: follower.record)
            assert [seq for _, _, seq, _ in follower.record] == [32]
            # Rebuilt: other events under the same name.
            left = await here.writer.store.query(Query("calls/CA1/events", order_by="seq"))
            left += await here.writer.store.query(Query("calls/CA1/idem"))
            paths = [*(doc.path for doc in left), "calls/CA1", "aliases/CA1"]
            await here.writer.store.commit([Delete(path) for path in paths])
            again = Writer(here.writer.store)
            await again.open("CA1")
            await follower.until(lambda: len(follower.snapshots) == 2)
            await again.say("CA1")
            await follower.until(lambda: len(follower.record) == 2)
            assert follower.record[-1] == (await again.log("CA1"))[-1]


@pytest.mark.parametrize("minutes", [5, pytest.param(-5, marks=pytest.mark.long)])
async def test_f17_clocks_that_are_wrong_change_nothing(tmp_path: Path, minutes: int) -> None:
    async with inside(tmp_path) as here:
        wrong = Writer(here.writer.store)
        wrong.journal = Journal(here.writer.store, clock=lambda: utcnow() + timedelta(minutes=minutes))
        async with following(here.address, everything=True) as follower:
            await wrong.open("CA1")
            await wrong.say("CA1", 3)
            await follower.has(here.writer, "CA1")
            # A call that comes and goes while the client is away, dated by the wrong clock.
            line = follower.client._line
            assert line is not None
            await line.ws.close()
            await wrong.open("CA2")
            await wrong.complete("CA2")
            await wrong.journal.append("CA2", (), change={"active": False})
            await wrong.say("CA1")
            await follower.has(here.writer, "CA1", "CA2")
