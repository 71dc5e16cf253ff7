"""The supervisors' routes on a real server: who may, what is refused, and that the session is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from media_gateway.auth import Principal
from realtime import audit, commands
from realtime.call import Status
from realtime.events import EventType
from tests.media_gateway.harness import Running, gateway, start

pytestmark = pytest.mark.anyio
ANN = Principal("ann", "default", "operator")
BOB = Principal("bob", "default", "operator")
BOSS = Principal("boss", "default", "admin")
STRANGER = Principal("eve", "other", "admin")
CALL = "CA1"
KINDS = ("hangup", "transfer", "say", "whisper", "takeover", "release", "approve", "refuse")
BODIES: Mapping[str, Any] = {"say": {"text": "hi"}, "whisper": {"text": "hi"}, "takeover": {"by": "browser"}}


async def ask(
    running: Running, kind: str, body: object = None, who: Principal = ANN, call: str = CALL, key: str | None = None
) -> httpx2.Response:
    content = BODIES.get(kind, {}) if body is None else body
    return await running.http.post(
        f"/api/v1/calls/{call}/{kind}",
        json=content,
        headers=running.bearer(who) | ({"Idempotency-Key": key} if key else {}),
    )


def code(answer: httpx2.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["fix"]
    return answer.status_code, error["code"]


@asynccontextmanager
async def talking(tmp_path: Path, supervisors: str = "") -> AsyncIterator[Running]:
    """A gateway with one call whose stream has started and that an instance owns."""
    async with gateway(tmp_path, HANDOFF_NUMBER="+15550009999", CALLBOARD_SUPERVISORS=supervisors) as running:
        token = await running.ring(CALL)
        async with running.media() as ws:
            await ws.send(start(CALL, token))
            await running.session(CALL)
            journal = running.gateway.core.journal
            await journal.own(CALL, running.gateway.core.instance)
            await journal.append(CALL, (), change={"status": "in_progress"})
            yield running


async def test_each_is_written_and_its_session_is_told(tmp_path: Path) -> None:
    async with talking(tmp_path) as running:
        session = await running.session(CALL)
        for kind in KINDS:
            answer = await ask(running, kind)
            assert answer.status_code == 202, answer.text
            assert set(answer.json()) == {"command_id"}
        assert session.notes.count(("commands", None)) == len(KINDS)
        core = running.gateway.core
        head = await core.journal.find(CALL)
        assert head
        taken = await commands.take(core.journal, core.store, CALL, head.owner_term)
        assert sorted(one.kind for one in taken) == sorted(KINDS)
        assert {one.actor for one in taken} == {"ann"}
        entries, _ = await audit.newest(core.store, "default")
        assert sorted(entry.action for entry in entries) == sorted(f"call.{kind}" for kind in KINDS)


async def test_a_session_elsewhere_is_told_by_its_instance_s_own_look(tmp_path: Path) -> None:
    async with talking(tmp_path) as running:
        core, session = running.gateway.core, await running.session(CALL)
        command = commands.new(CALL, "say", "ann", {"text": "hi"}, core.journal._clock())
        await commands.issue(core.journal, command, "default", core.journal._clock())  # as another instance would
        await running.until(lambda: ("commands", None) in session.notes)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_may_not(tmp_path: Path, kind: str) -> None:
    async with talking(tmp_path) as running:
        viewer = Principal("vic", "default", "viewer")
        assert code(await ask(running, kind, who=viewer)) == (403, "forbidden")
        assert code(await ask(running, kind, who=STRANGER)) == (404, "not_found")
        assert code(await ask(running, kind, call="CA404")) == (404, "not_found")
        assert (await running.http.post(f"/api/v1/calls/{CALL}/{kind}")).status_code == 401


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("say", {}, 422),
        ("say", {"text": " "}, 422),
        ("say", {"text": "x" * 501}, 422),
        ("say", {"text": "a\u0000b"}, 422),
        ("say", {"text": 7}, 422),
        ("whisper", {"text": "x" * 1_001}, 422),
        ("takeover", {"by": "pigeon"}, 422),
        ("takeover", {}, 422),
        ("takeover", {"by": "phone"}, 422),
        ("transfer", {"to": "+15551112222"}, 422),
        ("transfer", {"to": "nobody"}, 422),
        ("transfer", {"number": "+15551112222"}, 422),
        ("release", {"x": 1}, 422),
        ("approve", {"request_id": "x" * 101}, 422),
        ("say", [], 422),
    ],
)
async def test_a_body_that_cannot_be_meant(tmp_path: Path, kind: str, body: object, status: int) -> None:
    async with talking(tmp_path) as running:
        assert (await ask(running, kind, body)).status_code == status
        assert (await running.session(CALL)).notes.count(("commands", None)) == 0
        headers = running.bearer(ANN)
        assert (await running.http.post(f"/api/v1/calls/{CALL}/say", content=b"{", headers=headers)).status_code == 400


async def test_where_callers_may_be_put_through_to(tmp_path: Path) -> None:
    async with talking(tmp_path, supervisors="Ann=+15550001001, bob=+15550001002") as running:
        assert (await ask(running, "transfer", {"to": "bob"})).status_code == 202
        assert (await ask(running, "transfer", {"to": "+15550009999"})).status_code == 202
        assert (await ask(running, "takeover", {"by": "phone"})).status_code == 202
        core = running.gateway.core
        head = await core.journal.find(CALL)
        assert head
        taken = await commands.take(core.journal, core.store, CALL, head.owner_term)
        assert sorted((one.args["number"], one.args["mode"]) for one in taken) == [
            ("+15550001001", "cold"),
            ("+15550001002", "warm"),
            ("+15550009999", "warm"),
        ]


async def test_another_supervisor_is_told_who_has_the_call(tmp_path: Path) -> None:
    async with talking(tmp_path) as running:
        await ask(running, "whisper")
        refused = await ask(running, "say", who=BOB)
        assert code(refused) == (409, "held")
        assert "ann" in refused.json()["error"]["message"]
        assert code(await ask(running, "release", who=BOB)) == (409, "held")
        assert (await ask(running, "release", who=BOSS)).status_code == 202


async def test_the_same_request_twice_is_one_command(tmp_path: Path) -> None:
    async with talking(tmp_path) as running:
        first, again = [await ask(running, "say", key="k1") for _ in range(2)]
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json()
        core = running.gateway.core
        head = await core.journal.find(CALL)
        assert head
        (taken,) = await commands.take(core.journal, core.store, CALL, head.owner_term)
        await commands.settle(core.journal, taken, core.journal._clock(), ok=True)
        assert (await ask(running, "say", key="k1")).json() == first.json()
        assert len([e for e in await core.journal.events(CALL) if e.type is EventType.COMMAND]) == 1


async def test_a_call_that_is_over_or_with_a_person(tmp_path: Path) -> None:
    async with talking(tmp_path) as running:
        journal = running.gateway.core.journal
        await journal.append(CALL, (), change={"next": "handoff"})
        for kind in KINDS[1:]:
            assert code(await ask(running, kind)) == (409, "with_a_person")
        assert (await ask(running, "hangup")).status_code == 503  # Twilio would be asked, and is not configured
        await journal.complete(CALL, Status.COMPLETED, call_data={}, key="end", ts="2026-11-20T12:00:00Z")
        for kind in KINDS[1:]:
            assert code(await ask(running, kind)) == (409, "call_over")


async def test_it_is_in_the_open_api(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        paths = (await running.http.get("/openapi.json")).json()["paths"]
        for kind in KINDS:
            assert paths[f"/api/v1/calls/{{call_id}}/{kind}"]["post"]["security"]
