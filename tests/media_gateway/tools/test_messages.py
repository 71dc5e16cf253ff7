"""Messages: kept once, seen by the owner, who is told once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from media_gateway.telephony.sms import TextAlert
from media_gateway.tools.alerts import Alerter, log_only
from media_gateway.tools.services import EffectFailed, EffectRefused, EffectUnknown, Services
from realtime.records import inbox
from realtime.records.inbox import Message
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Doc, DocumentStore, HeadFeed, Query, Write
from tests.media_gateway.tools.scene import JOHN, NOW, STRANGER, Scene
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio

TEXT = "Please call me about my brakes."


@pytest.fixture(params=BOTH)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with opened(opener(request.param, request, clock=lambda: NOW)) as store:
        yield await Scene(store).open()


async def test_the_same_message_of_a_call_is_one_message(scene: Scene) -> None:
    first = await scene.do("CA1", JOHN.phone, "take_message", text=TEXT)
    again = await scene.do("CA1", JOHN.phone, "take_message", text=f"  {TEXT.lower()} ")
    other = await scene.do("CA2", JOHN.phone, "take_message", text=TEXT)
    assert first.ok
    assert again.data == first.data != other.data
    found, cursor = await inbox.newest(scene.store, "acme")
    assert (len(found), cursor) == (2, None)
    message = next(one for one in found if one.call_id == "CA1")
    assert (message.text, message.callback, message.name) == (TEXT, JOHN.phone, JOHN.name)
    assert (message.alert, message.expire_at) == ("pending", "2026-12-20T15:15:00.000Z")


async def test_another_number_to_call_back_or_none(scene: Scene) -> None:
    await scene.do("CA1", JOHN.phone, "take_message", text=TEXT, callback="415 555 0177")
    none = await scene.do("CA2", "anonymous", "take_message", text=TEXT)
    assert (none.ok, none.data["callback"]) == (True, False)
    await scene.do("CA3", STRANGER, "take_message", text=TEXT, callback=" john at  example dot com ")
    found, _ = await inbox.newest(scene.store, "acme")
    assert {one.callback for one in found} == {"+14155550177", None, "john at example dot com"}


async def test_the_inbox_a_page_at_a_time_newest_first(scene: Scene) -> None:
    for n in range(5):
        await scene.do(f"CA{n}", JOHN.phone, "take_message", text=TEXT)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page, cursor = await inbox.newest(scene.store, "acme", before=cursor, limit=2)
        seen += [one.call_id for one in page]
    assert cursor is None
    assert sorted(seen) == [f"CA{n}" for n in range(5)], "all of the same moment, and none twice"
    assert await inbox.newest(scene.store, "other") == ([], None)


@asynccontextmanager
async def telling(
    store: DocumentStore, hook: Callable[[str, Message], Awaitable[None]], *, looks: int = 500
) -> AsyncIterator[Alerter]:
    alerter = Alerter(store, hook, orgs=("acme",), looks=[0.01] * looks)
    running = asyncio.create_task(alerter.run())
    try:
        yield alerter
    finally:
        running.cancel()
        await asyncio.wait({running})


async def kept(scene: Scene) -> Message:
    ((message,), _) = await inbox.newest(scene.store, "acme")
    return message


async def test_the_owner_is_told_once_however_many_instances(scene: Scene) -> None:
    told: list[str] = []

    async def hook(org: str, message: Message) -> None:
        told.append(f"{org} {message.text}")

    async with telling(scene.store, hook) as one, telling(scene.store, hook) as two:
        scene.services = Services(alerts=one)
        found = await scene.do("CA1", JOHN.phone, "take_message", text=TEXT)
        two.notice("acme", found.data["message_id"])
        await one.rest()
        await two.rest()
    assert told == [f"acme {TEXT}"]
    assert (await kept(scene)).alert == "sent"


async def test_a_message_that_was_left_over_is_told_after_the_start(scene: Scene) -> None:
    await scene.do("CA1", JOHN.phone, "take_message", text=TEXT)
    told = asyncio.Event()

    async def hook(org: str, message: Message) -> None:
        told.set()

    async with telling(scene.store, hook), asyncio.timeout(5):
        await told.wait()


@pytest.mark.parametrize(
    ("problem", "alert"),
    [(EffectRefused("no"), "failed"), (EffectFailed(), "failed"), (EffectUnknown(), "unknown")],
)
async def test_what_became_of_the_alert_is_kept(tmp_path: Path, problem: Exception, alert: str) -> None:
    store = EmbeddedStore(tmp_path / "callboard.db", clock=lambda: NOW)
    scene = Scene(store)
    calls = 0

    async def hook(org: str, message: Message) -> None:
        nonlocal calls
        calls += 1
        raise problem

    async with telling(store, hook) as alerter:
        scene.services = Services(alerts=alerter)
        await scene.do("CA1", JOHN.phone, "take_message", text=TEXT)
        await alerter.rest()
        assert ((await kept(scene)).alert, calls) == (alert, 1)
    await store.aclose()


async def test_a_broken_hook_and_a_lost_commit_do_not_silence_the_next(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "callboard.db", clock=lambda: NOW)
    scene = Scene(store)
    told: list[str] = []

    async def hook(org: str, message: Message) -> None:
        if message.call_id == "CA1":
            raise RuntimeError("a bug in the hook")
        told.append(message.call_id)

    async with telling(store, hook, looks=50) as alerter:
        scene.services = Services(alerts=alerter)
        alerter.notice("acme", "M-never-committed")
        await scene.do("CA1", JOHN.phone, "take_message", text=TEXT)
        await scene.do("CA2", JOHN.phone, "take_message", text=TEXT)
        await alerter.rest()
    await store.aclose()
    assert told == ["CA2"]


async def test_the_owner_reads_who_what_and_where_to_call(capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[tuple[str, str]] = []

    class Kept:
        async def send(self, to: str, body: str) -> str:
            sent.append((to, body))
            return "SM1"

        async def find(self, to: str, body: str, since: object) -> str | None:
            return None

    message = Message(message_id="M1", call_id="CA1", text="x" * 300, at="2026-11-20T15:00:00.000Z", callback=STRANGER)
    await TextAlert(Kept(), "+15550001")("acme", message)
    assert sent == [("+15550001", f"A caller left a message: {'x' * 197}... Call back: {STRANGER}")]
    await log_only("acme", message)
    logged = capsys.readouterr().out
    assert "M1" in logged
    assert STRANGER not in logged
    assert "xxx" not in logged


class CommittedMeanwhile:
    """A store in which the message appears right after the first look for it."""

    def __init__(self, store: DocumentStore, message: Message) -> None:
        self._store, self._message, self._looked = store, message, False

    async def get(self, *paths: str) -> list[Doc | None]:
        found = await self._store.get(*paths)
        if not self._looked:
            self._looked = True
            await self._store.commit(inbox.writes("acme", self._message))
        return found

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        return await self._store.commit(writes)

    async def query(self, query: Query) -> list[Doc]:
        return await self._store.query(query)

    def feed(self) -> HeadFeed:
        return self._store.feed()

    async def aclose(self) -> None:
        await self._store.aclose()


async def test_a_message_that_is_committed_while_it_is_looked_for_is_told(tmp_path: Path) -> None:
    told: list[str] = []

    async def hook(org: str, message: Message) -> None:
        told.append(message.message_id)

    message = Message(message_id="M1", call_id="CA1", text=TEXT, at="2026-11-20T15:00:00.000Z")
    store = CommittedMeanwhile(EmbeddedStore(tmp_path / "callboard.db", clock=lambda: NOW), message)
    async with telling(store, hook) as alerter:
        alerter.notice("acme", "M1")
        await alerter.rest()
    await store.aclose()
    assert told == ["M1"]
