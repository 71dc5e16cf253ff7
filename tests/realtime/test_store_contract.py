"""What every document store does alike: embedded, and Firestore on its real emulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from realtime.stores.port import (
    Conflict,
    Create,
    Delete,
    Doc,
    DocumentStore,
    FeedState,
    Put,
    Query,
    StoreUnavailable,
    Write,
)
from tests.realtime.stores import BOTH, Opener, opened, opener

pytestmark = pytest.mark.anyio

VALUES: dict[str, Any] = {
    "null": None,
    "yes": True,
    "no": False,
    "int": -(2**53),
    "float": 1.5,
    "whole": 2.0,
    "text": "héllo “quoted” 你好 \U0001f4de",
    "empty": "",
    "list": [1, "a", None, {"b": [False]}],
    "nested lists": [[1, [2, []]], [], {"[]x": 1}],
    "map": {"": 1, "__reserved__": 2, "\\slash": 3, "with.dot": 4, "`tick`": 5, "none": {}},
    "expire_at": "2031-01-02T03:04:05.678Z",
}


@pytest.fixture(params=BOTH)
def open_store(request: pytest.FixtureRequest) -> Opener:
    return opener(request.param, request)


@pytest.fixture
async def store(open_store: Opener) -> AsyncIterator[DocumentStore]:
    async with opened(open_store) as one:
        yield one


async def read(store: DocumentStore, path: str) -> Doc:
    (doc,) = await store.get(path)
    assert doc is not None
    return doc


async def test_any_json_comes_back_as_it_went_in(store: DocumentStore) -> None:
    (version,) = await store.commit([Create("things/a", VALUES)])
    doc = await read(store, "things/a")
    assert doc == Doc("things/a", VALUES, version)
    assert [type(value) for value in doc.data.values()] == [type(doc.data[key]) for key in doc.data]
    assert isinstance(doc.data["whole"], float)
    assert isinstance(doc.data["int"], int)


async def test_get_answers_in_order_with_none_for_what_is_not_there(store: DocumentStore) -> None:
    await store.commit([Create("things/a", {"n": 1}), Create("things/b", {"n": 2})])
    docs = await store.get("things/b", "things/none", "things/a", "things/b")
    assert [doc and doc.data["n"] for doc in docs] == [2, None, 1, 2]
    assert await store.get() == []


async def test_every_write_makes_a_new_version(store: DocumentStore) -> None:
    (first,) = await store.commit([Put("things/a", {"n": 1})])
    (second,) = await store.commit([Put("things/a", {"n": 2}, first)])
    assert first != second
    assert (await read(store, "things/a")).version == second


async def test_put_replaces_the_whole_document(store: DocumentStore) -> None:
    await store.commit([Put("things/a", {"old": 1})])
    await store.commit([Put("things/a", {"new": 2})])
    assert (await read(store, "things/a")).data == {"new": 2}


@pytest.mark.parametrize("how", ["create", "put", "delete", "put gone", "delete gone"])
async def test_a_lost_precondition_is_a_conflict_and_nothing_is_written(store: DocumentStore, how: str) -> None:
    (old,) = await store.commit([Create("things/a", {"n": 1})])
    await store.commit([Put("things/a", {"n": 2})])
    lost: dict[str, Write] = {
        "create": Create("things/a", {"n": 3}),
        "put": Put("things/a", {"n": 3}, old),
        "delete": Delete("things/a", old),
        "put gone": Put("things/gone", {"n": 3}, old),
        "delete gone": Delete("things/gone", old),
    }
    with pytest.raises(Conflict):
        await store.commit([Put("things/before", {}), lost[how], Put("things/after", {})])
    assert await store.get("things/before", "things/after", "things/gone") == [None, None, None]
    assert (await read(store, "things/a")).data == {"n": 2}


async def test_deletes(store: DocumentStore) -> None:
    versions = await store.commit([Create("things/a", {}), Create("things/b", {})])
    assert await store.commit([Delete("things/a", versions[0]), Delete("things/b"), Delete("things/none")]) == [
        "",
        "",
        "",
    ]
    assert await store.get("things/a", "things/b") == [None, None]
    await store.commit([Create("things/a", {"again": True})])
    assert (await read(store, "things/a")).data == {"again": True}


async def test_of_many_who_create_one_document_one_wins(store: DocumentStore, open_store: Opener) -> None:
    async def create(by: DocumentStore, n: int) -> bool:
        try:
            await by.commit([Create("things/token", {"n": n})])
        except Conflict:
            return False
        return True

    async with opened(open_store) as other:
        won = await asyncio.gather(*(create((store, other)[n % 2], n) for n in range(10)))
    assert won.count(True) == 1
    assert (await read(store, "things/token")).data == {"n": won.index(True)}


async def test_compare_and_set_loses_no_increment(store: DocumentStore, open_store: Opener) -> None:
    await store.commit([Create("things/counter", {"n": 0})])

    async def add_one(by: DocumentStore) -> None:
        while True:
            doc = await read(by, "things/counter")
            try:
                await by.commit([Put("things/counter", {"n": doc.data["n"] + 1}, doc.version)])
            except Conflict:
                continue
            return

    async with opened(open_store) as other:
        await asyncio.gather(*(add_one(by) for by in (store, other) for _ in range(4)))
    assert (await read(store, "things/counter")).data == {"n": 8}


async def fill(store: DocumentStore) -> None:
    rows = [("a", 3, "red"), ("b", 1, "red"), ("c", 2, "blue"), ("d", 2, "red"), ("e", None, "red")]
    writes = [
        Create(f"shop/1/things/{name}", {"name": name, "n": n, "colour": c, "on": c == "red"}) for name, n, c in rows
    ]
    await store.commit([*writes, Create("shop/1/things/f", {"name": "f"}), Create("shop/2/things/z", {"n": 2})])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "abcdef"),
        ({"limit": 2}, "ab"),
        ({"where": [("colour", "==", "red")]}, "abde"),
        ({"where": [("on", "==", False)]}, "c"),
        ({"where": [("on", "==", 1)]}, ""),
        ({"where": [("n", "==", None)]}, "e"),
        ({"where": [("n", "==", 2), ("colour", "==", "red")]}, "d"),
        ({"where": [("n", ">=", 2)], "order_by": "n"}, "cda"),
        ({"where": [("n", ">", 1), ("n", "<", 3)], "order_by": "n"}, "cd"),
        ({"where": [("n", "<=", 2)], "order_by": "n", "descending": True}, "dcb"),
        ({"where": [("n", "<", "text")], "order_by": "n"}, ""),
        ({"order_by": "n"}, "ebcda"),
        ({"order_by": "n", "descending": True, "limit": 3}, "adc"),
        ({"order_by": "name", "after": "c"}, "def"),
        ({"after": "shop/1/things/c"}, "def"),
        ({"where": [("colour", "==", "red")], "after": "shop/1/things/a", "limit": 2}, "bd"),
        ({"where": [("on", "==", True), ("colour", "==", "red")], "after": "shop/1/things/b"}, "de"),
        ({"order_by": "name", "after": "c", "descending": True}, "ba"),
    ],
)
async def test_queries(store: DocumentStore, query: dict[str, Any], names: str) -> None:
    await fill(store)
    docs = await store.query(Query("shop/1/things", **query))
    assert "".join(doc.data["name"] for doc in docs) == names
    assert all(doc.path == f"shop/1/things/{doc.data['name']}" and doc.version for doc in docs)


async def test_a_query_of_an_empty_collection_finds_nothing(store: DocumentStore) -> None:
    assert await store.query(Query("shop/none/things")) == []


async def test_what_cannot_be_kept_is_refused_and_the_store_goes_on(store: DocumentStore) -> None:
    for data in ({"x": object()}, {"x": "a" * 1_100_000}, {"x": "\ud800"}, {"x": float("nan")}):
        with pytest.raises((ValueError, TypeError)):
            await store.commit([Create("things/bad", data)])
    assert await store.get("things/bad") == [None]
    await store.commit([Create("things/good", {})])


async def test_a_path_that_names_no_document_is_refused(store: DocumentStore) -> None:
    for wrong in ("things", "things/a/b", "", "things/", "/a", "things//b/c"):
        with pytest.raises(ValueError, match="not the path of a document"):
            await store.commit([Put(wrong, {})])


async def test_the_feed_tells_active_heads_and_then_what_changes_elsewhere(
    store: DocumentStore, open_store: Opener
) -> None:
    heads = [{"call_id": "A", "seq": 1, "active": True}, {"call_id": "B", "seq": 1, "active": False}]
    await store.commit([Create(f"calls/{head['call_id']}", head) for head in heads])
    told: list[Mapping[str, Any]] = []
    states: list[FeedState] = []
    news = asyncio.Event()

    def on_head(head: Mapping[str, Any]) -> None:
        told.append(dict(head))
        news.set()

    feed = asyncio.create_task(store.feed().run(on_head, states.append))

    async def until_told(head: Mapping[str, Any]) -> None:
        async with asyncio.timeout(20):
            while head not in told:
                news.clear()
                await news.wait()

    try:
        await until_told(heads[0])
        async with opened(open_store) as elsewhere:
            for seq in (2, 3):
                await elsewhere.commit([Put("calls/A", {"call_id": "A", "seq": seq, "active": True})])
            await elsewhere.commit([Put("calls/B", {"call_id": "B", "seq": 2, "active": True})])
        await until_told({"call_id": "A", "seq": 3, "active": True})
        await until_told({"call_id": "B", "seq": 2, "active": True})
    finally:
        feed.cancel()
        await asyncio.wait([feed])
    assert heads[1] not in told
    assert states[0] is FeedState.CONNECTING
    assert states[-1] is FeedState.LIVE


async def test_a_closed_store_says_so(store: DocumentStore) -> None:
    await store.commit([Create("things/a", {})])
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await store.get("things/a")
    with pytest.raises(StoreUnavailable):
        await store.commit([Create("things/b", {})])
