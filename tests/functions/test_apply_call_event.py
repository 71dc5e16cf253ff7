"""The applier as a functions-framework app: every shape of delivery, and what is acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from functions import applier as rooms
from functions import apply_call_event
from functions.applier import Applier
from realtime.bus.envelope import encode, push_body
from realtime.bus.port import MAX_DATA_BYTES, BusMessage
from realtime.call import Call, Status
from realtime.events import Draft, EventType
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Query, StoreUnavailable
from tests.functions.apps import app_of

T = TypeVar("T")
TS = "2026-11-20T10:00:00.000Z"


def status(word: str, call_sid: str = "CA1") -> BusMessage:
    data = {"CallSid": call_sid, "CallStatus": word}
    return BusMessage(f"twilio:{word}", "twilio", "status", {"call_sid": call_sid}, TS, data)


def push(message: BusMessage) -> dict[str, Any]:
    data, attributes = encode(message)
    return push_body(data, attributes, message_id="1", publish_time=TS, ordering_key=message.ordering_key)


def deliver(body: object, **headers: str) -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    content = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return app_of("apply_call_event").test_client().post("/", data=raw, headers=content).status_code


def beside(path: Path, work: Callable[[Journal, EmbeddedStore], Awaitable[T]]) -> T:
    """What another process does or sees in the same store."""

    async def run() -> T:
        store = EmbeddedStore(path)
        try:
            return await work(Journal(store), store)
        finally:
            await store.aclose()

    return asyncio.run(run())


def opened(path: Path, call: Call) -> Call:
    return beside(path, lambda journal, _: journal.open(call))


def found(path: Path, key: str = "CA1") -> Call:
    call = beside(path, lambda journal, _: journal.find(key))
    assert call is not None
    return call


def kept_aside(path: Path) -> list[dict[str, Any]]:
    async def read(_: Journal, store: EmbeddedStore) -> list[dict[str, Any]]:
        return [dict(doc.data) for doc in await store.query(Query("dead_letters"))]

    return beside(path, read)


CE = {
    "ce_specversion": "1.0",
    "ce_type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce_source": "//x",
    "ce_id": "1",
}


@pytest.mark.parametrize("shape", ["push", "binary", "structured"])
def test_every_shape_of_delivery_is_applied(embedded: Path, shape: str) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    body, headers = push(status("ringing")), {}
    if shape == "binary":
        headers = CE
    elif shape == "structured":
        body = {**{name.removeprefix("ce_"): value for name, value in CE.items()}, "data": body}
        headers = {"Content_Type": "application/cloudevents+json"}
    assert deliver(body, **headers) == 204
    assert found(embedded).status is Status.RINGING


def test_news_comes_in_any_order_and_more_than_once(embedded: Path) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    for word in ("in-progress", "ringing", "initiated", "in-progress", "completed", "in-progress", "completed", "busy"):
        assert deliver(push(status(word))) == 204
    events = beside(embedded, lambda journal, _: journal.events("CA1"))
    assert [(event.type.value, event.data.get("status")) for event in events] == [
        ("call_status", "in_progress"),
        ("call_status", "completed"),
        ("call_completed", None),
    ]


def test_one_of_our_calls_that_ends_without_its_session_has_a_record_all_the_same(embedded: Path) -> None:
    state = {"flow": "inbound_new", "state": "escalation", "turn_count": 1, "escalation_reason": "anger"}

    async def held(journal: Journal, _: EmbeddedStore) -> None:
        opened = Call(call_id="CA1", call_sid="CA1", flow="inbound_new", started_at=TS, conversation_state=state)
        await journal.open(opened)
        said = {"turn": 1, "speaker": "user", "text": "An oil change, please.", "confidence": 0.9}
        await journal.append(
            "CA1",
            [Draft(EventType.FINAL_TRANSCRIPT, said, "1", "2026-11-20T10:00:07.000Z")],
        )

    beside(embedded, held)
    over = BusMessage(
        "t", "twilio", "status", {"call_sid": "CA1"}, "2026-11-20T10:01:00.000Z", {"CallStatus": "completed"}
    )
    assert deliver(push(over)) == 204
    last = beside(embedded, lambda journal, _: journal.events("CA1"))[-1]
    record = last.data["call_data"]
    assert (record["status"], record["duration_secs"], record["analysis_data"]) == ("completed", 60, None)
    line = {"role": "user", "message": "An oil change, please.", "time_in_call_secs": 7, "interrupted": False}
    assert record["transcript"] == [line]
    call = beside(embedded, lambda journal, _: journal.find("CA1"))
    assert call
    assert call.conversation_summary
    assert call.conversation_summary == record["conversation_summary"]
    assert call.conversation_summary["escalation_reason"] == "anger"


def test_the_session_gets_a_moment_to_complete_its_own_call(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def owned(journal: Journal, _: EmbeddedStore) -> None:
        await journal.open(Call(call_id="CA1", call_sid="CA1"))
        await journal.own("CA1", "gateway-1")

    beside(embedded, owned)
    waits: list[float] = []

    async def meanwhile(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            own = EmbeddedStore(embedded)
            record = {"call_id": "CA1", "by": "session"}
            await Journal(own).complete("CA1", Status.COMPLETED, call_data=record, key="end", ts=TS)
            await own.aclose()

    real = Applier.__init__
    monkeypatch.setattr(Applier, "__init__", lambda self, *a, **k: real(self, *a, **{**k, "sleep": meanwhile}))
    assert deliver(push(status("completed"))) == 204
    assert len(waits) == 2
    events = beside(embedded, lambda journal, _: journal.events("CA1"))
    assert [event.type for event in events] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]
    assert events[-1].data["call_data"]["by"] == "session"


def test_a_session_that_is_gone_is_not_waited_for_for_ever(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(rooms, "GRACE_STEP", 0.01)

    async def owned(journal: Journal, _: EmbeddedStore) -> None:
        await journal.open(Call(call_id="CA1", call_sid="CA1"))
        await journal.own("CA1", "gateway-1")

    beside(embedded, owned)
    assert deliver(push(status("no-answer"))) == 204
    assert found(embedded).status is Status.NO_ANSWER


def test_who_answered_is_noted(embedded: Path) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))
    amd = BusMessage("a", "twilio", "amd", {"call_sid": "CA1"}, TS, {"CallSid": "CA1", "AnsweredBy": "machine_start"})
    assert [deliver(push(amd)), deliver(push(amd))] == [204, 204]
    assert found(embedded).answered_by == "voicemail"
    assert found(embedded).seq == 0


def test_news_of_an_unknown_call_waits_for_it_and_is_joined_when_an_id_is_learnt(embedded: Path) -> None:
    assert deliver(push(status("ringing", "CA9"))) == 204
    waiting = Call(call_id="x", call_sid="CA9")
    assert len(beside(embedded, lambda journal, _: journal.parked(waiting))) == 1
    opened(embedded, Call(call_id="EL_1", hosted=True, conversation_id="conv_9"))
    about = {"conversation_id": "conv_9", "call_sid": "CA9"}
    ongoing = BusMessage("n", "elevenlabs", "post_call_transcription", about, TS, {"status": "initiated"})
    assert deliver(push(ongoing)) == 204  # and now the CallSid is known
    assert found(embedded, "CA9").status is Status.RINGING
    assert beside(embedded, lambda journal, _: journal.parked(waiting)) == []


OWN = Call(call_id="CA1", call_sid="CA1")
HOSTED = Call(call_id="EL_1", hosted=True, conversation_id="conv_1", call_sid="CA5")


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"conversation_id": "conv_9", "call_sid": "CA1"}, "not held by ElevenLabs"),
        ({"conversation_id": "conv_9", "call_id": "CA1"}, "not held by ElevenLabs"),
        ({"conversation_id": "conv_9", "call_id": "EL_1"}, "another conversation_id"),
        ({"conversation_id": "conv_1", "call_sid": "CA9"}, "another call_sid"),
        ({"conversation_id": "conv_1", "call_id": "CA1"}, "different calls"),
    ],
)
def test_signed_news_that_points_at_another_call_changes_nothing(
    embedded: Path, keys: dict[str, str], why: str
) -> None:
    before = [opened(embedded, OWN), opened(embedded, HOSTED)]
    forged = BusMessage("f", "elevenlabs", "post_call_transcription", keys, TS, {"status": "done", "transcript": []})
    assert [deliver(push(forged)), deliver(push(forged))] == [204, 204]
    assert [found(embedded, "CA1"), found(embedded, "EL_1")] == before
    (letter,) = kept_aside(embedded)
    assert why in letter["why"]


def test_forged_news_that_waited_does_not_stop_what_waited_beside_it(embedded: Path) -> None:
    forged = BusMessage(
        "f", "elevenlabs", "post_call_transcription", {"conversation_id": "c", "call_sid": "CA9"}, TS, {}
    )
    assert [deliver(push(forged)), deliver(push(status("ringing", "CA9")))] == [204, 204]
    opened(embedded, Call(call_id="EL_1", hosted=True, conversation_id="conv_9"))
    about = {"conversation_id": "conv_9", "call_sid": "CA9"}
    ongoing = BusMessage("n", "elevenlabs", "post_call_transcription", about, TS, {"status": "initiated"})
    assert deliver(push(ongoing)) == 204  # and now the CallSid is known
    assert found(embedded, "CA9").status is Status.RINGING
    assert beside(embedded, lambda journal, _: journal.parked(Call(call_id="x", call_sid="CA9"))) == []
    (letter,) = kept_aside(embedded)
    assert "another conversation_id" in letter["why"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"not json", "not a Pub/Sub push"),
        (b"[]", "not a Pub/Sub push"),
        ({"message": {"attributes": {}}}, "message.data"),
        ({"message": {"data": "***"}}, "base64"),
        ({"message": {"data": "eyJhIjogMX0="}}, "`id`"),
        (push(BusMessage("1", "martian", "hello", {"call_id": "x"}, TS)), "martian"),
        (push(BusMessage("2", "elevenlabs", "new_thing", {"call_id": "x"}, TS)), "new_thing"),
        (push(BusMessage("3", "elevenlabs", "post_call_transcription", {}, TS)), "names no call"),
        (push(BusMessage("4", "twilio", "status", {"call_sid": "CA1"}, TS, {"CallStatus": "dancing"})), "dancing"),
    ],
)
def test_what_can_never_be_applied_is_kept_aside_and_acknowledged(embedded: Path, body: Any, why: str) -> None:
    assert [deliver(body), deliver(body)] == [204, 204]
    (letter,) = kept_aside(embedded)
    assert why in letter["why"]
    assert letter["expire_at"] > letter["received_at"]


def test_a_large_dead_letter_is_kept_whole(embedded: Path) -> None:
    large = push(BusMessage("5", "martian", "hello", {"call_id": "x"}, TS, {"a": "ä" * 900_000}))
    assert deliver(large) == 204

    async def read(_: Journal, store: EmbeddedStore) -> str:
        (letter,) = await store.query(Query("dead_letters"))
        parts = await store.get(*(f"{letter.path}/parts/{n:04d}" for n in range(letter.data["parts"])))
        return "".join(part.data["text"] for part in parts if part)

    assert json.loads(beside(embedded, read)) == large


@pytest.mark.parametrize("trouble", [StoreUnavailable("away"), TimeoutError()])
def test_a_store_that_is_away_means_deliver_again(
    embedded: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    opened(embedded, Call(call_id="CA1", call_sid="CA1"))

    async def away(self: Journal, *_: object) -> None:
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "named", away)
        assert deliver(push(status("ringing"))) == 503
    assert deliver(push(status("ringing"))) == 204
    assert found(embedded).status is Status.RINGING


def test_a_function_without_a_store_acknowledges_nothing(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_STORE", "")
    assert deliver(push(status("ringing"))) == 503


def test_only_a_post_is_a_delivery(embedded: Path) -> None:
    assert app_of("apply_call_event").test_client().get("/").status_code == 405


def test_the_largest_message_that_a_bus_takes_can_be_delivered(embedded: Path) -> None:
    room = MAX_DATA_BYTES - len(encode(BusMessage("6", "martian", "hello", {"call_id": "x"}, TS, {"a": ""}))[0])
    largest = BusMessage("6", "martian", "hello", {"call_id": "x"}, TS, {"a": "x" * room})
    assert len(encode(largest)[0]) == MAX_DATA_BYTES
    assert deliver(push(largest)) == 204
    (letter,) = kept_aside(embedded)
    assert "martian" in letter["why"]


def test_what_is_larger_than_any_message_is_not_read(embedded: Path) -> None:
    assert deliver(b"x" * (apply_call_event.MAX_BODY + 1)) == 413
