"""Tables of people to call, what a campaign does next, and campaigns in the store."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.campaigns.book import LEASE, Book, WrongState, counts
from realtime.campaigns.machine import Begin, Finished, Rest, decide, seconds_for
from realtime.campaigns.model import Campaign, Row
from realtime.campaigns.table import Bad, Good, NoTable, check
from realtime.clock import iso
from realtime.stores.embedded import EmbeddedStore

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
EAST = "America/New_York"


def number(text: str) -> str:
    if not text.startswith("+"):
        raise ValueError("no number")
    return text


def test_good_rows_are_kept_and_bad_ones_named() -> None:
    text = (
        "\ufeffPhone,first_name,appointment.date,appointment.time\r\n"
        '+14155550101,"Ann, the first",2026-11-21,14:00\r\n'
        "\r\n"
        "5550102,Bob,,\r\n"
        "+14155550101,Ann again,,\r\n"
        "+14155550103,Carl\r\n"
        "+14155550104,,,\r\n"
    )
    checked = check(text, number)
    assert checked.good == (
        Good(
            2, "+14155550101", {"first_name": "Ann, the first", "appointment": {"date": "2026-11-21", "time": "14:00"}}
        ),
        Good(7, "+14155550104", {}),
    )
    assert checked.bad == (
        Bad(4, "no number"),
        Bad(5, "the same number as in line 2"),
        Bad(6, "2 cells, and 4 columns"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("name,age\nAnn,3\n", "No column is called phone. There are: name, age."),
        ("phone,phone\n", "a name of its own"),
        ("phone,\n", "a name of its own"),
        ('phone,name\n+1,"open\n', "is no CSV"),
        ("phone\n" + "+1\n" * 2_001, "more than 2,000 rows"),
        ("x" * 1_000_001, "more than 1,000,000 characters"),
    ],
)
def test_what_is_no_table(text: str, problem: str) -> None:
    with pytest.raises(NoTable, match=problem):
        check(text, number)


def test_columns_that_are_in_each_others_way() -> None:
    checked = check("phone,a,a.b\n+1,x,y\n", number)
    assert checked.bad == (Bad(2, "column a.b and column a are in each other's way"),)


@given(st.lists(st.lists(st.text(max_size=12), min_size=2, max_size=3), max_size=12))
def test_every_row_is_good_or_bad(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["phone", "name"], *rows])
    try:
        checked = check(out.getvalue(), number)
    except NoTable:
        return
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    assert len(checked.good) + len(checked.bad) == len(filled)
    assert len({row.to for row in checked.good}) == len(checked.good), "nobody is called twice"


def campaign(**more: object) -> Campaign:
    values = {
        **{"campaign_id": "c1", "org": "default", "name": "n", "flow": "f", "rows": 3},
        **{"created_at": iso(NOON), "created_by": "olga", "per_minute": 6, "at_once": 2},
    }
    return Campaign(**{**values, **more})  # type: ignore[arg-type]


def row(n: int, state: str = "waiting", **more: object) -> Row:
    return Row(n=n, line=n + 1, to=f"+1415555010{n}", state=state, **more)  # type: ignore[arg-type]


def zones(_number: str) -> tuple[str, ...]:
    return (EAST,)


def test_one_row_after_the_other() -> None:
    assert decide(campaign(), [row(1), row(2)], NOON, zones) == Begin(row(1))
    begun = row(1, "placed", begun_at=iso(NOON - timedelta(seconds=4)))
    assert decide(campaign(), [begun, row(2)], NOON, zones) == Rest(5.0, "pace")
    later = NOON + timedelta(seconds=6)
    assert decide(campaign(), [begun, row(2)], later, zones) == Begin(row(2))


def test_what_broke_off_comes_first() -> None:
    broken = row(2, "placing", begun_at=iso(NOON))
    assert decide(campaign(), [row(1), broken], NOON, zones) == Begin(broken)


def test_no_more_at_once_than_may() -> None:
    busy = [row(n, "placed", begun_at=iso(NOON - timedelta(hours=1))) for n in (1, 2)]
    assert decide(campaign(), [*busy, row(3)], NOON, zones) == Rest(5.0, "calls")


def test_nobody_is_called_out_of_their_window() -> None:
    early = datetime(2026, 11, 20, 13, 59, tzinfo=UTC)
    assert decide(campaign(), [row(1)], early, zones) == Rest(5.0, "window")
    assert decide(campaign(), [row(1)], early + timedelta(minutes=1), zones) == Begin(row(1))
    west = {"+14155550101": ("America/Los_Angeles",)}
    mixed = [row(1), row(2)]
    assert decide(campaign(), mixed, NOON - timedelta(hours=2), lambda to: west.get(to, (EAST,))) == Begin(row(2))


def test_it_ends() -> None:
    assert decide(campaign(), [row(1, "done"), row(2, "refused")], NOON, zones) == Finished()
    assert decide(campaign(), [row(1, "placed")], NOON, zones) == Rest(5.0, "calls")


@given(st.lists(st.sampled_from(["waiting", "placing", "placed", "done", "refused", "stopped"]), max_size=8))
def test_a_decision_for_every_state(states: list[str]) -> None:
    rows = [row(n, state) for n, state in enumerate(states)]
    decision = decide(campaign(), rows, NOON, zones)
    match decision:
        case Begin(begun):
            assert begun.state in ("waiting", "placing")
            assert begun.state == "placing" or "placing" not in states
        case Finished():
            assert not {"waiting", "placing", "placed"}.intersection(states)
        case Rest(seconds):
            assert 0 < seconds <= 5


def test_how_long_it_takes() -> None:
    assert seconds_for(60, per_minute=6, at_once=50) == 600
    assert seconds_for(60, per_minute=60, at_once=2, call_seconds=60) == 1800


def test_campaigns_in_the_store(tmp_path: Path) -> None:
    async def go() -> None:
        store = EmbeddedStore(tmp_path / "callboard.db")
        try:
            book = Book(store)
            await book.create(campaign(), [row(n) for n in range(1, 4)])
            assert await book.get("c1", "other") is None
            assert [one.campaign_id for one in await book.of_org("default")] == ["c1"]
            assert [one.n for one in await book.rows("c1")] == [1, 2, 3]

            mine = await book.lease("c1", "a", NOON)
            assert mine is not None
            assert await book.lease("c1", "b", NOON) is None, "it is somebody else's"
            assert await book.lease("c1", "a", NOON) is not None
            assert await book.lease("c1", "b", NOON + LEASE + timedelta(seconds=1)) is not None

            paused = await book.move(mine, "paused", "because")
            assert (paused.state, paused.reason) == ("paused", "because")
            assert await book.lease("c1", "b", NOON) is None
            assert await book.running() == []
            assert (await book.move(mine, "running")).reason == ""
            await book.move(mine, "stopped")
            with pytest.raises(WrongState, match="it is stopped"):
                await book.move(mine, "running")
            await book.write("c1", row(1, "done"))
            await book.close_rows("c1")
            rows = await book.rows("c1")
            assert counts(rows) == {"total": 3, "over": 3, "done": 1, "stopped": 2}
        finally:
            await store.aclose()

    asyncio.run(go())


def test_a_number_is_forgotten_and_not_called_any_more(tmp_path: Path) -> None:
    async def go() -> None:
        store = EmbeddedStore(tmp_path / "callboard.db")
        try:
            book = Book(store)
            await book.create(campaign(), [row(1, variables={"first_name": "Ann"}), row(2)])
            assert await book.forget("other", row(1).to) == 0
            assert await book.forget("default", row(1).to) == 1
            gone, kept = await book.rows("c1")
            assert (gone.to, gone.variables, gone.state) == ("", {}, "stopped")
            assert kept == row(2)
        finally:
            await store.aclose()

    asyncio.run(go())


def test_many_rows_are_read_in_pages(tmp_path: Path) -> None:
    async def go() -> None:
        store = EmbeddedStore(tmp_path / "callboard.db")
        try:
            book = Book(store)
            await book.create(campaign(), [Row(n=n, line=n, to="+1") for n in range(1, 402)])
            assert [one.n for one in await book.rows("c1")] == list(range(1, 402))
        finally:
            await store.aclose()

    asyncio.run(go())
