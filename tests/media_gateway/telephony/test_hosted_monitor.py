"""Live transcripts where the account offers them, and the truth about it where it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.simulators.elevenlabs_api import API_KEY
from media_gateway.telephony.hosted_monitor import Monitors
from realtime.call import Call, Status
from realtime.events import EventType
from tests.media_gateway.telephony.hosted import Desk, desk
from tests.media_gateway.telephony.test_monitor_words import agent, corrected, user

pytestmark = pytest.mark.anyio


@dataclass
class Followed:
    here: Desk
    monitors: Monitors
    conversation_id: str
    chunks: list[Any]

    async def until(self, holds: Callable[[Call], object]) -> Call:
        async with asyncio.timeout(5):
            while not holds(call := await self.here.only_call()):
                await asyncio.sleep(0.01)
        return call

    async def over(self) -> None:
        async with asyncio.timeout(5):
            while self.monitors._tasks:
                await asyncio.sleep(0.01)

    async def spoken(self) -> list[tuple[str, str]]:
        kinds = (EventType.FINAL_TRANSCRIPT, EventType.AI_RESPONSE_COMPLETE)
        return [(e.data["speaker"], e.data["text"]) for e in await self.here.journalled() if e.type in kinds]


@asynccontextmanager
async def followed(folder: Path, *, key: str = API_KEY, offered: bool = True) -> AsyncIterator[Followed]:
    async with desk(folder) as here:
        here.vendor.monitored = offered
        chunks: list[Any] = []
        monitors = Monitors(
            api_key=key,
            base_url=here.vendor.url,
            journal=here.journal,
            noticed=here.noticed.append,
            live=lambda *moment: chunks.append(moment),
            pause_s=0.02,
        )
        conversation_id = (await here.place()).json()["conversation_id"]
        here.vendor.events[conversation_id] = []
        monitors.watch(await here.only_call())
        try:
            yield Followed(here, monitors, conversation_id, chunks)
        finally:
            await monitors.aclose()


async def test_words_are_there_while_the_call_goes_on(tmp_path: Path) -> None:
    async with followed(tmp_path) as call:
        await asyncio.sleep(0.1)  # it rings; the monitor is not there yet
        assert (await call.here.only_call()).metadata["transcripts"] == "webhook"
        call.here.vendor.becomes(call.conversation_id, "in-progress")
        told = call.here.vendor.events[call.conversation_id]
        told += [{"type": "conversation_initiation_metadata"}]
        head = await call.until(lambda head: head.status is Status.IN_PROGRESS)
        assert (head.metadata["transcripts"], head.metadata["monitor"]) == ("monitor", "live")
        told += [
            agent("Hello Kim, this is dispatch."),
            corrected("Hello Kim, this is dispatch.", "Hello Kim,"),
            user("Hi."),
        ]
        await call.until(lambda head: head.seq == 4)
        assert await call.spoken() == [("assistant", "Hello Kim,"), ("user", "Hi.")]
        assert call.chunks[0][2]["text"] == "Hello Kim, this is dispatch."
        told += [agent("Good bye."), 1000]
        await call.over()
        assert (await call.spoken())[-1] == ("assistant", "Good bye.")
        assert (await call.here.only_call()).metadata["transcripts"] == "monitor"


async def test_a_socket_that_breaks_off_is_not_said_to_be_live(tmp_path: Path) -> None:
    async with followed(tmp_path) as call:
        call.here.vendor.events[call.conversation_id] += [user("Hello?"), 1011]
        call.here.vendor.becomes(call.conversation_id, "in-progress")
        await call.over()
        head = await call.here.only_call()
        assert (head.metadata["transcripts"], head.metadata["monitor"]) == ("webhook", "with the webhook")
        assert await call.spoken() == [("user", "Hello?")]


@pytest.mark.parametrize(("key", "offered"), [(API_KEY, False), ("another key", True)])
async def test_an_account_without_it_is_asked_once(tmp_path: Path, key: str, offered: bool) -> None:
    async with followed(tmp_path, key=key, offered=offered) as call:
        call.here.vendor.becomes(call.conversation_id, "in-progress")
        await call.over()
        head = await call.here.only_call()
        assert (head.status, head.metadata["transcripts"]) == (Status.INITIATED, "webhook")


async def test_nothing_follows_the_end_of_a_call(tmp_path: Path) -> None:
    async with followed(tmp_path) as call:
        head = await call.here.only_call()
        done = {"call_end_time": "2026-11-20T19:00:00.000Z"}
        ts = done["call_end_time"]
        await call.here.journal.complete(head.call_id, Status.COMPLETED, call_data=done, key="k", ts=ts)
        call.here.vendor.events[call.conversation_id] += [user("Late."), 1000]
        call.here.vendor.becomes(call.conversation_id, "in-progress")
        await call.over()
        events = await call.here.journalled()
        assert events[-1].type is EventType.CALL_COMPLETED
