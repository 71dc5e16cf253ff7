"""Deletion and sound over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.auth import Principal
from realtime.call import Call, Status
from tests.media_gateway.harness import VIEWER, gateway

pytestmark = pytest.mark.anyio
ADMIN = Principal("root", "default", "admin")
OTHER = Principal("eve", "other", "admin")
SOUND = "/api/v1/calls/CA1/export?format=wav"
TS = "2026-11-20T12:00:00.000Z"


async def test_a_call_and_its_sound_until_an_administrator_deletes_it(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        http, core = running.http, running.gateway.core
        assert core.blobs is not None
        core.blobs.put("audio/x.mp3", b"sound", content_type="audio/mpeg")
        await core.journal.open(Call(call_id="CA1", metadata={"audio": {"name": "audio/x.mp3"}}))
        answer = await http.get(SOUND, headers=running.bearer(VIEWER))
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"sound", "audio/mpeg")
        assert (await http.get(SOUND, headers=running.bearer(OTHER))).status_code == 404
        assert (await http.delete("/api/v1/calls/CA1", headers=running.bearer(ADMIN))).status_code == 409
        await core.journal.complete("CA1", Status.COMPLETED, call_data={}, key="e", ts=TS)
        for principal, status in ((VIEWER, 403), (OTHER, 404), (ADMIN, 200), (ADMIN, 404)):
            deleted = await http.delete("/api/v1/calls/CA1", headers=running.bearer(principal))
            assert deleted.status_code == status
        assert (await http.get(SOUND, headers=running.bearer(VIEWER))).status_code == 404
        with pytest.raises(LookupError):
            core.blobs.get("audio/x.mp3")


async def test_a_number_is_erased_by_administrators_only(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        http, journal = running.http, running.gateway.core.journal
        await journal.open(Call(call_id="CA1", caller_phone="+14155550123"))
        await journal.complete("CA1", Status.COMPLETED, call_data={}, key="e", ts=TS)
        body = {"phone": "+14155550123"}
        assert (await http.post("/api/v1/erase", json=body, headers=running.bearer(VIEWER))).status_code == 403
        other = await http.post("/api/v1/erase", json=body, headers=running.bearer(OTHER))
        assert (other.status_code, other.json()["calls"]) == (200, 0)
        for wrong in ({"phone": "x"}, {}, {"phone": 7}, {"phone": "+14155550123", "org": "default"}):
            answer = await http.post("/api/v1/erase", json=wrong, headers=running.bearer(ADMIN))
            assert answer.status_code == 422
        mine = await http.post("/api/v1/erase", json=body, headers=running.bearer(ADMIN))
        assert (mine.status_code, mine.json()["calls"]) == (200, 1)
        assert await journal.find("CA1") is None
