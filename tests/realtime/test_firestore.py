"""What is the Firestore store's own: the codec, and what it says when Firestore is not there or refuses."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.firestore_v1.types import Document, Value
from hypothesis import given
from hypothesis import strategies as st

from realtime.stores import firestore
from realtime.stores.firestore import FirestoreStore
from realtime.stores.firestore_codec import decode_fields, encode, encode_fields
from realtime.stores.port import Conflict, Create, Doc, Put, Query, StoreUnavailable
from tests.faults.proxy import Proxy

names = st.text(max_size=6) | st.sampled_from(["", "__x__", "__", "\\", "\\\\a", "[]"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(names, values, max_size=5))
def test_any_json_survives_the_codec(data: dict[str, Any]) -> None:
    document = Document.pb(Document())
    encode_fields(data, document.fields)
    again = Document.pb(Document()).FromString(document.SerializeToString())
    assert decode_fields(again.fields) == data
    assert not any(has_array_in_array(value) for value in document.fields.values())


def has_array_in_array(value: Any) -> bool:
    kind = value.WhichOneof("value_type")
    if kind == "map_value":
        return any(has_array_in_array(item) for item in value.map_value.fields.values())
    if kind == "array_value":
        items = value.array_value.values
        return any(item.WhichOneof("value_type") == "array_value" or has_array_in_array(item) for item in items)
    return False


def test_expiry_is_a_timestamp_for_the_ttl_policy() -> None:
    document = Document.pb(Document())
    encode_fields({"expire_at": "2031-01-02T03:04:05.678Z", "at": {"expire_at": "2031"}}, document.fields)
    assert document.fields["expire_at"].WhichOneof("value_type") == "timestamp_value"
    assert decode_fields(document.fields) == {"expire_at": "2031-01-02T03:04:05.678Z", "at": {"expire_at": "2031"}}


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, 2**63, object(), float("inf")])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(value, Value.pb(Value()))


@pytest.mark.anyio
async def test_an_unreachable_firestore_is_unavailable_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firestore, "DEADLINE", 0.3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        store = FirestoreStore("demo-x", emulator_host=f"127.0.0.1:{closed.getsockname()[1]}")
        async with asyncio.timeout(5):
            for attempt in (store.get("a/b"), store.query(Query("a")), store.commit([Put("a/b", {})])):
                with pytest.raises(StoreUnavailable):
                    await attempt
        await store.aclose()


class Refusing:
    """A client whose commits are refused a few times before they are carried out."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error = error
        self.times = times
        self.sent = 0

    async def commit(self, **_: Any) -> Any:
        self.sent += 1
        if self.sent <= self.times:
            raise self.error
        raise exceptions.AlreadyExists("carried out by another")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "times", "sent", "outcome"),
    [
        (exceptions.Aborted("contention"), 2, 3, Conflict),
        (exceptions.ResourceExhausted("quota"), 1, 2, Conflict),
        (exceptions.Aborted("contention"), 99, firestore.REFUSALS, StoreUnavailable),
        (exceptions.ServiceUnavailable("gone"), 1, 1, StoreUnavailable),
        (exceptions.DeadlineExceeded("slow"), 1, 1, StoreUnavailable),
        (exceptions.PermissionDenied("no"), 1, 1, StoreUnavailable),
        (exceptions.FailedPrecondition("version"), 1, 1, Conflict),
        (exceptions.NotFound("No document to update: projects/x"), 1, 1, Conflict),
        (exceptions.NotFound("The database (default) does not exist for project x"), 1, 1, StoreUnavailable),
        (exceptions.InvalidArgument("too large"), 1, 1, ValueError),
    ],
)
async def test_a_commit_is_sent_again_only_when_it_did_not_happen(
    monkeypatch: pytest.MonkeyPatch, error: Exception, times: int, sent: int, outcome: type[Exception]
) -> None:
    async def no_pause(_: float) -> None:
        return None

    client = Refusing(error, times)
    store = FirestoreStore("demo-x", emulator_host="127.0.0.1:1")

    async def connected() -> Refusing:
        return client

    monkeypatch.setattr(store, "_connected", connected)
    monkeypatch.setattr("realtime.stores.firestore.asyncio.sleep", no_pause)
    with pytest.raises(outcome):
        await store.commit([Create("a/b", {})])
    assert client.sent == sent


@pytest.mark.anyio
@pytest.mark.emulator
async def test_expired_documents_are_found_by_their_time(firestore_emulator: str) -> None:
    store = FirestoreStore("demo-expiry", emulator_host=firestore_emulator)
    await store.commit([Put(f"things/{y}", {"expire_at": f"{y}-01-01T00:00:00.000Z"}) for y in (2030, 2032)])
    found: list[Doc] = await store.query(Query("things", [("expire_at", "<", "2031-01-01T00:00:00.000Z")]))
    assert [doc.path for doc in found] == ["things/2030"]
    await store.aclose()


@pytest.mark.anyio
@pytest.mark.emulator
async def test_a_connection_that_swallows_requests_is_replaced(
    monkeypatch: pytest.MonkeyPatch, firestore_emulator: str
) -> None:
    async with Proxy(firestore_emulator) as proxy:
        store = FirestoreStore("demo-half-open", emulator_host=proxy.address)
        await store.commit([Put("things/a", {"n": 1})])
        opened = proxy.opened
        proxy.swallow()
        monkeypatch.setattr(firestore, "RPC", 2.0)
        (doc,) = await store.get("things/a")  # the first request is lost, the second has a connection of its own
        assert doc is not None
        assert doc.data == {"n": 1}
        assert proxy.opened == opened + 1
        await store.aclose()


@pytest.mark.anyio
async def test_a_slow_answer_on_a_connection_that_answers_others_costs_no_connection() -> None:
    store = FirestoreStore("demo-x", emulator_host="127.0.0.1:1")
    slow, others = asyncio.Event(), asyncio.Event()

    async def waits(_: object) -> None:
        others.set()
        await slow.wait()
        raise exceptions.DeadlineExceeded("slow")

    async def answers(_: object) -> None:
        return None

    client = await store._connected()
    waiting = asyncio.create_task(store._ask(waits))
    await others.wait()
    await store._ask(answers)
    slow.set()
    with pytest.raises(exceptions.DeadlineExceeded):
        await waiting
    assert await store._connected() is client
    with pytest.raises(exceptions.DeadlineExceeded):
        await store._ask(waits)
    assert await store._connected() is not client
    await store.aclose()
