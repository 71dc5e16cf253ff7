"""`GET /api/v1/audit`."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.auth import Principal
from realtime import audit
from realtime.call import Call
from realtime.clock import utcnow
from tests.media_gateway.harness import VIEWER, gateway

pytestmark = pytest.mark.anyio
ADMIN = Principal("root", "default", "admin")


async def test_administrators_read_what_was_done_in_their_organisation(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        store = running.gateway.core.store
        await audit.record(store, "default", "ann", "call.hangup", "CA1", utcnow())
        await audit.record(store, "other", "eve", "call.hangup", "CA2", utcnow())
        answer = await running.http.get("/api/v1/audit", headers=running.bearer(ADMIN))
        assert [(one["actor"], one["target"]) for one in answer.json()["entries"]] == [("ann", "CA1")]
        assert answer.json()["next_cursor"] is None
        for principal, status in ((VIEWER, 403), (Principal("o", "default", "operator"), 403)):
            assert (await running.http.get("/api/v1/audit", headers=running.bearer(principal))).status_code == status
        assert (await running.http.get("/api/v1/audit")).status_code == 401
        for wrong in ("limit=0", "limit=x", "limit=201", "cursor=" + "x" * 8_001):
            refused = await running.http.get(f"/api/v1/audit?{wrong}", headers=running.bearer(ADMIN))
            assert refused.status_code == 422


async def test_whoever_takes_a_call_away_or_listens_to_it_is_in_it(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        core, ann = running.gateway.core, running.bearer(VIEWER)
        await core.journal.open(Call(call_id="CA1"))
        for form in ("json", "csv", "txt"):
            assert (await running.http.get(f"/api/v1/calls/CA1/export?format={form}", headers=ann)).status_code == 200
        assert (await running.http.get("/api/v1/calls/CA9/export", headers=ann)).status_code == 404
        entries, _ = await audit.newest(core.store, "default")
        assert [(one.actor, one.action, one.target) for one in entries] == [("ann", "call.export", "CA1")] * 3
