"""Users, keys and one's own password over HTTP, and what becomes of sockets that are open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from media_gateway.auth import Principal
from realtime.accounts import Accounts
from tests.media_gateway.harness import VIEWER, Running, closed, gateway

pytestmark = pytest.mark.anyio
ADMIN = Principal("root", "default", "admin")
OTHER = Principal("eve", "other", "admin")
PASSWORD = "correct horse battery"


async def add(running: Running, name: str, role: str = "viewer", **more: Any) -> Any:
    body = {"name": name, "password": PASSWORD, "role": role, **more}
    return await running.http.post("/api/v1/users", json=body, headers=running.bearer(ADMIN))


async def entered(running: Running, name: str, password: str = PASSWORD) -> dict[str, str]:
    answer = await running.http.post("/auth/login", json={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_a_user_from_the_first_day_to_the_last(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        http, root = running.http, running.bearer(ADMIN)
        made = await add(running, "ann")
        assert (made.status_code, made.json()["name"], made.json()["role"]) == (201, "ann", "viewer")
        assert "password" not in made.text.replace("changed_at", "")
        assert (await add(running, "Ann")).status_code == 409
        ann = await entered(running, "ann")
        me = (await http.get("/api/v1/me", headers=ann)).json()
        assert (me["user"], me["org"], me["role"], me["kind"]) == ("ann", "default", "viewer", "user")
        assert me["expires"]
        assert (await http.get("/api/v1/users", headers=ann)).status_code == 403

        names = [user["name"] for user in (await http.get("/api/v1/users", headers=root)).json()["users"]]
        assert names == ["admin", "ann"]
        changed = await http.patch("/api/v1/users/ann", json={"role": "operator"}, headers=root)
        assert (changed.status_code, changed.json()["role"]) == (200, "operator")
        assert (await http.get("/api/v1/me", headers=ann)).status_code == 401, "her token was a viewer's"
        ann = await entered(running, "ann")
        own = {"current": PASSWORD, "new": "another horse battery"}
        wrong = await http.post("/auth/password", json={**own, "current": "wrong"}, headers=ann)
        assert wrong.status_code == 403
        answer = await http.post("/auth/password", json=own, headers=ann)
        assert answer.status_code == 200
        assert (await http.get("/api/v1/me", headers=ann)).status_code == 401
        fresh = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert (await http.get("/api/v1/me", headers=fresh)).json()["role"] == "operator"
        assert (await http.delete("/api/v1/users/ann", headers=root)).status_code == 204
        assert (await http.get("/api/v1/me", headers=fresh)).status_code == 401
        assert (await http.delete("/api/v1/users/ann", headers=root)).status_code == 404
        told = (await http.get("/api/v1/audit", headers=root)).json()["entries"]
        assert [(one["actor"], one["action"]) for one in told] == [
            ("root", "user.remove"),
            ("ann", "user.change"),
            ("root", "user.change"),
            ("root", "user.add"),
        ]
        assert PASSWORD not in str(told)


async def test_a_one_time_password_is_good_for_choosing_another_and_for_nothing_more(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        http = running.http
        assert (await add(running, "ann", "operator", one_time=True)).json()["one_time"] is True
        answer = await http.post("/auth/login", json={"username": "ann", "password": PASSWORD})
        assert answer.json()["one_time"] is True
        token = answer.json()["access_token"]
        ann = {"Authorization": f"Bearer {token}"}
        assert (await http.get("/api/v1/me", headers=ann)).status_code == 200
        for method, path in (("GET", "/api/v1/calls"), ("POST", "/ws-ticket"), ("GET", "/api/v1/about")):
            refused = await http.request(method, path, headers=ann)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "one_time_password")
        with pytest.raises(InvalidStatus):
            await running.socket(f"/ws/events?token={token}")
        same = await http.post("/auth/password", json={"current": PASSWORD, "new": PASSWORD}, headers=ann)
        assert same.status_code == 422
        own = {"current": PASSWORD, "new": "another horse battery"}
        chosen = await http.post("/auth/password", json=own, headers=ann)
        assert chosen.status_code == 200
        assert "one_time" not in chosen.json()
        fresh = {"Authorization": f"Bearer {chosen.json()['access_token']}"}
        assert (await http.get("/api/v1/calls", headers=fresh)).status_code == 200
        again = {"password": PASSWORD, "one_time": True}
        await http.patch("/api/v1/users/ann", json=again, headers=running.bearer(ADMIN))
        assert (await http.get("/api/v1/calls", headers=await entered(running, "ann"))).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "bob", "password": "short"}, 422),
        ({"name": "b b", "password": PASSWORD}, 422),
        ({"name": "admin", "password": PASSWORD}, 409),
        ({"name": "bob", "password": PASSWORD, "role": "root"}, 422),
        ({"name": "bob", "password": PASSWORD, "org": "other"}, 422),
        ({"name": "bob"}, 422),
        ([], 422),
    ],
)
async def test_users_that_are_not_made(tmp_path: Path, body: Any, status: int) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.post("/api/v1/users", json=body, headers=running.bearer(ADMIN))
        assert answer.status_code == status, answer.text
        assert await Accounts(running.gateway.core.store).users("default") == []


async def test_an_administrator_rules_their_own_organisation_and_not_themselves(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        http, eve = running.http, running.bearer(OTHER)
        await add(running, "ann", "admin")
        key = (await http.post("/api/v1/keys", json={"label": "k"}, headers=running.bearer(ADMIN))).json()
        assert (await http.get("/api/v1/users", headers=eve)).json() == {"users": []}
        assert (await http.get("/api/v1/keys", headers=eve)).json() == {"keys": []}
        assert (await http.patch("/api/v1/users/ann", json={"disabled": True}, headers=eve)).status_code == 404
        assert (await http.delete("/api/v1/users/ann", headers=eve)).status_code == 404
        assert (await http.delete(f"/api/v1/keys/{key['id']}", headers=eve)).status_code == 404
        ann = await entered(running, "ann")
        for answer in (
            await http.patch("/api/v1/users/ann", json={"role": "viewer"}, headers=ann),
            await http.delete("/api/v1/users/ann", headers=ann),
        ):
            assert answer.status_code == 409
        assert (await http.patch("/api/v1/users/ann", json={}, headers=running.bearer(ADMIN))).status_code == 422
        no_user = await http.post(
            "/auth/password", json={"current": "x", "new": PASSWORD}, headers=await entered_root(running)
        )
        assert no_user.status_code == 409


async def entered_root(running: Running) -> dict[str, str]:
    return await entered(running, "admin", "correct horse battery staple")


async def test_a_machine_comes_in_with_its_key_until_it_is_revoked(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        http, root = running.http, await entered_root(running)
        made = await http.post("/api/v1/keys", json={"label": "reports", "role": "operator"}, headers=root)
        assert made.status_code == 201
        key = made.json()
        listed = (await http.get("/api/v1/keys", headers=root)).text
        assert key["key"] not in listed
        assert key["key"].rpartition("_")[2] not in listed
        for headers in ({"Authorization": f"Bearer {key['key']}"}, {"X-API-Key": key["key"]}):
            me = await http.get("/api/v1/me", headers=headers)
            assert (me.status_code, me.json()["kind"], me.json()["role"]) == (200, "key", "operator")
            assert (await http.get("/api/v1/keys", headers=headers)).status_code == 403
        used = (await http.get("/api/v1/keys", headers=root)).json()["keys"][0]
        assert used["last_used_at"]
        with pytest.raises(InvalidStatus) as refused:
            await running.socket(f"/ws/events?token={key['key']}")
        assert refused.value.response.status_code == 401, "a key has no place in a URL"
        async with running.socket("/ws/events", additional_headers={"X-API-Key": key["key"]}):
            pass
        assert (await http.delete(f"/api/v1/keys/{key['id']}", headers=root)).status_code == 204
        assert (await http.get("/api/v1/me", headers={"X-API-Key": key["key"]})).status_code == 401
        for wrong in ({"label": ""}, {"label": "x" * 65}, {"label": "x", "role": "root"}, {}):
            assert (await http.post("/api/v1/keys", json=wrong, headers=root)).status_code == 422


async def test_a_socket_ends_with_the_user_who_opened_it(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.gateway.connections._recheck_s = 0.02
        await add(running, "ann")
        ann = await entered(running, "ann")
        async with (
            running.socket("/ws/events", additional_headers=ann) as hers,
            running.socket("/ws/events", additional_headers=running.bearer(VIEWER)) as another,
        ):
            body = {"disabled": True}
            await running.http.patch("/api/v1/users/ann", json=body, headers=running.bearer(ADMIN))
            assert await closed(hers) == 4401
            assert another.close_code is None
