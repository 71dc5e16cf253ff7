"""The list of calls: newest first, of one organisation only, page by page without a hole or a repetition."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from realtime.call import Call, Status
from realtime.clock import iso
from realtime.journal import Journal
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)


def at(minute: int) -> str:
    return iso(NOON + timedelta(minutes=minute))


@pytest.fixture(params=BOTH)
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    async with opened(opener(request.param, request)) as store:
        journal = Journal(store)
        for n in range(12):
            # Four calls in one millisecond, in the middle of pages.
            minute = 5 if 5 <= n <= 8 else n
            values: dict[str, Any] = {"flow": "booking" if n % 2 else "reminders", "caller_phone": f"+1555000{n:04d}"}
            if n == 3:
                values["status"] = Status.FAILED
            await journal.open(Call(call_id=f"CA{n:02d}", org="acme", started_at=at(minute), **values))
        await journal.open(Call(call_id="CA99", org="rival", started_at=at(6)))
        yield journal


async def every_page(journal: Journal, limit: int, **filters: Any) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(50):
        calls, cursor = await journal.calls(org="acme", cursor=cursor, limit=limit, **filters)
        assert len(calls) <= limit
        found += [call.call_id for call in calls]
        if cursor is None:
            return found
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 12, 50])
async def test_pages_cover_everything_once_newest_first(journal: Journal, limit: int) -> None:
    found = await every_page(journal, limit)
    assert sorted(found) == [f"CA{n:02d}" for n in range(12)]
    assert found[:3] == ["CA11", "CA10", "CA09"]
    assert set(found[3:7]) == {"CA05", "CA06", "CA07", "CA08"}
    assert found[7:] == ["CA04", "CA03", "CA02", "CA01", "CA00"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "failed"}, ["CA03"]),
        ({"flow": "booking"}, ["CA11", "CA09", "CA07", "CA05", "CA03", "CA01"]),
        ({"q": "0011"}, ["CA11"]),
        ({"q": "ca02"}, ["CA02"]),
        ({"q": "nobody"}, []),
        ({"from_": at(9)}, ["CA11", "CA10", "CA09"]),
        ({"to": at(1)}, ["CA01", "CA00"]),
        ({"from_": at(3), "to": at(4), "flow": "reminders"}, ["CA04"]),
        ({"to": "2031-01-01T07:01:00-05:00"}, ["CA01", "CA00"]),
    ],
)
async def test_filters(journal: Journal, filters: dict[str, str], expected: list[str]) -> None:
    assert sorted(await every_page(journal, 2, **filters), reverse=True) == expected


async def test_another_organisation_sees_its_own_calls_only(journal: Journal) -> None:
    calls, cursor = await journal.calls(org="rival")
    assert ([call.call_id for call in calls], cursor) == (["CA99"], None)
    _, of_acme = await journal.calls(org="acme", limit=6)
    stolen, _ = await journal.calls(org="rival", cursor=of_acme)
    assert {call.org for call in stolen} <= {"rival"}
    assert await journal.calls(org="nobody") == ([], None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cursor": "no cursor"},
        {"cursor": "WzVd"},
        {"cursor": "W10="},
        {"status": "dancing"},
        {"from_": "yesterday"},
        {"to": "2031-01-01T00:00:00"},
        {"limit": 0},
        {"limit": 201},
    ],
)
async def test_what_cannot_be_read_is_refused(journal: Journal, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        await journal.calls(org="acme", **wrong)
