"""Hosted calls whose record never came, on the simulated vendor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.reconcile import NEVER, QUIET, wanting
from infra.simulators.elevenlabs_api import AGENT_ID, API_KEY, PHONE_NUMBER_ID, ElevenLabsApi
from realtime.call import Call, Status
from realtime.clock import iso, utcnow
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore
from tests.functions.apps import app_of
from tests.functions.test_apply_call_event import beside, found
from tests.functions.test_baggage import relayed


@contextmanager
def vendor() -> Iterator[ElevenLabsApi]:
    """ElevenLabs on a loop of its own: the function is a thread."""
    api, ready, over = ElevenLabsApi(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with api.serving():
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield api
    finally:
        over.set()
        thread.join()


@pytest.fixture
def eleven(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ElevenLabsApi]:
    with vendor() as api:
        monkeypatch.setenv("ELEVENLABS_API_KEY", API_KEY)
        monkeypatch.setenv("ELEVENLABS_BASE_URL", api.url)
        yield api


def placed(api: ElevenLabsApi, call_id: str) -> str:
    order = {
        "agent_id": AGENT_ID,
        "agent_phone_number_id": PHONE_NUMBER_ID,
        "to_number": "+15550001111",
        "conversation_initiation_client_data": {"user_id": call_id, "dynamic_variables": {"call_id": call_id}},
    }
    conversation: dict[str, Any] = api._begin(order)
    return str(conversation["conversation_id"])


def waiting(database: Path, call: Call, *, for_: timedelta) -> None:
    """A call of which nothing has been heard for so long."""
    then = utcnow() - for_

    async def open_then(_: Journal, store: EmbeddedStore) -> None:
        await Journal(store, clock=lambda: then).open(call)

    beside(database, open_then)


def run() -> tuple[int, dict[str, Any]]:
    answer = app_of("reconcile_conversations").test_client().post("/")
    return answer.status_code, answer.get_json()


SAID = [("agent", "Hello."), ("user", "Hello.")]
LONG = QUIET + timedelta(minutes=1)


def test_a_call_whose_webhook_was_lost_gets_its_record_and_once(embedded: Path, eleven: ElevenLabsApi) -> None:
    conversation_id = placed(eleven, "EL_7_1")
    eleven.finish(conversation_id, SAID)
    waiting(embedded, Call(call_id="EL_7_1", conversation_id=conversation_id, hosted=True), for_=LONG)
    assert run() == (200, {"looked_at": ["EL_7_1"], "published": ["EL_7_1"], "unknown": [], "failed": []})
    relayed(embedded)
    call = found(embedded, "EL_7_1")
    assert call.status is Status.COMPLETED
    assert call.analysis is not None
    assert run()[1]["looked_at"] == [], "it is not asked for any more"
    relayed(embedded)
    types = [event.type.value for event in beside(embedded, lambda journal, _: journal.events("EL_7_1"))]
    assert types == ["call_status", "call_completed"]


def test_a_call_whose_ids_were_never_told_is_found_by_ours(embedded: Path, eleven: ElevenLabsApi) -> None:
    placed(eleven, "EL_8_1")
    conversation_id = placed(eleven, "EL_7_1")
    eleven.finish(conversation_id, SAID)
    waiting(embedded, Call(call_id="EL_7_1", hosted=True), for_=LONG)
    assert run()[1]["published"] == ["EL_7_1"]
    relayed(embedded)
    assert found(embedded, conversation_id).status is Status.COMPLETED


def test_a_call_that_goes_on_is_left_alone_and_asked_for_again(embedded: Path, eleven: ElevenLabsApi) -> None:
    conversation_id = placed(eleven, "EL_7_1")
    eleven.conversations[conversation_id]["status"] = "in-progress"
    waiting(embedded, Call(call_id="EL_7_1", conversation_id=conversation_id, hosted=True), for_=LONG)
    assert run()[1]["published"] == ["EL_7_1"]
    relayed(embedded)
    assert found(embedded, "EL_7_1").status is Status.IN_PROGRESS


def test_a_call_that_the_vendor_never_made_ends(embedded: Path, eleven: ElevenLabsApi) -> None:
    for call_id, for_ in (("EL_7_1", LONG), ("EL_8_1", NEVER + timedelta(minutes=1))):
        waiting(embedded, Call(call_id=call_id, conversation_id=f"conv_{call_id}", hosted=True), for_=for_)
    assert run()[1] == {
        "looked_at": ["EL_8_1", "EL_7_1"],
        "published": ["EL_8_1"],
        "unknown": ["EL_7_1"],
        "failed": [],
    }
    relayed(embedded)
    assert found(embedded, "EL_8_1").status is Status.FAILED
    assert found(embedded, "EL_7_1").status is Status.INITIATED


def test_the_trouble_with_one_call_is_not_another_s(
    embedded: Path, eleven: ElevenLabsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = placed(eleven, "EL_7_1")
    eleven.finish(good, SAID)
    broken = placed(eleven, "EL_8_1")
    eleven.conversations[broken] = {"status": object()}  # the vendor cannot say it: 500
    for call_id, conversation_id in (("EL_8_1", broken), ("EL_7_1", good)):
        waiting(embedded, Call(call_id=call_id, conversation_id=conversation_id, hosted=True), for_=LONG)
    status, report = run()
    assert (status, report["published"], report["failed"]) == (200, ["EL_7_1"], ["EL_8_1"])
    monkeypatch.setenv("ELEVENLABS_BASE_URL", "http://127.0.0.1:1")
    assert run()[0] == 503


def test_without_a_key_or_with_another_method_nothing_is_done(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    status, answer = run()
    assert (status, answer["error"]["code"]) == (503, "misconfigured")
    assert app_of("reconcile_conversations").test_client().get("/").status_code == 405
    assert app_of("reconcile_conversations").test_client().post("/", data=b"x" * 5000).status_code == 413


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (Call(call_id="a", hosted=True), True),
        (Call(call_id="a", hosted=False), False),
        (Call(call_id="a", hosted=True, status=Status.PROCESSING), True),
        (Call(call_id="a", hosted=True, status=Status.COMPLETED), False),
    ],
)
def test_which_calls_want_a_record(call: Call, wanted: bool) -> None:
    from dataclasses import replace

    now = utcnow()
    quiet = iso(now - QUIET)
    assert wanting(replace(call, started_at=quiet, last_updated=quiet), now) is wanted
    fresh = iso(now - QUIET + timedelta(seconds=1))
    assert not wanting(replace(call, started_at=quiet, last_updated=fresh), now)
