"""Placing calls, by clicks: one person, a table that is checked first, a campaign that is paused and stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from realtime.campaigns.table import NoTable, check
from tests.browser.page import Dashboard
from tests.browser.stub import CALL, CODE, Host, Stub, token

pytestmark = [pytest.mark.browser]
ROWS = "phone,first_name,service\n+14155550101,Ann,oil change\n+14155550102,Bob,brake service\nnonsense,Carl,\n"
REFUSED = "Failed to load resource"


def number(text: str) -> str:
    if not text.startswith("+"):
        raise ValueError("to is no number in E.164.")
    return text


@dataclass
class Desk:
    """What the gateway's campaigns would say."""

    asked: list[Mapping[str, Any]] = field(default_factory=list)
    placed: list[Mapping[str, Any]] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    campaign: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def routes(self) -> list[Route]:
        base = "/api/v1/campaigns"
        return [
            Route("/api/v1/calls", self.call, methods=["POST"]),
            Route(base, self.listed, methods=["GET"]),
            Route(base, self.create, methods=["POST"]),
            Route(f"{base}/check", self.check, methods=["POST"]),
            Route(f"{base}/c1", self.show, methods=["GET"]),
            Route(f"{base}/c1/{{verb}}", self.move, methods=["POST"]),
        ]

    async def call(self, request: Request) -> Response:
        self.placed.append({**await request.json(), "key": request.headers["idempotency-key"]})
        return JSONResponse({"call_id": CALL, "status": "initiated"}, 202)

    async def check(self, request: Request) -> Response:
        wanted = await request.json()
        try:
            checked = check(wanted["csv"], number)
        except NoTable as problem:
            return JSONResponse({"error": {"code": "no_table", "message": str(problem), "fix": ""}}, 422)
        good = [{"line": row.line, "to": row.to, "variables": row.variables} for row in checked.good]
        bad = [{"line": row.line, "problem": row.problem} for row in checked.bad]
        sums = {
            "good_rows": len(good),
            "cost_usd": 0.18,
            "seconds": 240,
            "days": 1,
            "per_day": 200,
            "missing": self.missing,
        }
        return JSONResponse({"columns": checked.columns, "good": good, "bad": bad, **sums})

    async def create(self, request: Request) -> Response:
        self.asked.append(await request.json())
        rows = [
            {"n": 1, "line": 2, "to": "+14155550101", "state": "placed", "call_id": CALL, "result": "", "detail": ""},
            {"n": 2, "line": 3, "to": "+14155550102", "state": "waiting", "call_id": None, "result": "", "detail": ""},
        ]
        named = {
            "campaign_id": "c1",
            "name": self.asked[-1]["name"] or "A table",
            "flow": self.asked[-1]["flow"],
            "rows": 2,
        }
        self.campaign = {
            **named, "created_at": "2026-11-25T12:00:00Z", "created_by": "ana", "state": "running", "reason": "",
            "per_minute": 6, "at_once": 5, "opens": "09:00", "closes": "20:00", "results": rows,
            "counts": {"total": 2, "over": 0, "placed": 1, "waiting": 1},
        }  # fmt: skip
        return JSONResponse(self.campaign, 201)

    async def listed(self, _request: Request) -> Response:
        return JSONResponse({"campaigns": [self.campaign] if self.campaign else []})

    async def show(self, _request: Request) -> Response:
        return JSONResponse(self.campaign)

    async def move(self, request: Request) -> Response:
        verb = request.path_params["verb"]
        self.moved.append(verb)
        self.campaign["state"] = {"pause": "paused", "resume": "running", "stop": "stopped"}[verb]
        return JSONResponse(self.campaign)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def stub(host: Host, desk: Desk) -> Stub:
    return host.take(*desk.routes())


def opened(dashboard: Dashboard) -> None:
    dashboard.login(CODE)
    dashboard.page.get_by_role("link", name="Place calls").click()
    expect(dashboard.page.get_by_role("heading", name="Place calls")).to_be_visible()


def test_one_person_is_called_once(dashboard: Dashboard, stub: Stub, desk: Desk) -> None:
    opened(dashboard)
    page = dashboard.page
    stub.call()
    stub.emit("call_status", status="initiated", call_end_time=None, reason=None)
    page.get_by_label("Number").fill("+1 (415) 555-0123")
    page.get_by_label("First name").fill("Ann")
    page.get_by_role("button", name="Call", exact=True).click()
    question = page.get_by_role("dialog", name="Call +1 415 555 0123?")
    expect(question).to_contain_text("$0.18")
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    assert desk.placed == [], "a question is no call"
    page.get_by_role("button", name="Call", exact=True).click()
    question.get_by_role("button", name="Call now").click()
    expect(page).to_have_url(f"{stub.address}/#/live/{CALL}")
    (placed,) = desk.placed
    assert (placed["to"], placed["variables"], placed["flow"]) == (
        "+14155550123",
        {"first_name": "Ann"},
        "outbound_reminder",
    )
    assert placed["key"]


def test_a_number_that_is_none_and_an_installation_that_calls_nobody_are_said(dashboard: Dashboard, desk: Desk) -> None:
    opened(dashboard)
    page = dashboard.page
    page.get_by_label("Number").fill("415 555 0123")
    page.get_by_label("First name").fill('Ann "the boss", Smith')
    page.get_by_role("button", name="Call", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("to is no number in E.164.")
    desk.missing = ["TWILIO_ACCOUNT_SID"]
    page.get_by_label("Number").fill("+14155550123")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("TWILIO_ACCOUNT_SID not set")
    expect(page.get_by_role("dialog")).to_have_count(0)
    desk.missing = []
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text('Ann "the boss", Smith')
    assert desk.placed == []


def test_a_table_is_checked_first_then_called_paused_and_stopped(
    dashboard: Dashboard, desk: Desk, tmp_path: Path
) -> None:
    opened(dashboard)
    page = dashboard.page
    table = tmp_path / "november.csv"
    table.write_text(ROWS)
    assert page.get_by_role("button", name="Check, call nobody").is_disabled()
    page.get_by_label("Table").set_input_files(table)
    page.get_by_role("button", name="Check, call nobody").click()
    expect(page.get_by_text("line 4")).to_be_visible()
    expect(page.get_by_text("to is no number in E.164.")).to_be_visible()
    expect(page.get_by_role("cell", name="brake service")).to_be_visible()
    expect(page.get_by_text("$0.18")).to_be_visible()
    assert desk.asked == []
    page.get_by_role("button", name="Call 2 people").click()
    expect(page.get_by_role("heading", name="november")).to_be_visible()
    (asked,) = desk.asked
    assert (asked["csv"], asked["per_minute"], asked["opens"]) == (ROWS, 6, "09:00")
    expect(page.get_by_text("0 of 2 done")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status").filter(has_text="Paused")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("status").filter(has_text="Running")).to_be_visible()
    desk.campaign["counts"] = {"total": 2, "over": 1, "waiting": 1, "done": 1}
    desk.campaign["results"][0] |= {"state": "done", "result": "completed", "detail": "happy"}
    expect(page.get_by_text("1 of 2 done")).to_be_visible()
    expect(page.get_by_role("cell", name="Completed, Happy")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    expect(page.get_by_role("status").filter(has_text="Stopped")).to_be_visible()
    assert desk.moved == ["pause", "resume", "stop"]


def test_what_was_changed_after_the_check_is_checked_again(dashboard: Dashboard) -> None:
    dashboard.expected = (REFUSED,)
    opened(dashboard)
    page = dashboard.page
    page.get_by_label("or paste it here").fill(ROWS)
    page.get_by_role("button", name="Check, call nobody").click()
    expect(page.get_by_role("button", name="Call 2 people")).to_be_visible()
    page.get_by_label("or paste it here").fill("name\nAnn\n")
    expect(page.get_by_role("button", name="Call 2 people")).to_have_count(0)
    page.get_by_role("button", name="Check, call nobody").click()
    expect(page.get_by_role("alert")).to_contain_text("No column is called phone")


def test_a_viewer_is_told_why_not(browser: Browser, stub: Stub) -> None:
    with Dashboard.opened(browser, stub.address) as dashboard:
        dashboard.sign_in(token("viewer"))
        dashboard.page.goto(f"{stub.address}/#/place")
        expect(dashboard.page.get_by_text("Calling people needs the role operator")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 1360), ("light", 390)])
def test_axe_and_a_picture(
    browser: Browser, stub: Stub, desk: Desk, axe_source: Path, pictures: Path, scheme: Any, width: int
) -> None:
    with Dashboard.opened(
        browser, stub.address, color_scheme=scheme, viewport={"width": width, "height": 860}
    ) as dashboard:
        opened(dashboard)
        page = dashboard.page
        page.get_by_label("or paste it here").fill(ROWS)
        page.get_by_role("button", name="Check, call nobody").click()
        expect(page.get_by_role("button", name="Call 2 people")).to_be_visible()
        assert dashboard.axe(axe_source) == []
        page.screenshot(path=pictures / f"place-{scheme}-{width}.png", full_page=True)
        page.get_by_role("button", name="Call 2 people").click()
        expect(page.get_by_text("0 of 2 done")).to_be_visible()
        assert dashboard.axe(axe_source) == []
        page.screenshot(path=pictures / f"campaign-{scheme}-{width}.png")
