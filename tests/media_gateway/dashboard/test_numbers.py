"""Numbers of a period, search and export, on a real server."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from media_gateway.dashboard.export import table
from realtime import recording
from realtime.call import Status
from realtime.events import Draft, Event, EventType
from tests.media_gateway.harness import Running, gateway

pytestmark = pytest.mark.anyio
AT = "2026-11-20T12:00:00.000Z"


async def over(running: Running, call_id: str, *said: str) -> None:
    """A call that is over, in which this was said."""
    await running.ring(call_id)
    journal = running.gateway.core.journal
    drafts = [
        Draft(EventType.FINAL_TRANSCRIPT, {"turn": n, "speaker": "user", "text": text}, f"h{n}", AT)
        for n, text in enumerate(said)
    ]
    await journal.append(call_id, drafts)
    await journal.complete(call_id, Status.COMPLETED, call_data={}, change={"ended_at": AT}, key="end", ts=AT)


async def test_the_numbers_of_the_last_week(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await over(running, "CA1", "hello")
        await running.ring("CA2")
        numbers = (await running.http.get("/api/v1/metrics", headers=running.bearer())).json()
        assert (numbers["calls"], numbers["active"], numbers["counted_all"]) == (1, 1, True)
        assert numbers["timezone"] == "America/New_York"
        assert numbers["by_outcome"] == {"answered": 1}
        today = (await running.http.get("/api/v1/metrics?days=1", headers=running.bearer())).json()
        assert today["from"][:10] >= numbers["from"][:10]
        past = {"from": "2020-01-01", "to": "2020-01-31"}
        numbers = (await running.http.get("/api/v1/metrics", params=past, headers=running.bearer())).json()
        assert (numbers["calls"], numbers["from"]) == (0, "2020-01-01T05:00:00.000Z")
        assert numbers["to"] == "2020-02-01T04:59:59.999Z", "the last day to its end"


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-11-20", "to": "2026-11-19"},
        {"from": "2020-01-01", "to": "2026-01-01"},
        {"from": "0001-01-01", "to": "9999-12-31"},
        {"flow": "x" * 201},
        {"days": "0"},
        {"days": "367"},
    ],
)
async def test_a_period_that_is_none(tmp_path: Path, query: dict[str, str]) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.get("/api/v1/metrics", params=query, headers=running.bearer())
        assert answer.status_code == 422
        assert answer.json()["error"]["message"]


async def test_the_list_finds_words(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await over(running, "CA1", "my brakes squeak")
        await over(running, "CA2", "an oil change")

        async def found(**query: str) -> list[str]:
            answer = await running.http.get("/api/v1/calls", params=query, headers=running.bearer())
            return [call["call_id"] for call in answer.json()["calls"]]

        assert await found(q="squeak") == ["CA1"]
        assert await found(q="squeak", outcome="booked") == []
        answer = await running.http.get("/api/v1/calls?q=squeak", headers=running.bearer())
        (call,) = answer.json()["calls"]
        assert (call["outcome"], call["excerpt"]) == ("answered", "my brakes squeak")
        assert set(await found(outcome="answered")) == {"CA1", "CA2"}


async def test_a_call_as_a_file(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await over(running, "CA1", "hello", "=1+1")

        async def export(**query: str) -> tuple[int, str, str]:
            answer = await running.http.get("/api/v1/calls/CA1/export", params=query, headers=running.bearer())
            return answer.status_code, answer.headers["content-type"], answer.text

        status, kind, text = await export(format="csv")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert (status, kind.split(";")[0]) == (200, "text/csv")
        assert [row["type"] for row in rows][-2:] == ["call_status", "call_completed"]
        assert [row["text"] for row in rows if row["type"] == "final_transcript"] == ["hello", "'=1+1"]
        status, kind, text = await export(format="txt")
        assert (status, kind.split(";")[0]) == (200, "text/plain")
        assert "Caller: hello" in text
        assert (await export())[0] == 200
        assert (await export(format="exe"))[0] == 422
        assert (await export(format="wav"))[0] == 404


async def test_the_sound_of_a_call(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await over(running, "CA1", "hello")
        (tmp_path / "data" / "files" / "audio").mkdir(parents=True)
        (tmp_path / "data" / "files" / "audio" / "a.mp3").write_bytes(b"ID3 sound")
        where = {"metadata": {"audio": {"name": "audio/a.mp3"}}}
        await running.gateway.core.journal.append("CA1", (), change=where)
        path = "/api/v1/calls/CA1/export?format=wav"
        answer = await running.http.get(path, headers=running.bearer())
        assert (answer.status_code, answer.content) == (200, b"ID3 sound")
        assert answer.headers["content-type"] == "audio/mpeg"
        (tmp_path / "data" / "files" / "audio" / "a.mp3").unlink()
        assert (await running.http.get(path, headers=running.bearer())).status_code == 404


async def test_the_recording_of_a_call_is_put_together_from_its_parts(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await over(running, "CA1", "hello")
        http, blobs = running.http, running.gateway.core.blobs
        assert blobs is not None
        for start, data in ((0, b"aA" * 80), (160, b"cC" * 80), (200, b"dD" * 80)):  # a hole, and an overlap
            blobs.put(recording.part_name("CA1", start, len(data)), data, content_type="audio/basic")
        blobs.put(recording.part_name("CA12", 0, 2), b"zz", content_type="audio/basic")
        told = {"metadata": {"recording": {"began": AT, "ms": 35}}}
        await running.gateway.core.journal.append("CA1", (), change=told)
        answer = await http.get("/api/v1/calls/CA1/export?format=wav", headers=running.bearer())
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        assert answer.headers["content-length"] == str(len(answer.content))
        sound = answer.content[answer.content.index(b"data") + 8 :]
        assert sound[0::2] == b"a" * 80 + b"\xff" * 80 + b"c" * 80 + b"d" * 40
        assert sound[1::2] == b"A" * 80 + b"\xff" * 80 + b"C" * 80 + b"D" * 40
        left = (await http.get("/api/v1/calls/CA1", headers=running.bearer())).json()["post_call"]
        assert left["audio"] == {"recorded": True, "began": AT, "ms": 35}
        for part in recording.parts(blobs, "CA1"):
            blobs.delete(part.name)
        answer = await http.get("/api/v1/calls/CA1/export?format=wav", headers=running.bearer())
        assert (answer.status_code, "any more" in answer.text) == (404, True)


def test_a_spreadsheet_is_given_no_formula() -> None:
    event = Event("CA1", "e", 1, EventType.FINAL_TRANSCRIPT, AT, {"text": "@SUM(A1)", "turn": 1})
    assert "'@SUM(A1)" in table([event])
