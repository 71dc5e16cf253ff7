"""The scribe against the real journal on the embedded store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import stamina
from structlog.testing import capture_logs

from media_gateway.voice import scribe as module
from media_gateway.voice.scribe import Scribe
from realtime.call import Call
from realtime.clock import utcnow
from realtime.events import Draft, Event, EventType
from realtime.journal import Appended, Fenced, Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Conflict, Create, Put, StoreUnavailable, Write

CALL = "CA1"
pytestmark = pytest.mark.anyio


class FlakyJournal(Journal):
    """Fails `fails` times: before the commit, or after it (the answer is lost)."""

    fails = 0
    after = False
    appends = 0

    async def append(
        self,
        call_id: str,
        drafts: Sequence[Draft],
        *,
        change: Mapping[str, Any] | None = None,
        writes: Sequence[Write] = (),
        term: int | None = None,
    ) -> Appended:
        self.appends += 1
        failing, self.fails = self.fails > 0, self.fails - 1
        if failing and not self.after:
            raise StoreUnavailable("away")
        appended = await super().append(call_id, drafts, change=change, writes=writes, term=term)
        if failing:
            raise StoreUnavailable("the answer was lost")
        return appended


class Desk:
    """A scribe at work."""

    def __init__(self, path: Path) -> None:
        self.store = EmbeddedStore(path / "callboard.db")
        self.journal = FlakyJournal(self.store)
        self.heads: list[Call] = []
        self.fenced = 0
        self.scribe = Scribe(self.journal, CALL, clock=utcnow, wrote=self.heads.append, fenced=self._fence)

    def _fence(self) -> None:
        self.fenced += 1

    async def own(self) -> int:
        return (await self.journal.own(CALL, "me")).owner_term

    async def events(self) -> list[Event]:
        events = await self.journal.events(CALL)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return events

    async def digits(self) -> str:
        return "".join(event.data["digit"] for event in await self.events() if event.type is EventType.DTMF)


@asynccontextmanager
async def at_work(path: Path, *, start: bool = True) -> AsyncIterator[Desk]:
    desk = Desk(path)
    await desk.journal.open(Call(call_id=CALL))
    writing = asyncio.create_task(desk.scribe.run())
    try:
        if start:
            desk.scribe.start(await desk.own())
        yield desk
    finally:
        writing.cancel()
        await asyncio.wait({writing})
        await desk.store.aclose()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    context = stamina.retry_context

    def fast(**settings: Any) -> Any:
        return context(**(settings | {"wait_initial": 0.001, "wait_max": 0.002, "wait_jitter": 0.0}))

    monkeypatch.setattr(stamina, "retry_context", fast)


def note(desk: Desk, digit: str) -> None:
    desk.scribe.note(EventType.DTMF, {"turn": 0, "digit": digit})


async def test_order_and_batches(tmp_path: Path) -> None:
    async with at_work(tmp_path, start=False) as desk:
        for digit in "0123456789" * 4:
            note(desk, digit)
        await asyncio.sleep(0.01)
        assert await desk.events() == []
        desk.scribe.lead(EventType.CALL_STATUS, {"status": "in_progress", "call_end_time": None, "reason": None})
        desk.scribe.start(await desk.own())
        await asyncio.wait_for(desk.scribe.flush(), 5)
        assert (await desk.events())[0].type is EventType.CALL_STATUS
        assert await desk.digits() == "0123456789" * 4
        assert desk.journal.appends == 3
        assert desk.heads[-1].seq == 41


async def test_flush_is_at_once_when_there_is_nothing(tmp_path: Path) -> None:
    async with at_work(tmp_path, start=False) as desk:
        await asyncio.wait_for(desk.scribe.flush(), 1)


async def test_notes_that_come_while_writing_are_written_too(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        for digit in "0123456789":
            note(desk, digit)
            await asyncio.sleep(0)
        await asyncio.wait_for(desk.scribe.flush(), 5)
        assert await desk.digits() == "0123456789"


async def test_an_effect_and_its_line_are_one_commit(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        note(desk, "1")
        await desk.scribe.commit(EventType.TOOL_CALL, {"tool": "book"}, [Create("slots/14", {"by": CALL})])
        (slot,) = await desk.store.get("slots/14")
        assert slot
        note(desk, "2")
        with pytest.raises(Conflict):
            await desk.scribe.commit(EventType.TOOL_CALL, {"tool": "book"}, [Create("slots/14", {"by": "other"})])
        note(desk, "3")
        await desk.scribe.flush()
        types = [event.type for event in await desk.events()]
        assert types == [EventType.DTMF, EventType.TOOL_CALL, EventType.DTMF, EventType.DTMF]
        assert (await desk.store.get("slots/14"))[0] == slot


@pytest.mark.parametrize("after", [False, True], ids=["nothing was written", "the answer was lost"])
async def test_an_outage_is_waited_out_and_nothing_is_written_twice(tmp_path: Path, after: bool) -> None:
    async with at_work(tmp_path) as desk:
        desk.journal.fails, desk.journal.after = 3, after
        note(desk, "1")
        await desk.scribe.commit(EventType.TOOL_CALL, {"tool": "book"}, [Create("slots/14", {"by": CALL})])
        note(desk, "2")
        await desk.scribe.flush()
        assert await desk.digits() == "12"
        assert len(await desk.events()) == 3


async def test_another_owner_fences(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        note(desk, "1")
        await desk.scribe.flush()
        await desk.journal.own(CALL, "another")
        note(desk, "2")
        with pytest.raises(Fenced):
            await desk.scribe.commit(EventType.TOOL_CALL, {}, [Create("slots/14", {"by": CALL})])
        assert desk.fenced
        assert await desk.digits() == "1"
        assert await desk.store.get("slots/14") == [None]


async def test_what_cannot_be_kept_takes_nothing_else_with_it(tmp_path: Path) -> None:
    async with at_work(tmp_path, start=False) as desk:
        note(desk, "1")
        desk.scribe.note(EventType.TOOL_CALL, {"result": object()})
        note(desk, "2")
        desk.scribe.start(await desk.own())
        await asyncio.wait_for(desk.scribe.flush(), 5)
        assert await desk.digits() == "12"
        with pytest.raises(TypeError):
            await desk.scribe.commit(EventType.TOOL_CALL, {"result": object()}, [])
        note(desk, "3")
        await asyncio.wait_for(desk.scribe.flush(), 5)
        assert await desk.digits() == "123"


async def test_nothing_comes_after_the_seal(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        note(desk, "1")
        await desk.scribe.flush()
        desk.scribe.seal()
        note(desk, "2")
        with pytest.raises(StoreUnavailable):
            await desk.scribe.commit(EventType.TOOL_CALL, {}, [])
        await asyncio.wait_for(desk.scribe.flush(), 1)
        assert await desk.digits() == "1"


async def test_the_wait_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    async with at_work(tmp_path, start=False) as desk:
        for digit in "12345":
            note(desk, digit)
        desk.scribe.start(await desk.own())
        await asyncio.wait_for(desk.scribe.flush(), 5)
        assert await desk.digits() == "123"


async def test_a_flood_of_notes_leaves_room_for_tools_and_for_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    monkeypatch.setattr(module, "ROOM", 1)
    with capture_logs() as lines:
        async with at_work(tmp_path, start=False) as desk:
            for _ in range(50):
                note(desk, "1")
            tool = asyncio.create_task(desk.scribe.commit(EventType.TOOL_CALL, {}, [Create("slots/14", {"by": CALL})]))
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable):
                await desk.scribe.commit(EventType.TOOL_CALL, {}, [])
            desk.scribe.start(await desk.own())
            await asyncio.wait_for(tool, 5)
            assert await desk.digits() == "111"
    assert [line["event"] for line in lines].count("event_not_kept") == 1


async def test_a_caller_who_stops_waiting_breaks_nothing(tmp_path: Path) -> None:
    async with at_work(tmp_path) as desk:
        waiting = asyncio.create_task(desk.scribe.commit(EventType.TOOL_CALL, {}, [Put("slots/14", {"by": CALL})]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        note(desk, "1")
        await asyncio.wait_for(desk.scribe.flush(), 5)
        assert await desk.digits() == "1"
