"""The first page, against a scripted gateway."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import story
from tests.browser.page import Dashboard
from tests.browser.stub import CALL, CODE, Stub

pytestmark = [pytest.mark.browser]
REFUSED = "Failed to load resource"
SILENCE = b"\xff" * 800


def test_the_one_time_link_signs_in_and_leaves_the_address(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    assert dashboard.page.url == f"{stub.address}/"
    expect(dashboard.page.get_by_text("pocketsphinx")).to_be_visible()
    dashboard.page.reload()
    dashboard.wait_live()


def test_a_used_link_says_so_and_the_form_signs_in(dashboard: Dashboard) -> None:
    dashboard.expected = (REFUSED,)
    page = dashboard.page
    page.goto(f"{dashboard.address}/?login=used")
    expect(page.get_by_text("This one-time link was used before")).to_be_visible()
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Wrong user name or password.")
    page.get_by_label("Password").fill("right")
    page.keyboard.press("Enter")
    dashboard.wait_live()


def test_partials_are_ghosts_until_the_final_takes_their_place(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    dashboard.start_demo_call()
    stub.emit("call_status", status="in_progress", call_end_time=None, reason=None)
    stub.emit("partial_transcript", turn=1, text="I need an")
    expect(dashboard.ghosts()).to_have_count(1)
    expect(dashboard.ghosts()).to_contain_text("I need an")
    assert dashboard.page.locator(".now").get_attribute("aria-hidden") == "true"
    assert dashboard.page.locator("[role=log] .now").count() == 0
    stub.emit("final_transcript", turn=1, speaker="user", text="I need an oil change", confidence=1)
    expect(dashboard.bubbles("user")).to_have_count(1)
    expect(dashboard.bubbles("user").locator(".words")).to_have_text("I need an oil change")
    expect(dashboard.ghosts()).to_have_count(0)


def test_chunks_stream_until_the_reply_is_complete(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    dashboard.start_demo_call()
    stub.emit("ai_response_chunk", turn=0, offset=0, text="Thank you ")
    stub.emit("ai_response_chunk", turn=0, offset=10, text="for calling.")
    expect(dashboard.ghosts().locator(".words")).to_have_text("Thank you for calling.")
    whole = "Thank you for calling."
    stub.emit("ai_response_complete", turn=0, speaker="assistant", text=whole, full_text=whole, interrupted=False)
    stub.emit("ai_response_chunk", turn=0, offset=22, text=" late")
    expect(dashboard.bubbles("assistant").locator(".words")).to_have_text(whole)
    expect(dashboard.ghosts()).to_have_count(0)


def test_a_page_that_comes_in_the_middle_of_a_reply_shows_that(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    dashboard.start_demo_call()
    stub.emit("ai_response_chunk", turn=0, offset=40, text="at two.")
    expect(dashboard.ghosts().locator(".words")).to_have_text("… at two.")


def test_a_whole_call_is_told(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    dashboard.start_demo_call()
    assert stub.started == [{"scenario": "book_oil_change"}]
    page = dashboard.page
    story.opening(stub)
    story.middle(stub)
    cut = dashboard.bubbles("assistant").nth(1)
    expect(cut.locator("del")).to_contain_text("two in the afternoon. What time would you like?")
    assert story.HEARD.strip() in cut.inner_text()
    looked = page.locator('.tool[data-tool="get_available_slots"]')
    expect(looked).to_contain_text("Looked for free times on Saturday 21 November")
    expect(looked).to_contain_text("9:00 AM, 10:30 AM, 2:00 PM")
    expect(looked.locator("pre")).to_be_hidden()
    looked.locator("summary").click()
    expect(looked.locator("pre")).to_contain_text('"preferred_date": "2026-11-21"')
    booked = page.locator(".booked")
    for fact in ("Oil change", "Saturday 21 November, 2:00 PM", "apt_7H2K"):
        expect(booked).to_contain_text(fact)
    expect(page.locator("[data-slot=preferred_time] dd")).to_have_text("2:00 PM")
    expect(page.locator(".facts .state")).to_have_text("Execution")
    expect(page.get_by_text("local demo engines")).to_be_visible()
    expect(page.locator(".turn").first).to_contain_text("390 ms")
    assert dashboard.timeline() == ["call_status"]
    expect(page.get_by_role("heading", level=1)).to_have_text("+1 500 555 0100")
    story.ending(stub)
    expect(page.locator(".timeline li")).to_have_count(3)
    assert dashboard.timeline() == ["call_status", "call_status", "call_completed"]
    expect(page.locator(".call-head .chip")).to_have_text("Completed")
    expect(page.get_by_text("This call has ended.")).to_be_visible()
    assert dashboard.events_seen() == _journal(stub)


def test_a_tool_that_refused_is_told_so(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    dashboard.start_demo_call()
    stub.emit(
        "tool_call", turn=1, tool="book_appointment", ok=False, ms=3,
        arguments={"service_type": "oil_change", "date": "2026-11-21", "time": "14:00"},
        result={"reason": "taken", "message": "Two o'clock on Saturday is taken."},
    )  # fmt: skip
    refused = dashboard.page.locator(".tool.failed")
    expect(refused).to_contain_text("Tried to book: oil change, Saturday 21 November, 2:00 PM")
    expect(refused).to_contain_text("Two o'clock on Saturday is taken.")
    expect(dashboard.page.locator(".booked")).to_have_count(0)


def test_typing_speaks_as_the_caller(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    expect(dashboard.page.get_by_text("The demo recogniser knows booking words only")).to_be_visible()
    dashboard.say("I need an oil change")
    expect(dashboard.page.get_by_label("Say something as the caller")).to_be_visible()
    assert stub.started == [{"scenario": None, "text": "I need an oil change"}]
    with dashboard.page.expect_response("**/api/v1/demo/say"):
        dashboard.say("Tomorrow at two")
    expect(dashboard.page.locator(".composer input")).to_have_value("")
    expect(dashboard.page.get_by_role("button", name="Send")).to_be_disabled()
    assert stub.said == ["Tomorrow at two"]


def test_doubles_and_disorder_change_nothing(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    dashboard.start_demo_call()
    story.opening(stub)
    expect(dashboard.bubbles()).to_have_count(1)
    for seq in (3, 1, 2, 3):
        stub.emit("", seq=seq)
    stub.append("final_transcript", turn=1, speaker="user", text="First", confidence=1)
    stub.emit("final_transcript", turn=2, speaker="user", text="Second", confidence=1)
    expect(dashboard.bubbles("user").locator(".words")).to_have_text(["First", "Second"])
    assert dashboard.bubbles().count() == 3
    assert sorted(dashboard.events_seen()) == _journal(stub)


def test_a_lost_connection_is_admitted_and_made_good(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.expected = (REFUSED,)
    dashboard.login(CODE)
    dashboard.start_demo_call()
    story.opening(stub)
    stub.emit("partial_transcript", turn=1, text="I need")
    expect(dashboard.ghosts()).to_have_count(1)
    stub.drop(refuse=True)
    expect(dashboard.page.get_by_role("alert")).to_contain_text("Not connected to the server")
    stub.append("final_transcript", turn=1, speaker="user", text="I need an oil change", confidence=1)
    for number in range(30):
        stub.append("dtmf", turn=1, digit=str(number % 10))
    stub.append("call_status", status="completed", call_end_time="2026-11-20T18:20:00Z", reason="hangup")
    stub.append("call_completed", call_data={"ref": "large"})
    stub.accept()
    dashboard.wait_live()
    expect(dashboard.page.get_by_text("33 events came meanwhile")).to_be_visible()
    expect(dashboard.bubbles("user").locator(".words")).to_have_text("I need an oil change")
    expect(dashboard.ghosts()).to_have_count(0)
    stub.emit("", seq=4)
    assert dashboard.events_seen() == _journal(stub)


def test_both_sides_are_heard_after_the_click(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    dashboard.start_demo_call()
    page = dashboard.page
    expect(page.get_by_role("button", name="Listen", pressed=True)).to_be_visible()
    _until(page, lambda: stub.listening == 1)
    for _ in range(8):
        stub.sound(0, b"\x00\x80" * 400)  # as loud as it gets
        stub.sound(1, SILENCE)
    _until(page, lambda: _level(page, "user") > 0.9)
    assert _level(page, "assistant") < 0.2
    drawn = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 1"
    _until(page, lambda: bool(page.locator("canvas.wave").evaluate(drawn)))
    page.get_by_role("button", name="Listen").click()
    expect(page.get_by_role("button", name="Listen", pressed=False)).to_be_visible()
    _until(page, lambda: stub.listening == 0)


def test_the_keyboard_is_enough(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    page = dashboard.page
    expect(page.get_by_role("button", name="Start a demo call")).to_be_visible()
    for _ in range(12):
        if page.evaluate("document.activeElement.textContent").strip() == "Start a demo call":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log", name="What was said")).to_be_attached()
    assert stub.started == [{"scenario": "book_oil_change"}]


def test_without_its_libraries_the_page_says_what_to_do(dashboard: Dashboard) -> None:
    dashboard.expected = (REFUSED, "Failed to fetch")
    dashboard.page.route("**/lib/preact.js", lambda route: route.fulfill(status=404))
    dashboard.page.goto(dashboard.address)
    expect(dashboard.page.get_by_role("alert")).to_contain_text("python -m media_gateway.dashboard.frontend")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 390])
def test_axe_finds_nothing_and_nothing_overflows(
    browser: Browser, stub: Stub, axe_source: Path, pictures: Path, theme: str, width: int
) -> None:
    size = {"width": width, "height": 860 if width > 700 else 844}
    with Dashboard.opened(
        browser, stub.address, viewport=size, color_scheme=theme, reduced_motion="reduce", bypass_csp=False
    ) as dashboard:
        page = dashboard.page
        found = {}

        def look(name: str) -> None:
            page.screenshot(path=pictures / f"{name}-{theme}-{width}.png")
            found[name] = dashboard.axe(axe_source)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                f"{name} is wider than the screen"
            )

        page.goto(stub.address)
        expect(page.get_by_label("Name")).to_be_visible()
        look("login")
        dashboard.login(CODE)
        expect(page.get_by_text("pocketsphinx")).to_be_visible()
        look("empty")
        dashboard.start_demo_call()
        story.opening(stub)
        stub.emit("partial_transcript", turn=1, text="I need an oil change")
        expect(dashboard.ghosts()).to_have_count(1)
        look("speaking")
        story.middle(stub)
        expect(dashboard.bubbles("assistant")).to_have_count(3)
        look("booked")
        story.ending(stub)
        expect(page.locator(".timeline li")).to_have_count(3)
        look("ended")
        assert {name: problems for name, problems in found.items() if problems} == {}


def _journal(stub: Stub) -> list[tuple[str, int, str]]:
    names = {"turn_metrics": "metrics_updated"}
    return [(CALL, event["seq"], names.get(event["type"], event["type"])) for event in stub.journal]


def _level(page: Page, side: str) -> float:
    level = page.locator(f".meter-bar.{side}").evaluate("(bar) => parseFloat(bar.style.transform.slice(7))")
    return float(level)


def _until(page: Page, done: Callable[[], bool]) -> None:
    """A string for `wait_for_function` would be evaluated in the page, which its policy forbids."""
    for _ in range(100):
        if done():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not come to that")


def test_the_story_does_not_depend_on_the_order_of_arrival(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    for chapter in (story.opening, story.middle, story.ending):
        chapter(stub)
    tell = """async (events) => {
      const { apply, emptyCall, normalise } = await import("/static/fold.js");
      const call = events.map(normalise).reduce(apply, emptyCall("x"));
      return [JSON.stringify(call.story), call.through];
    }"""
    whole = dashboard.page.evaluate(tell, stub.journal)
    assert whole[1] == len(stub.journal)
    shuffler = random.Random(7)
    for _ in range(25):
        disordered = stub.journal + shuffler.choices(stub.journal, k=5)
        shuffler.shuffle(disordered)
        assert dashboard.page.evaluate(tell, disordered) == whole
