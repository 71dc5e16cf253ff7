"""The jobs in the background of an instance: one that fails ends neither the instance nor its calls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media_gateway.telephony import posts
from realtime.stores.port import Put
from tests.media_gateway.harness import gateway, start

pytestmark = pytest.mark.anyio


async def test_a_job_that_fails_is_counted_and_the_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def broken(*_: object) -> None:
        failed.set()
        raise KeyError("a bug")

    monkeypatch.setattr(posts, "watch", broken)
    async with gateway(tmp_path) as running:
        async with asyncio.timeout(20):
            await failed.wait()
        token = await running.ring("CA1")
        async with running.media() as ws:
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            ready = await running.http.get("/readyz")
            assert (ready.status_code, ready.json()["job_faults"]) == (200, 1)
            assert not session.ended


async def test_a_post_that_cannot_be_read_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        core, sessions = running.gateway.core, running.gateway.sessions
        token = await running.ring("CA1")
        async with running.media() as ws:
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            folder = f"posts/{core.instance}/commands"
            await core.store.commit([Put(f"{folder}/0", {"call": 1}), Put(f"{folder}/1", {"call_id": "CA1"})])
            watching = asyncio.create_task(posts.watch(core.store, sessions, core.instance, every=0.01))
            async with asyncio.timeout(20):
                while ("commands", None) not in session.notes:
                    await asyncio.sleep(0.01)
            assert not watching.done()
            watching.cancel()
            await asyncio.wait([watching])
