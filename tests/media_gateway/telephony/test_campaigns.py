"""Campaigns end to end on a real server and a simulated Twilio: checked, run, paused, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.simulators.callee import Callee
from media_gateway.auth import Principal
from media_gateway.telephony import campaign_runner
from realtime.campaigns import machine
from realtime.clock import utcnow
from realtime.records import do_not_call
from realtime.stores.port import Put
from tests.media_gateway.harness import gateway
from tests.media_gateway.telephony.test_outbound import Desk, desk

pytestmark = pytest.mark.anyio
OPERATOR = Principal("olga", "default", "operator")
BUSY = Callee(outcome="busy", ring_s=0.0)
TABLE = "phone,first_name\n+14155550151,Ann\n+14155550152,Bob\nnonsense,Carl\n"
ALWAYS = {"flow": "outbound_followup", "opens": "00:00", "closes": "23:59", "per_minute": 60}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_runner, "LOOK_S", 0.02)
    monkeypatch.setattr(machine, "LOOK_S", 0.02)


def hurried(here: Desk) -> None:
    """Each look at the clock is half a minute later: no pace keeps anybody waiting."""
    minutes: Iterator[timedelta] = (timedelta(seconds=30 * n) for n in range(10**6))
    runner = here.running.gateway.campaigns
    assert runner is not None
    began = utcnow()

    def clock() -> datetime:
        return began + next(minutes)

    runner.clock = clock


async def post(here: Desk, path: str, body: dict[str, Any] | None = None, who: Principal = OPERATOR) -> Any:
    return await here.running.http.post(f"/api/v1/campaigns{path}", json=body, headers=here.running.bearer(who))


async def shown(here: Desk, campaign_id: str) -> dict[str, Any]:
    path = f"/api/v1/campaigns/{campaign_id}"
    found: dict[str, Any] = (await here.running.http.get(path, headers=here.running.bearer(OPERATOR))).json()
    return found


async def until(here: Desk, campaign_id: str, state: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (found := await shown(here, campaign_id))["state"] != state:
            await here.apply()
            await asyncio.sleep(0.02)
    return found


async def test_a_table_is_checked_and_priced_and_nobody_is_called(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=BUSY) as here:
        store = here.running.gateway.core.store
        await do_not_call.add(store, "default", "+14155550152", now=utcnow())
        answer = await post(here, "/check", {**ALWAYS, "csv": TABLE})
        plan = answer.json()
        assert answer.status_code == 200
        assert plan["good"] == [{"line": 2, "to": "+14155550151", "variables": {"first_name": "Ann"}}]
        assert [(bad["line"], bad["problem"][:14]) for bad in plan["bad"]] == [
            (3, "this number is"),
            (4, "to is no numbe"),
        ]
        assert plan["cost_usd"] == 0.04
        assert (plan["days"], plan["missing"]) == (1, [])
        assert here.asked == 0


async def test_every_row_is_called_once_and_has_its_result(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=BUSY) as here:
        hurried(here)
        answer = await post(here, "", {**ALWAYS, "csv": TABLE, "name": "November"})
        assert answer.status_code == 201
        begun = answer.json()
        assert (begun["name"], begun["rows"], [bad["line"] for bad in begun["rejected"]]) == ("November", 2, [4])
        over = await until(here, begun["campaign_id"], "done")
        assert [(row["to"], row["state"], row["result"]) for row in over["results"]] == [
            ("+14155550151", "done", "busy"),
            ("+14155550152", "done", "busy"),
        ]
        assert here.asked == 2
        assert over["counts"] == {"total": 2, "over": 2, "done": 2}
        assert (await post(here, f"/{begun['campaign_id']}/resume")).status_code == 409


async def test_it_waits_while_it_is_paused_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=BUSY) as here:
        closed = {**ALWAYS, "opens": "00:00", "closes": "00:01", "csv": TABLE}
        begun = (await post(here, "", closed)).json()
        path = f"/{begun['campaign_id']}"
        assert (await post(here, f"{path}/pause")).json()["state"] == "paused"
        assert (await post(here, f"{path}/pause")).json()["state"] == "paused"
        assert (await post(here, f"{path}/resume")).json()["state"] == "running"
        assert (await post(here, f"{path}/stop")).json()["state"] == "stopped"
        over = await shown(here, begun["campaign_id"])
        assert {row["state"] for row in over["results"]} <= {"stopped", "placing", "placed", "done"}
        assert (await post(here, f"{path}/fly")).status_code == 404
        audited = await here.running.http.get(
            "/api/v1/audit", headers=here.running.bearer(Principal("root", "default", "admin"))
        )
        actions = [entry["action"] for entry in audited.json()["entries"]]
        assert {"campaign.create", "campaign.pause", "campaign.resume", "campaign.stop"} <= set(actions)


async def test_a_refusal_that_all_would_meet_pauses_it(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=BUSY, env={"CALLBOARD_MAX_OUTBOUND_PER_DAY": "1"}) as here:
        hurried(here)
        begun = (await post(here, "", {**ALWAYS, "csv": TABLE})).json()
        paused = await until(here, begun["campaign_id"], "paused")
        assert "cap" in paused["reason"]
        assert sorted(row["state"] for row in paused["results"]) in (["placed", "waiting"], ["done", "waiting"])
        assert here.asked == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"csv": TABLE}, 422),
        ({"flow": "nothing", "csv": TABLE}, 422),
        ({**ALWAYS, "csv": ""}, 422),
        ({**ALWAYS, "csv": TABLE, "opens": "25:00"}, 422),
        ({**ALWAYS, "csv": TABLE, "opens": "20:00", "closes": "09:00"}, 422),
        ({**ALWAYS, "csv": TABLE, "per_minute": 0}, 422),
        ({**ALWAYS, "csv": "phone\n+1900555\n"}, 422),
    ],
)
async def test_what_is_no_campaign(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    async with desk(tmp_path) as here:
        answer = await post(here, "", body)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message", "fix"}
        assert (await here.running.http.get("/api/v1/campaigns", headers=here.running.bearer(OPERATOR))).json() == {
            "campaigns": []
        }


async def test_doors(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=BUSY) as here:
        viewer = Principal("vera", "default", "viewer")
        stranger = Principal("eve", "other", "admin")
        begun = (await post(here, "", {**ALWAYS, "csv": TABLE})).json()
        assert (await post(here, "", {**ALWAYS, "csv": TABLE}, viewer)).status_code == 403
        assert (await post(here, f"/{begun['campaign_id']}/stop", None, stranger)).status_code == 404
        assert (await post(here, f"/{begun['campaign_id']}/stop")).status_code == 200


async def test_an_installation_that_places_no_calls_says_what_is_missing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        headers = running.bearer(OPERATOR)
        answer = await running.http.post("/api/v1/campaigns", json={**ALWAYS, "csv": TABLE}, headers=headers)
        assert answer.status_code == 503
        assert "TWILIO_ACCOUNT_SID" in answer.json()["error"]["fix"]
        plan = await running.http.post("/api/v1/campaigns/check", json={**ALWAYS, "csv": TABLE}, headers=headers)
        assert "TWILIO_ACCOUNT_SID" in plan.json()["missing"]


async def test_a_row_that_cannot_be_read_stops_its_campaign_and_no_other(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=BUSY) as here:
        hurried(here)
        store = here.running.gateway.core.store
        await store.commit([Put("campaigns/broken", {"state": "running", "org": "default", "created_at": "2026"})])
        bad = (await post(here, "", {**ALWAYS, "csv": TABLE, "opens": "00:00", "closes": "00:01"})).json()
        await store.commit([Put(f"campaigns/{bad['campaign_id']}/rows/00000", {"n": 0, "state": "waiting"})])
        found = await until(here, bad["campaign_id"], "paused")
        assert "row 0 cannot be read" in found["reason"]
        good = (await post(here, "", {**ALWAYS, "csv": TABLE.replace("+141555501", "+141555502")})).json()
        await until(here, good["campaign_id"], "done")
        assert (await post(here, f"/{bad['campaign_id']}/stop")).status_code == 200
        assert not here.running.gateway.core.keeper.faults


async def test_a_campaign_that_fails_leaves_the_calls_and_the_other_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path, anyone=BUSY) as here:
        hurried(here)
        runner, failed = here.running.gateway.campaigns, asyncio.Event()
        assert runner is not None
        monkeypatch.setattr(campaign_runner, "FAILED_S", 0.02)
        rows = runner.book.rows

        async def broken(campaign_id: str, *, only_sound: bool = False) -> Any:
            if not failed.is_set() and not only_sound:
                failed.set()
                raise RuntimeError("a bug")
            return await rows(campaign_id, only_sound=only_sound)

        monkeypatch.setattr(runner.book, "rows", broken)
        begun = (await post(here, "", {**ALWAYS, "csv": TABLE})).json()
        async with asyncio.timeout(20):
            await failed.wait()
        monkeypatch.setattr(runner.book, "rows", rows)
        await until(here, begun["campaign_id"], "done")
