"""Deletion on request reaches everything, and leaves what must stay. On both stores."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.applier import Applier
from realtime import audit, dead_letters, parts, recording, retention
from realtime.blobs import open_blobs
from realtime.bus.envelope import encode, push_body
from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from realtime.clock import iso
from realtime.dead_letters import KeptAside, Letters
from realtime.erasure import Eraser, GoesOn, NotANumber, is_erased
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.numbers import facts
from realtime.records import do_not_call, inbox
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Create, DocumentStore, Query
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = "2026-12-20T12:00:00.000Z"
PHONE, OTHER = "+14155550123", "+14155550199"
SECRET = "my card number"


def news(call_id: str, text: str = "") -> BusMessage:
    keys = {"conversation_id": f"conv_{call_id}"}
    data = {"transcript": text, "audio": {"name": f"audio/{call_id}.mp3"}}
    return BusMessage(f"n-{call_id}-{len(text)}", "elevenlabs", "new_kind", keys, iso(NOON), data)


def pushed(message: BusMessage) -> str:
    data, attributes = encode(message)
    return json.dumps(push_body(data, attributes, message_id="1", publish_time="t", ordering_key="k"))


async def lived(store: DocumentStore, folder: Path, call_id: str, phone: str, *, org: str = "default") -> Call:
    """A call with everything that a call can leave behind."""
    blobs = open_blobs("", folder)
    assert blobs is not None
    journal = Journal(store, clock=lambda: NOON)
    blobs.put(f"audio/{call_id}.mp3", SECRET.encode(), content_type="audio/mpeg")
    blobs.put(recording.part_name(call_id, 0, 2), b"xx", content_type=recording.CONTENT_TYPE)
    metadata = {"audio": {"name": f"audio/{call_id}.mp3"}, "intent": f"wish-{call_id}"}
    call = Call(
        call_id=call_id, org=org, call_sid=f"CA-{call_id}", conversation_id=f"conv_{call_id}", caller_phone=phone,
        metadata=metadata,
    )  # fmt: skip
    await journal.open(call)
    line = {"turn": 1, "speaker": "user", "text": SECRET, "confidence": 1.0}
    await journal.append(call_id, [Draft(EventType.FINAL_TRANSCRIPT, line, "t1", iso(NOON))])
    for name in ("commands", "effects", "facts"):
        await store.commit([Create(f"calls/{call_id}/{name}/one", {"text": SECRET, "expire_at": LATER})])
    await store.commit([Create(facts.path(call_id), {"text": SECRET, "expire_at": LATER})])
    await store.commit([Create(f"intents/wish-{call_id}", {"to": phone, "variables": {"a": SECRET}})])
    message = inbox.Message(message_id=f"m-{call_id}", call_id=call_id, text=SECRET, at=iso(NOON), callback=phone)
    await store.commit(inbox.writes(org, message))
    await journal.park(news(call_id, SECRET))
    await journal.park(news(call_id, SECRET * 20_000))  # in parts
    await dead_letters.keep(store, pushed(news(call_id)), "unknown", news(call_id), now=NOON, expire_at=LATER)
    await do_not_call.add(store, org, phone, now=NOON)
    record = {"transcript": SECRET * 5_000}  # in parts too
    return (await journal.complete(call_id, Status.COMPLETED, call_data=record, key="e", ts=iso(NOON))).call


def eraser(store: DocumentStore, folder: Path) -> Eraser:
    return Eraser(store, open_blobs("", folder), Letters([KeptAside(store)]), days=30)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*"))


async def left(store: DocumentStore, call_id: str) -> list[str]:
    """Paths of everything that still tells of the call."""
    found = [doc.path for doc in await store.query(Query("calls")) if doc.path == f"calls/{call_id}"]
    for name in retention.OF_A_CALL:
        found += [doc.path for doc in await store.query(Query(f"calls/{call_id}/{name}"))]
    for name in ("aliases", "waiting", "facts"):
        found += [doc.path for doc in await store.query(Query(name)) if call_id in str(doc)]
    found += [doc.path for doc in await store.query(Query("dead_letters")) if call_id in str(doc.data)]
    found += [doc.path for doc in await store.query(Query("orgs/default/messages")) if call_id in str(doc.data)]
    found += [
        doc.path for doc in await store.query(Query("intents")) if SECRET in str(doc.data) and call_id in doc.path
    ]
    return found


@pytest.mark.parametrize("kind", BOTH)
async def test_everything_of_a_call_goes_and_its_neighbour_stays(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        call = await lived(store, tmp_path, "CA1", PHONE)
        await lived(store, tmp_path, "CA2", OTHER)
        before = await left(store, "CA2")
        assert len(await left(store, "CA1")) == len(before) > 12
        gone = await eraser(store, tmp_path).call(call, actor="ann", now=NOON)
        assert await left(store, "CA1") == []
        assert await left(store, "CA2") == before
        assert (gone.calls, gone.messages, gone.letters, gone.news, gone.files) == (1, 1, 1, 2, 5)
        assert files(tmp_path) == ["CA2-000000000-0000002.ulaw", "CA2.mp3"]
        assert await do_not_call.listed(store, "default", PHONE)
        (entry,) = (await audit.newest(store, "default"))[0]
        assert (entry.actor, entry.action, entry.target) == ("ann", "call.erase", "CA1")
        assert PHONE not in str(entry)
        assert await Journal(store).find("conv_CA1") is None
        again = await eraser(store, tmp_path).call(call, actor="ann", now=NOON)
        assert (again.letters, again.messages, again.news) == (0, 0, 0)


@pytest.mark.parametrize("kind", BOTH)
async def test_everything_of_a_number_goes_in_its_organisation(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        for call_id, phone, org in (("CA1", PHONE, "default"), ("CA2", OTHER, "default"), ("CA3", PHONE, "acme")):
            await lived(store, tmp_path, call_id, phone, org=org)
        await Journal(store).open(Call(call_id="CA4", to_number=PHONE))
        await Journal(store).park(BusMessage("n9", "twilio", "x", {"call_sid": "CA9"}, iso(NOON), {"From": PHONE}))
        await dead_letters.keep(store, pushed(BusMessage("n8", "x", "y", {}, iso(NOON), {"To": PHONE})), "w", None,
                                now=NOON, expire_at=LATER)  # fmt: skip
        gone = await eraser(store, tmp_path).phone("default", "(415) 555-0123", actor="ann", now=NOON)
        assert await left(store, "CA1") == []
        assert await left(store, "CA2") != []
        assert (gone.calls, gone.ongoing) == (1, ("CA4",))
        assert (gone.news, gone.letters) == (3, 2)
        assert await Journal(store).find("CA3") is not None, "another organisation's"
        told = str((await audit.newest(store, "default"))[0])
        assert "phone.erase" in told
        assert PHONE not in told
        with pytest.raises(NotANumber):
            await eraser(store, tmp_path).phone("default", "nobody", actor="ann", now=NOON)


async def test_a_call_that_goes_on_is_left_alone(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with opened(opener("embedded", request, clock=lambda: NOON)) as store:
        call = await Journal(store).open(Call(call_id="CA1"))
        with pytest.raises(GoesOn):
            await eraser(store, tmp_path).call(call, actor="ann", now=NOON)
        assert await Journal(store).find("CA1") is not None


@pytest.mark.parametrize("kind", BOTH)
async def test_news_that_comes_afterwards_is_dropped(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        call = await lived(store, tmp_path, "CA1", PHONE)
        await eraser(store, tmp_path).call(call, actor="ann", now=NOON)
        status = BusMessage("s", "twilio", "status", {"call_sid": "CA-CA1"}, iso(NOON), {"CallStatus": "ringing"})
        assert await Applier(Journal(store), store).apply(status) == "dropped"
        assert await left(store, "CA1") == []
        assert await is_erased(store, ["conv_CA1"])
        assert not await is_erased(store, ["conv_CA2", ""])


@pytest.mark.parametrize("kind", BOTH)
async def test_everything_that_a_call_leaves_behind_expires(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with opened(opener(kind, request, clock=lambda: NOON)) as store:
        await lived(store, tmp_path, "CA1", PHONE)
        collections = ["calls", "aliases", "waiting", "dead_letters", *(f"calls/CA1/{n}" for n in retention.OF_A_CALL)]
        for name in collections:
            assert name.rpartition("/")[2] in retention.TTL_COLLECTIONS
            docs = await store.query(Query(name))
            assert all(doc.data.get(retention.TTL_FIELD) for doc in docs), name


async def test_the_sweep_empties_a_store_that_nobody_writes_to(tmp_path: Path) -> None:
    now = NOON
    store, blobs = EmbeddedStore(tmp_path / "callboard.db", clock=lambda: now), open_blobs("", tmp_path / "files")
    assert blobs is not None
    await parts.save(store, "parked/x/parts", "text", iso(NOON.replace(day=21)))
    blobs.put("audio/x.mp3", b"x", content_type="audio/mpeg")
    now = NOON.replace(day=22)
    assert await retention.sweep(store, blobs, days=36_500, now=now) == 0
    far = datetime(2100, 1, 1, tzinfo=UTC)
    assert await retention.sweep(store, blobs, days=30, now=far) == 1
    async with asyncio.timeout(5):
        while await store.query(Query("parked/x/parts")):
            await asyncio.sleep(0.01)
    assert await retention.sweep(store, None, days=30, now=now) == 0
    await store.aclose()
