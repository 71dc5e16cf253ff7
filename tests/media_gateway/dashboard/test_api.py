"""The REST routes, the login, the page and the doors, on a real server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from media_gateway.auth import Principal
from media_gateway.auth import login as login_module
from media_gateway.auth.login import DemoLogin
from media_gateway.dashboard.page import Page
from media_gateway.middleware import BodyDeadline
from realtime.call import Call, Status
from realtime.stores.port import Put
from tests.media_gateway.harness import connected, environ, gateway, start

pytestmark = pytest.mark.anyio
STRANGER = Principal("eve", "other", "admin")
LOGIN = {"username": "admin", "password": "correct horse battery staple"}


async def test_login_and_what_it_opens(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.post("/auth/login", json=LOGIN)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert body["token_type"] == "bearer"
        assert body["expires_in"] > 0
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        assert (await running.http.get("/api/v1/calls", headers=headers)).json() == {"calls": [], "next_cursor": None}
        ticket = (await running.http.post("/ws-ticket", headers=headers)).json()
        assert set(ticket) == {"ticket", "expires_in"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "admin", "password": "wrong"}, 401),
        ({"username": "nobody", "password": "correct horse battery staple"}, 401),
        ({"username": "admin"}, 422),
        ([], 422),
        ({"username": "a", "password": "x" * 70_000}, 413),
    ],
)
async def test_a_login_that_fails_says_why(tmp_path: Path, body: object, status: int) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.post("/auth/login", json=body)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"code", "message", "fix"}
        no_json = await running.http.post("/auth/login", content=b"{")
        assert no_json.status_code == 400
        foreign = await running.http.post("/auth/login", json=LOGIN, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403


async def test_guessing_ends_in_429_and_does_not_lock_the_real_one_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=64)  # ten real ones take a busy machine half a minute
    monkeypatch.setattr("media_gateway.auth.passwords.PasswordHasher", cheap)
    monkeypatch.setattr(login_module, "BURST", 5.0)
    monkeypatch.setattr(login_module, "RATE", 0.5)
    async with gateway(tmp_path) as running:
        answers = await asyncio.gather(
            *(running.http.post("/auth/login", json={"username": f"u{n}", "password": "guess"}) for n in range(9))
        )
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused, "five at once, and then one in two seconds, however slow this machine is"
        assert int(refused[0].headers["retry-after"]) > 0
        async with asyncio.timeout(100):
            while (await running.http.post("/auth/login", json=LOGIN)).status_code != 200:
                await asyncio.sleep(0.2)


QUERIES = {
    "a cursor that nests": ("/api/v1/calls", {"cursor": base64.urlsafe_b64encode(b"[" * 5_900).decode()}),
    "a cursor out of time": (
        "/api/v1/calls",
        {"cursor": base64.urlsafe_b64encode(b'["0001-01-01T00:00:00+23:59"]').decode()},
    ),
    "a cursor that is none": ("/api/v1/calls", {"cursor": "é"}),
    "a long cursor": ("/api/v1/calls", {"cursor": "x" * 9_000}),
    "from before all time": ("/api/v1/calls", {"from": "0001-01-01T00:00:00+23:59"}),
    "to after all time": ("/api/v1/calls", {"to": "9999-12-31T23:59:59-23:59"}),
    "a long q": ("/api/v1/calls", {"q": "x" * 201}),
    "a status that is none": ("/api/v1/calls", {"status": "\x00"}),
    "a limit of many digits": ("/api/v1/calls", {"limit": "9" * 5_000}),
    "after with many digits": ("/api/v1/calls/CA1/events", {"after": "9" * 5_000}),
    "after in other digits": ("/api/v1/calls/CA1/events", {"after": "١"}),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_that_cannot_be_meant(tmp_path: Path, name: str) -> None:
    path, query = QUERIES[name]
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        answer = await running.http.get(path, params=query, headers=running.bearer())
        assert answer.status_code == 422, answer.text
        assert len(answer.json()["error"]["message"]) < 500
        assert answer.headers["cache-control"] == "no-store"


async def test_a_body_that_trickles_in_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BodyDeadline.__init__, "__kwdefaults__", {"seconds": 0.05})
    async with gateway(tmp_path) as running:
        for path in ("/auth/login", "/api/v1/voice/status"):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.server.bound_port)
            head = f"POST {path} HTTP/1.1\r\nHost: {running.settings.public_host}\r\nContent-Length: 100\r\n\r\n{{"
            writer.write(head.encode())
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer.startswith(b"HTTP/1.1 408"), "and the connection is closed"
            assert b"too_slow" in answer
            writer.close()
            await writer.wait_closed()


ROUTES = [
    ("GET", "/api/v1/calls"),
    ("GET", "/api/v1/calls/CA1"),
    ("GET", "/api/v1/calls/CA1/events"),
    ("GET", "/api/v1/calls/CA1/export"),
    ("GET", "/api/v1/metrics"),
    ("GET", "/api/v1/about"),
    ("POST", "/ws-ticket"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nothing_without_a_token(tmp_path: Path, method: str, path: str) -> None:
    async with gateway(tmp_path) as running:
        for headers in ({}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Basic YTpi"}):
            answer = await running.http.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_calls_head_journal_and_export(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.ring("CA1")
        journal = running.gateway.core.journal
        await journal.complete(
            "CA1", Status.COMPLETED, call_data={"status": "completed"}, key="end", ts="2026-01-01T00:00:00.000Z"
        )
        mine, theirs = running.bearer(), running.bearer(STRANGER)
        (listed,) = (await running.http.get("/api/v1/calls", headers=mine)).json()["calls"]
        head = (await running.http.get("/api/v1/calls/CA1", headers=mine)).json()
        left = head.pop("post_call")
        assert (listed.pop("outcome"), listed.pop("excerpt")) == ("abandoned", None)
        assert head == listed
        assert (left["transcript"], left["summary"], left["audio"]) == (None, None, None)
        assert (head["call_id"], head["status"], head["seq"]) == ("CA1", "completed", 3)
        assert not {"owner", "owner_term", "tail"} & set(head)
        events = (await running.http.get("/api/v1/calls/CA1/events?after=1", headers=mine)).json()["events"]
        assert [(event["seq"], event["type"]) for event in events] == [(2, "call_status"), (3, "call_completed")]
        export = await running.http.get("/api/v1/calls/CA1/export", headers=mine)
        assert "attachment" in export.headers["content-disposition"]
        assert export.json()["call_data"] == {"status": "completed"}
        assert len(export.json()["events"]) == 3
        assert (await running.http.get("/api/v1/metrics", headers=mine)).json()["by_status"] == {"completed": 1}
        assert (await running.http.get("/api/v1/metrics", headers=theirs)).json()["total_conversations"] == 0
        assert (await running.http.get("/api/v1/calls", headers=theirs)).json()["calls"] == []
        for path in ("", "/events", "/export"):
            answer = await running.http.get(f"/api/v1/calls/CA1{path}", headers=theirs)
            assert answer.status_code == 404


@pytest.mark.parametrize("query", ["limit=x", "limit=0", "limit=1000", "status=sleeping", "cursor=zzz", "from=today"])
async def test_a_filter_that_cannot_be_read(tmp_path: Path, query: str) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.get(f"/api/v1/calls?{query}", headers=running.bearer())
        assert answer.status_code == 422
        assert answer.json()["error"]["message"]


async def test_the_demo_is_there_when_it_is_wired(tmp_path: Path) -> None:
    placed: list[tuple[str | None, str | None]] = []

    async def place(scenario: str | None, text: str | None) -> str:
        if scenario == "none":
            raise ValueError("no such scenario")
        placed.append((scenario, text))
        return "CAdemo"

    async with gateway(tmp_path, demo_call=place) as running:
        mine = running.bearer()
        assert (await running.http.post("/api/v1/demo/call", headers=mine)).json()["call_id"] == "CAdemo"
        body = {"scenario": "oil", "text": "hi"}
        assert (await running.http.post("/api/v1/demo/call", headers=mine, json=body)).status_code == 202
        assert placed == [(None, None), ("oil", "hi")]
        for path in ("call", "say"):
            assert (await running.http.post(f"/api/v1/demo/{path}")).status_code == 401
        unknown = await running.http.post("/api/v1/demo/call", headers=mine, json={"scenario": "none"})
        assert unknown.status_code == 422
        token = await running.ring("CA1")
        say = {"call_id": "CA1", "text": " hello "}
        assert (await running.http.post("/api/v1/demo/say", headers=mine, json=say)).status_code == 409
        async with running.media() as ws:
            await ws.send(connected())
            await ws.send(start("CA1", token))
            session = await running.session("CA1")
            assert (await running.http.post("/api/v1/demo/say", headers=mine, json=say)).status_code == 202
            assert session.notes == [("text", "hello")]
            theirs = running.bearer(STRANGER)
            assert (await running.http.post("/api/v1/demo/say", headers=theirs, json=say)).status_code == 404
            empty = say | {"text": " "}
            assert (await running.http.post("/api/v1/demo/say", headers=mine, json=empty)).status_code == 422


async def test_there_is_no_demo_elsewhere(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        for path in ("call", "say"):
            answer = await running.http.post(f"/api/v1/demo/{path}", headers=running.bearer(), json={})
            assert answer.status_code == 404
        assert (await running.http.post("/auth/demo", json={"code": "abc"})).status_code == 404


async def test_the_one_time_link_works_once_and_only_here(tmp_path: Path) -> None:
    local = {"Host": "127.0.0.1:8080"}
    demo = DemoLogin("admin", code="abc")
    async with gateway(tmp_path, dev=True, demo_login=demo) as running:
        for headers in ({}, local | {"X-Forwarded-For": "1.2.3.4"}):
            answer = await running.http.post("/auth/demo", json={"code": "abc"}, headers=headers)
            assert answer.status_code == 404
        first = await running.http.post("/auth/demo", json={"code": "abc"}, headers=local)
        assert first.status_code == 200
        assert first.json()["access_token"]
        assert (await running.http.post("/auth/demo", json={"code": "abc"}, headers=local)).status_code == 401


async def test_from_outside_dev_demands_real_secrets(tmp_path: Path) -> None:
    async with gateway(tmp_path, dev=True, JWT_SECRET="") as running:
        answer = await running.http.get("/")
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "real_secrets_needed"
        assert "JWT_SECRET" in answer.json()["error"]["fix"]
        assert (await running.http.get("/", headers={"Host": "localhost"})).status_code != 403
        assert (await running.http.get("/readyz")).status_code == 200


async def test_a_host_that_we_are_not(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.get("/api/v1/calls", headers={"Host": "evil.example", **running.bearer()})
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "host_not_allowed"
        path = f"/ws/events?token={running.tokens.access(STRANGER)}"
        opening = connect(f"ws://evil.example{path}", host="127.0.0.1", port=running.server.bound_port, proxy=None)
        with pytest.raises(InvalidStatus) as refused:
            await opening
        assert refused.value.response.status_code == 403


async def test_the_page_and_its_policy(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.get("/")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "wss://calls.example.com" in policy
        inline = re.findall(r"<script type=\"importmap\">(.*?)</script>", answer.text, re.DOTALL)
        assert inline
        for text in inline:
            assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
        for name in ("x-content-type-options", "x-frame-options", "referrer-policy", "strict-transport-security"):
            assert name in answer.headers
        script = await running.http.get("/static/app.js")
        assert script.status_code == 200
        assert script.headers["x-content-type-options"] == "nosniff"
        assert (await running.http.get("/static/../page.py")).status_code == 404


async def test_an_installation_without_a_page(tmp_path: Path) -> None:
    assert [route.path for route in Page(tmp_path / "none").routes() if hasattr(route, "path")] == ["/"]


async def test_the_document_names_what_is_there(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        document = (await running.http.get("/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        for method, path in ROUTES:
            path = path.replace("CA1", "{call_id}")
            operation = document["paths"][path][method.lower()]
            assert operation["security"] == [{"bearer": []}, {"key": []}]
            assert operation["summary"]
        assert document["paths"]["/api/v1/voice/incoming"]["post"]["security"] == [{"twilio": []}]
        for path in document["paths"]:
            probe = path.replace("{call_id}", "CA1")
            answers = [(await running.http.request(method, probe)).status_code for method in ("GET", "POST", "DELETE")]
            assert not all(status in (404, 405) for status in answers), path


@pytest.mark.parametrize(
    ("role", "there", "absent"),
    [("media", "/api/v1/voice/incoming", "/auth/login"), ("dashboard", "/auth/login", "/api/v1/voice/incoming")],
)
async def test_a_role_serves_its_routes(tmp_path: Path, role: str, there: str, absent: str) -> None:
    async with gateway(tmp_path, CALLBOARD_ROLE=role) as running:
        assert (await running.http.post(there)).status_code not in (404, 405)
        missing = await running.http.post(absent)
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "not_found"
        assert (await running.http.get("/readyz")).json()["status"] == "ready"


async def test_about_says_what_serves(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        about = (await running.http.get("/api/v1/about", headers=running.bearer())).json()
        assert [engine["stage"] for engine in about["engines"]] == ["hearing", "thinking", "speaking"]
        assert about["engines"][1] == {
            "stage": "thinking",
            "name": "scripted",
            "demo": True,
            "unlock": "OPENAI_API_KEY",
        }
        assert about["base_url"] == environ(tmp_path)["PUBLIC_BASE_URL"]
        assert about["demo"] is False


async def test_a_call_whose_record_cannot_be_read_says_so_and_hides_no_other(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await running.gateway.core.journal.open(Call(call_id="CA1"))
        spoiled = await running.gateway.core.journal.open(Call(call_id="CA2"))
        await running.gateway.core.store.commit([Put("calls/CA2", spoiled.to_dict() | {"status": "dancing"})])
        headers = running.bearer(Principal("ann", "default", "admin"))
        for method, path in (
            ("GET", "/api/v1/calls/CA2"),
            ("GET", "/api/v1/calls/CA2/events"),
            ("GET", "/api/v1/calls/CA2/export"),
            ("POST", "/api/v1/calls/CA2/hangup"),
            ("DELETE", "/api/v1/calls/CA2"),
        ):
            answer = await running.http.request(method, path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "unreadable"), path
        listed = (await running.http.get("/api/v1/calls", headers=headers)).json()["calls"]
        assert [call["call_id"] for call in listed] == ["CA1"]
