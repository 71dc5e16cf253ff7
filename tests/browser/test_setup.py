"""Setting up, by clicks: connections and their fixes, addresses, the signed test, users, keys, the log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.browser.page import Dashboard
from tests.browser.stub import CODE, Host, Stub, token

pytestmark = [pytest.mark.browser]
AT = "2026-11-20T12:00:00.000Z"
INCOMING = "https://calls.example.com/api/v1/voice/incoming"
REFUSED = "Failed to load resource"


def line(name: str, title: str, what: str, state: str, **more: Any) -> dict[str, Any]:
    base = {
        "configured": state != "off",
        "demo": False,
        "last_seen": None,
        "problem": "",
        "problem_at": None,
        "fix": "",
    }
    return {"name": name, "title": title, "what": what, "state": state, **base, **more}


LINES = [
    line("twilio", "Twilio", "telephone calls", "wrong", last_seen=AT,
         problem="A request came whose signature does not fit.", fix="Check TWILIO_AUTH_TOKEN."),
    line("deepgram", "Deepgram", "hears and speaks in calls", "ok", last_seen=AT),
    line("openai", "OpenAI", "not used in calls", "off", demo=True, fix="Set OPENAI_API_KEY and start again."),
    line("feed", "Live feed", "calls of every instance, as they change", "unknown"),
]  # fmt: skip
ADDRESSES = [
    {"name": "incoming", "title": "A call comes in", "where": "Twilio, your number", "url": INCOMING, "note": ""},
    {"name": "webhook", "title": "Post-call webhook", "where": "ElevenLabs", "url": None, "note": "Not known here."},
]


@dataclass
class Office:
    """What the gateway would say of its accounts and connections."""

    users: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    taken: bool = True
    down: bool = False

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/connections", self.connections),
            Route("/api/v1/connections/elevenlabs/test", self.test, methods=["POST"]),
            Route("/api/v1/users", self.people, methods=["GET", "POST"]),
            Route("/api/v1/users/{name}", self.person, methods=["PATCH", "DELETE"]),
            Route("/api/v1/keys", self.machines, methods=["GET", "POST"]),
            Route("/api/v1/keys/{id}", self.machine, methods=["DELETE"]),
            Route("/api/v1/audit", self.audit),
        ]

    def note(self, action: str, target: str) -> None:
        self.log.insert(0, {"id": str(len(self.log)), "at": AT, "actor": "ana", "action": action, "target": target})

    async def connections(self, _request: Request) -> Response:
        if self.down:
            return JSONResponse({"error": {"code": "no", "message": "The store is away.", "fix": ""}}, 503)
        return JSONResponse({"connections": LINES, "addresses": ADDRESSES})

    async def test(self, _request: Request) -> Response:
        if self.taken:
            return JSONResponse({"ok": True, "status": 200, "message": "Accepted.", "fix": "", "ms": 12})
        return JSONResponse(
            {"ok": False, "status": 401, "message": "Not accepted: 401.", "fix": "Same secret?", "ms": 9}
        )

    async def people(self, request: Request) -> Response:
        root = {"name": "root", "role": "admin", "disabled": False, "source": "environment"}
        if request.method == "GET":
            return JSONResponse({"users": [root, *self.users]})
        given = await request.json()
        self.passwords.append(given["password"])
        if any(one["name"] == given["name"] for one in self.users):
            return JSONResponse({"error": {"code": "conflict", "message": "That name is taken.", "fix": ""}}, 409)
        self.users.append({"name": given["name"], "role": given["role"], "disabled": False})
        self.note("user.add", given["name"])
        return JSONResponse(self.users[-1], 201)

    async def person(self, request: Request) -> Response:
        (user,) = (one for one in self.users if one["name"] == request.path_params["name"])
        if request.method == "DELETE":
            self.users.remove(user)
            self.note("user.remove", user["name"])
            return Response(status_code=204)
        user |= await request.json()
        self.note("user.change", user["name"])
        return JSONResponse(user)

    async def machines(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse({"keys": self.keys})
        times = {"created_at": AT, "created_by": "ana", "last_used_at": None, "revoked_at": None}
        self.keys.append({"id": "0123456789ab", **await request.json(), **times})
        return JSONResponse({**self.keys[-1], "key": "cbk_0123456789ab_text"}, 201)

    async def machine(self, _request: Request) -> Response:
        self.keys[0]["revoked_at"] = AT
        return Response(status_code=204)

    async def audit(self, _request: Request) -> Response:
        return JSONResponse({"entries": self.log, "next_cursor": None})


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def stub(host: Host, office: Office) -> Stub:
    running = host.take(*office.routes())
    running.token = token("admin")
    return running


def opened(dashboard: Dashboard) -> None:
    dashboard.login(CODE)
    dashboard.page.get_by_role("link", name="Set up").click()
    expect(dashboard.page.get_by_role("heading", name="Set up")).to_be_visible()
    expect(dashboard.page.get_by_text("Needs a look")).to_be_visible()


def test_connections_say_what_is_wrong_and_are_tried(dashboard: Dashboard, office: Office) -> None:
    opened(dashboard)
    page = dashboard.page
    expect(page.get_by_text("Check TWILIO_AUTH_TOKEN.")).to_be_visible()
    expect(page.get_by_text("not seen since this server started")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy A call comes in").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == INCOMING
    page.get_by_role("button", name="Send a signed test webhook").click()
    expect(page.get_by_text("Accepted. 12 ms.")).to_be_visible()
    office.taken = False
    page.get_by_role("button", name="Send a signed test webhook").click()
    expect(page.get_by_role("alert")).to_have_text("Not accepted: 401. Same secret?")


def test_a_failure_can_be_asked_again_and_keeps_what_was_there(dashboard: Dashboard, office: Office) -> None:
    dashboard.expected = (REFUSED,)
    opened(dashboard)
    page = dashboard.page
    office.down = True
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("alert").first).to_contain_text("The store is away.")
    expect(page.get_by_text("Check TWILIO_AUTH_TOKEN.")).to_be_visible()
    office.down = False
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_user_is_added_changed_and_removed(dashboard: Dashboard, office: Office) -> None:
    dashboard.expected = (REFUSED,)
    opened(dashboard)
    page = dashboard.page
    page.get_by_label("Name", exact=True).fill("bob")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("button", name="I have it")).to_be_visible()
    (password,) = office.passwords
    assert len(password) == 24
    expect(page.get_by_text(password)).to_be_visible()
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_text(password)).to_have_count(0)
    page.get_by_label("Role of bob").select_option("operator")
    page.get_by_role("button", name="Disable bob").click()
    expect(page.get_by_role("button", name="Enable bob")).to_be_visible()
    assert office.users == [{"name": "bob", "role": "operator", "disabled": True}]
    page.get_by_label("Name", exact=True).fill("bob")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("alert")).to_have_text("That name is taken.")
    page.get_by_role("button", name="Remove bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Remove bob")).to_have_count(0)
    expect(page.get_by_role("cell", name="user.remove")).to_be_visible()
    assert office.users == []


def test_a_key_is_shown_once_and_revoked(dashboard: Dashboard, office: Office) -> None:
    opened(dashboard)
    page = dashboard.page
    expect(page.get_by_text("None yet. A key lets a machine in")).to_be_visible()
    page.get_by_label("What it is for").fill("nightly report")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("cbk_0123456789ab_text")).to_be_visible()
    page.get_by_role("button", name="Revoke nightly report").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked", exact=True)).to_be_visible()


def test_a_viewer_is_told_why_not(browser: Browser, stub: Stub) -> None:
    with Dashboard.opened(browser, stub.address) as dashboard:
        dashboard.sign_in(token("viewer"))
        dashboard.page.goto(f"{stub.address}/#/setup")
        expect(dashboard.page.get_by_text("need the role admin; yours is viewer")).to_be_visible()
        expect(dashboard.page.get_by_role("heading", name="What is running")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 1360), ("light", 390)])
def test_axe_and_a_picture(
    browser: Browser, stub: Stub, office: Office, axe_source: Path, pictures: Path, scheme: Any, width: int
) -> None:
    office.users.append({"name": "bob", "role": "operator", "disabled": True})
    office.note("user.add", "bob")
    with Dashboard.opened(
        browser, stub.address, color_scheme=scheme, viewport={"width": width, "height": 860}
    ) as dashboard:
        opened(dashboard)
        page = dashboard.page
        page.get_by_label("What it is for").fill("nightly report")
        page.get_by_role("button", name="Create key").click()
        expect(page.get_by_text("cbk_0123456789ab_text")).to_be_visible()
        assert dashboard.axe(axe_source) == []
        page.locator("main").evaluate("main => main.scrollTo(0, 0)")
        page.screenshot(path=pictures / f"setup-{scheme}-{width}.png")
        page.locator("#keys-title").scroll_into_view_if_needed()
        page.screenshot(path=pictures / f"setup-people-{scheme}-{width}.png")
