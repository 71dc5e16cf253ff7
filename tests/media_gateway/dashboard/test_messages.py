"""`GET /api/v1/messages`: the owner's inbox over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.auth import Principal
from realtime.records import inbox
from realtime.records.inbox import Message
from tests.media_gateway.harness import gateway

pytestmark = pytest.mark.anyio


async def test_the_inbox_of_ones_own_organisation_page_by_page(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        store = running.gateway.core.store
        for n in range(3):
            at = f"2026-11-20T15:00:0{n}.000Z"
            message = Message(
                message_id=f"M{n}", call_id=f"CA{n}", text=f"Call me {n}.", at=at, callback="+14155550123"
            )
            await store.commit(inbox.writes("default", message))
        headers = running.bearer()
        first = (await running.http.get("/api/v1/messages?limit=2", headers=headers)).json()
        assert [one["text"] for one in first["messages"]] == ["Call me 2.", "Call me 1."]
        assert first["messages"][0] == {
            "message_id": "M2", "call_id": "CA2", "text": "Call me 2.", "at": "2026-11-20T15:00:02.000Z",
            "callback": "+14155550123", "customer_id": None, "name": None, "alert": "pending",
        }  # fmt: skip
        query = {"limit": "2", "cursor": first["next_cursor"]}
        rest = (await running.http.get("/api/v1/messages", params=query, headers=headers)).json()
        assert [one["text"] for one in rest["messages"]] == ["Call me 0."]
        assert rest["next_cursor"] is None
        stranger = running.bearer(Principal("eve", "other", "viewer"))
        assert (await running.http.get("/api/v1/messages", headers=stranger)).json()["messages"] == []


async def test_what_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        assert (await running.http.get("/api/v1/messages")).status_code == 401
        for limit in ("0", "201", "many"):
            answer = await running.http.get(f"/api/v1/messages?limit={limit}", headers=running.bearer())
            assert (answer.status_code, answer.json()["error"]["message"][:5]) == (422, "limit")
        assert "/api/v1/messages" in (await running.http.get("/openapi.json")).json()["paths"]
