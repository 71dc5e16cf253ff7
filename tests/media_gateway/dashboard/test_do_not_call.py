"""The do-not-call list over REST."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_gateway.auth import Principal
from realtime import audit
from tests.media_gateway.harness import gateway

pytestmark = pytest.mark.anyio
OLGA = Principal("olga", "default", "operator")
PATH = "/api/v1/do-not-call"


async def test_an_operator_keeps_the_list(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        headers, http = running.bearer(OLGA), running.http
        assert (await http.post(PATH, json={"phone": "(415) 555-0123"}, headers=headers)).status_code == 201
        (listed,) = (await http.get(PATH, headers=headers)).json()["numbers"]
        assert (listed["phone"], listed["reason"]) == ("+14155550123", "asked")
        assert (await http.delete(f"{PATH}/+14155550123", headers=headers)).json() == {"listed": False}
        assert (await http.delete(f"{PATH}/+14155550123", headers=headers)).status_code == 200
        assert (await http.get(PATH, headers=headers)).json() == {"numbers": [], "next_cursor": None}
        entries, _ = await audit.newest(running.gateway.core.store, "default")
        assert sorted(entry.action for entry in entries) == ["do_not_call.add", "do_not_call.remove"]
        assert {entry.actor for entry in entries} == {"olga"}
        assert "4155550123" not in str(entries)


async def test_who_may_not_and_what_is_no_number(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        for method in ("GET", "POST"):
            assert (await running.http.request(method, PATH, headers=running.bearer())).status_code == 403
        headers = running.bearer(OLGA)
        for body in ({"phone": "nobody"}, {}, {"phone": "+1", "x": 1}):
            assert (await running.http.post(PATH, json=body, headers=headers)).status_code == 422
        assert (await running.http.delete(f"{PATH}/nobody", headers=headers)).status_code == 422
