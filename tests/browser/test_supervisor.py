"""A supervisor's day, by clicks: ten running calls, stepping in, two at once, a viewer who may only watch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import story
from tests.browser.page import CHROMIUM, MICROPHONE, Dashboard, chromium
from tests.browser.stub import CALL, CODE, Stub, token
from tests.conftest import require

pytestmark = [pytest.mark.browser]
LINES = (
    "I need an oil change tomorrow at two", "My brakes make a noise when I stop", "What time do you close today?",
    "Can I move my appointment to Friday?", "I want to speak to a manager, please", "How much is a tire rotation?",
    "Do you check batteries?", "Yes, nine in the morning is fine", "It is the blue one, the pickup", "No, that is all",
)  # fmt: skip
STATES = ("slot_collection", "intent_detection", "confirmation", "execution", "slot_collection")
REFUSED = "Failed to load resource"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require(CHROMIUM.exists(), "Chromium", "apt-get install -y --no-install-recommends chromium")
    with chromium(*MICROPHONE) as running:
        yield running


def calls(stub: Stub, count: int) -> list[str]:
    """So many calls that go on, quietly."""
    names = [f"CA{number:032d}" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        stub.call(name, f"+1500555{1000 + number}")
        stub.emit("call_status", call=name, status="in_progress", call_end_time=None, reason=None)
        stub.emit("final_transcript", call=name, turn=1, speaker="user", text=LINES[number % 10], confidence=1)
        state = STATES[number % 5]
        stub.emit("state_changed", call=name, turn=1, state=state, intent="book_service", slots={}, why="", input={})
    return names


def until_watched(page: Page, stub: Stub) -> None:
    """A page is live a moment before it has subscribed."""
    for _ in range(200):
        if stub.watching:
            return
        page.wait_for_timeout(25)
    pytest.fail("nobody watches")


def shown(page: Page) -> list[str]:
    """The tiles, in their order."""
    return [str(tile.get_attribute("data-call")) for tile in page.locator("a.tile").all()]


def open_call(dashboard: Dashboard, stub: Stub) -> None:
    stub.call()
    story.opening(stub)
    dashboard.login(CODE)
    dashboard.page.locator(f'a.tile[data-call="{CALL}"]').click()
    expect(dashboard.page.get_by_role("button", name="Whisper")).to_be_visible()


def test_a_minute_with_ten_running_calls(dashboard: Dashboard, stub: Stub) -> None:
    names = calls(stub, 10)
    dashboard.login(CODE)
    page = dashboard.page
    expect(page.get_by_role("heading", name="10 calls running")).to_be_visible()
    expect(page.locator("a.tile")).to_have_count(10)
    expect(page.locator(f'a.tile[data-call="{names[0]}"]')).to_contain_text(LINES[0])  # a past, though nobody watched
    stub.emit("escalation", call=names[4], turn=1, reason="manager_request")
    expect(page.locator("a.tile").first).to_have_attribute("data-call", names[4])
    expect(page.locator("a.tile").first).to_contain_text("Asked for a person")
    expect(page.get_by_text("1 needs somebody")).to_be_visible()
    page.locator("a.tile").nth(5).hover()
    before = shown(page)
    stub.emit("provider_fault", call=before[7], stage="hearing", provider="x", kind="timeout", detail="")
    expect(page.get_by_text("2 need somebody")).to_be_visible()
    assert shown(page) == before, "nothing moves while somebody reads"
    page.get_by_role("heading", name="10 calls running").hover()
    expect(page.locator("a.tile").nth(1)).to_have_attribute("data-call", before[7])
    stub.emit("partial_transcript", call=names[4], turn=2, text="A person please")
    page.locator("a.tile").first.click()
    expect(dashboard.ghosts()).to_contain_text("A person please")
    expect(dashboard.bubbles("user").locator(".words")).to_have_text(LINES[4])
    page.get_by_role("button", name="Whisper").click()
    page.get_by_label("Only the assistant hears").fill("Offer a call back")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Whisper …")).to_be_visible()
    assert stub.commanded == [("whisper", names[4], {"text": "Offer a call back"})]
    stub.emit("command", call=names[4], command_id="cmd-1", kind="whisper", actor="ana", ok=True, detail="")
    expect(page.get_by_text("The assistant has been told.")).to_be_visible()
    expect(page.locator(".log .note").filter(has_text="ana whispered to the assistant")).to_be_visible()
    page.go_back()
    expect(page.locator("a.tile")).to_have_count(10)


def test_each_deed_is_confirmed_and_its_failure_said(dashboard: Dashboard, stub: Stub) -> None:
    open_call(dashboard, stub)
    page = dashboard.page
    page.get_by_role("button", name="Say").click()
    page.get_by_label("The caller hears").fill("We close at six")
    page.get_by_role("button", name="Say", exact=True).last.click()
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("dialog", name="End this call?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Transfer").click()
    page.get_by_role("dialog").get_by_label("To").fill("bo")
    page.get_by_role("dialog").get_by_role("button", name="Transfer").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Hang up").click()
    page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert [(kind, body) for kind, _, body in stub.commanded] == [
        ("say", {"text": "We close at six"}), ("transfer", {"to": "bo"}), ("hangup", {}),
    ]  # fmt: skip
    stub.emit("command", command_id="cmd-3", kind="hangup", actor="ana", ok=False, detail="the call is over")
    expect(page.get_by_role("alert")).to_contain_text("Hang up did not work. the call is over")


def test_two_supervisors_do_not_fight(dashboard: Dashboard, stub: Stub, browser: Browser) -> None:
    dashboard.expected = (REFUSED,)
    open_call(dashboard, stub)
    with Dashboard.opened(browser, stub.address) as other:
        other.sign_in(token("operator", user="bo"))
        other.page.goto(dashboard.page.url)
        other.wait_live()
        stub.emit("command", command_id="x1", kind="takeover", actor="bo", ok=True, detail="phone")
        expect(dashboard.page.get_by_text("bo has taken this call over")).to_be_visible()
        expect(other.page.get_by_text("You have this call")).to_be_visible()
    stub.refusal = (409, "bo supervises this call.")
    dashboard.page.get_by_role("button", name="Say").click()
    dashboard.page.get_by_label("The caller hears").fill("Hello")
    dashboard.page.keyboard.press("Enter")
    expect(dashboard.page.get_by_role("alert")).to_contain_text("bo supervises this call.")
    stub.emit("command", command_id="x2", kind="release", actor="bo", ok=True, detail="")
    expect(dashboard.page.get_by_text("bo has taken this call over")).to_have_count(0)


def test_taking_over_with_the_microphone(dashboard: Dashboard, stub: Stub) -> None:
    open_call(dashboard, stub)
    page = dashboard.page
    page.get_by_role("button", name="Take over").click()
    page.get_by_role("dialog").get_by_role("button", name="Take over").click()
    expect(page.get_by_text("You speak with the caller")).to_be_visible()
    assert stub.commanded == [("takeover", CALL, {"by": "browser"})]
    for _ in range(200):
        if len(stub.spoken) > 32_000:
            break
        page.wait_for_timeout(25)
    assert len(stub.spoken) > 32_000, "a second of the supervisor's voice"
    assert any(stub.spoken), "and not silence"
    page.get_by_role("button", name="Give it back to the assistant").click()
    expect(page.get_by_text("You speak with the caller")).to_have_count(0)
    for _ in range(100):
        if stub.released:
            break
        page.wait_for_timeout(25)
    assert stub.released


def test_a_tool_that_waits_is_approved(dashboard: Dashboard, stub: Stub) -> None:
    open_call(dashboard, stub)
    page = dashboard.page
    asked: Any = {"command_id": "r1", "kind": "approval", "actor": "session", "ok": None, "detail": "asked"}
    stub.emit("command", **asked, tool="cancel_appointment", arguments={"appointment_id": "apt_1"}, until="")
    expect(page.get_by_role("group", name="Approval of Cancel appointment")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    stub.emit("command", command_id="cmd-1", kind="approve", actor="ana", ok=True, detail="cancel_appointment")
    expect(page.get_by_role("group", name="Approval of Cancel appointment")).to_have_count(0)
    assert stub.commanded == [("approve", CALL, {"request_id": "r1"})]
    expect(page.get_by_text("ana approved")).to_be_visible()


def test_a_tool_that_waits_is_refused(dashboard: Dashboard, stub: Stub) -> None:
    open_call(dashboard, stub)
    page = dashboard.page
    asked: Any = {"command_id": "r1", "kind": "approval", "actor": "session", "ok": None, "detail": "asked"}
    stub.emit("command", **asked, tool="cancel_appointment", arguments={"appointment_id": "apt_1"}, until="")
    page.get_by_text("What exactly").click()
    expect(page.get_by_label("Arguments")).to_contain_text('"appointment_id": "apt_1"')
    page.get_by_role("button", name="Refuse").click()
    stub.emit("command", command_id="cmd-1", kind="refuse", actor="ana", ok=True, detail="cancel_appointment")
    expect(page.get_by_role("group", name="Approval of Cancel appointment")).to_have_count(0)
    assert stub.commanded == [("refuse", CALL, {"request_id": "r1"})]
    expect(page.get_by_text("ana refused")).to_be_visible()


def test_what_a_call_has_cost_so_far_is_told_with_each_turn(dashboard: Dashboard, stub: Stub) -> None:
    open_call(dashboard, stub)
    used = dashboard.page.get_by_role("region", name="Used so far")
    for turn in (1, 2):
        bill = {"llm": 0.002, "tts": 0.01, "stt": 0.0, "telephone": 0.004, "usd": 0.016}
        stub.emit("metrics_updated", turn=turn, stages={"thinking": 300}, tokens={"prompt": 100}, cost=bill)
    expect(used).to_contain_text("$0.032")
    expect(used).to_contain_text("200")
    expect(used).to_contain_text("$0.020")


def test_what_a_turn_waited_for_is_drawn_stage_by_stage_and_a_slow_tool_is_one_of_them(
    dashboard: Dashboard, stub: Stub
) -> None:
    open_call(dashboard, stub)
    stages = {"endpointing": 200, "thinking": 300, "tools": 2000, "clause": 40, "voicing": 150, "sending": 10}
    stub.emit("metrics_updated", turn=7, stages={**stages, "playing": 100}, tokens={})
    waits = dashboard.page.get_by_role("region", name="Time to answer")
    turn = waits.get_by_role("listitem").filter(has_text="Turn 7").first
    expect(turn).to_contain_text("2800 ms")
    expect(turn).to_contain_text("Tools 2000")
    parts = turn.locator(".bar .stage")
    expect(parts).to_have_count(7)
    look = "all => all.map(one => [one.dataset.stage, getComputedStyle(one).backgroundColor, one.offsetWidth])"
    drawn = {name: (colour, width) for name, colour, width in parts.evaluate_all(look)}
    assert len({colour for colour, _ in drawn.values()}) == 7, "each has a colour of its own"
    assert max(drawn, key=lambda name: drawn[name][1]) == "tools"


def test_a_viewer_may_watch_and_is_told_so(browser: Browser, stub: Stub) -> None:
    stub.token = token("viewer", user="vi")
    with Dashboard.opened(browser, stub.address) as dashboard:
        open_call(dashboard, stub)
        for name in ("Whisper", "Say", "Transfer", "Take over", "Hang up"):
            button = dashboard.page.get_by_role("button", name=name)
            expect(button).to_have_attribute("aria-disabled", "true")
            button.click(force=True)  # a person can press it all the same
            expect(dashboard.page.get_by_role("alert")).to_contain_text("Stepping in needs the role operator")
        assert dashboard.page.get_by_role("dialog").count() == 0
        assert stub.commanded == []
        expect(dashboard.page.get_by_role("button", name="Listen")).to_be_visible()


def test_a_session_that_ends_says_so_and_goes_on(browser: Browser, stub: Stub) -> None:
    with Dashboard.opened(browser, stub.address) as dashboard:
        page = dashboard.page
        page.clock.install()
        now = int(page.evaluate("Date.now()") / 1000)
        stub.token = token("operator", expires=now + 240)
        dashboard.login(CODE)
        expect(page.get_by_text("Your session ends in")).to_be_visible()
        page.get_by_role("button", name="Sign in again").click()
        stub.token = token("operator")
        page.get_by_role("dialog").get_by_label("Name").fill("admin")
        page.get_by_role("dialog").get_by_label("Password").fill("right")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Your session ends in")).to_have_count(0)
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_every_state_of_the_connection_is_said(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.expected = (REFUSED, "WebSocket connection")
    calls(stub, 2)
    dashboard.login(CODE)
    page = dashboard.page
    until_watched(page, stub)
    stub.tell(type="degraded", reason="store_unreachable", since="")
    expect(page.locator(".link-state")).to_have_text("Degraded")
    expect(page.get_by_text("The server cannot reach its store")).to_be_visible()
    stub.tell(type="restored")
    dashboard.wait_live()
    stub.no_sockets = True
    stub.drop()
    expect(page.locator(".link-state")).to_have_text("Not live", timeout=15_000)
    expect(page.get_by_text("the journal is read every two seconds")).to_be_visible()
    stub.append("final_transcript", call=f"CA{1:032d}", turn=2, speaker="user", text="Still here", confidence=1)
    expect(page.locator("a.tile").filter(has_text="Still here")).to_be_visible()
    stub.accept()
    expect(page.locator(".link-state")).to_have_text("Live", timeout=20_000)
    until_watched(page, stub)
    stub.drop(code=4403)
    expect(page.locator(".link-state")).to_have_text("Stopped")
    expect(page.get_by_role("button", name="Load again")).to_be_visible()


def test_what_is_not_known_is_not_claimed(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.expected = (REFUSED,)
    names = calls(stub, 2)
    dashboard.login(CODE)
    page = dashboard.page
    expect(page.get_by_text("All is well")).to_be_visible()
    until_watched(page, stub)
    stub.drop(refuse=True)
    expect(page.get_by_text("when last heard of")).to_be_visible()
    expect(page.get_by_text("All is well")).to_have_count(0)
    page.locator(f'a.tile[data-call="{names[0]}"]').click()
    expect(page.get_by_text("What was said is read as soon as there is a connection.")).to_be_visible()
    stub.accept()
    dashboard.wait_live()
    expect(dashboard.bubbles("user")).to_have_count(1)


def test_a_journal_that_could_not_be_read_is_asked_for_again(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.expected = (REFUSED,)
    (name,) = calls(stub, 1)
    dashboard.login(CODE)
    page = dashboard.page
    refused: list[Route] = []
    expect(page.locator("a.tile")).to_contain_text(LINES[0])

    def once(route: Route) -> None:
        if refused:
            return route.continue_()
        refused.append(route)
        return route.fulfill(status=503, body="{}")

    page.route(f"**/api/v1/calls/{name}/events*", once)
    page.locator("a.tile").click()
    expect(page.get_by_text("Loading what was said …")).to_be_visible()
    expect(dashboard.bubbles("user").locator(".words")).to_have_text(LINES[0])


def test_the_list_of_calls_is_loading_and_has_failed(browser: Browser, stub: Stub) -> None:
    with Dashboard.opened(browser, stub.address) as dashboard:
        dashboard.expected = (REFUSED,)
        page, held = dashboard.page, []
        dashboard.sign_in(token("operator"))
        page.route("**/api/v1/calls", lambda route: held.append(route))
        page.goto(stub.address)
        expect(page.get_by_text("Loading the calls …")).to_be_visible()
        for route in held:
            route.fulfill(status=503, body="{}")
        expect(page.get_by_role("alert")).to_have_text("The list of calls could not be loaded.")
        page.unroute("**/api/v1/calls")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", name="Hear it take a call")).to_be_visible()


def test_addresses_that_lead_nowhere(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.expected = (REFUSED,)
    dashboard.login(CODE)
    page = dashboard.page
    page.goto(f"{stub.address}/#/nowhere")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.goto(f"{stub.address}/#/live/CA999")
    expect(page.get_by_role("heading", name="There is no such call")).to_be_visible()
    expect(page.get_by_role("button", name="Hang up")).to_have_count(0)
    expect(page.get_by_text("0 running")).to_be_visible()
    page.route("**/pages/talk.js", lambda route: route.fulfill(status=404))
    page.goto(f"{stub.address}/#/talk")
    expect(page.get_by_role("button", name="Load again")).to_be_visible()


def test_a_long_call_is_drawn_in_a_window(dashboard: Dashboard, stub: Stub) -> None:
    stub.call()
    for number in range(600):
        stub.append("final_transcript", turn=number, speaker="user", text=f"Line {number}", confidence=1)
    dashboard.login(CODE)
    page = dashboard.page
    page.goto(f"{stub.address}/#call/{CALL}")
    expect(dashboard.bubbles().last).to_contain_text("Line 599")
    assert dashboard.bubbles().count() <= 120
    page.get_by_role("button", name="Show earlier").click()
    expect(dashboard.bubbles().first).to_contain_text("Line 400")
    top = dashboard.bubbles().nth(80).bounding_box()
    stub.emit("final_transcript", turn=600, speaker="user", text="Line 600", confidence=1)
    expect(page.get_by_role("button", name="Newest")).to_be_visible()
    assert dashboard.bubbles().nth(80).bounding_box() == top, "nothing jumps while somebody reads"
    page.get_by_role("button", name="Newest").click()
    expect(dashboard.bubbles().last).to_contain_text("Line 600")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 390])
def test_axe_finds_nothing_where_supervisors_work(
    browser: Browser, stub: Stub, axe_source: Path, pictures: Path, theme: str, width: int
) -> None:
    size = {"width": width, "height": 860 if width > 700 else 844}
    with Dashboard.opened(
        browser, stub.address, viewport=size, color_scheme=theme, reduced_motion="reduce"
    ) as dashboard:
        page, found = dashboard.page, {}

        def look(name: str) -> None:
            page.screenshot(path=pictures / f"{name}-{theme}-{width}.png")
            found[name] = dashboard.axe(axe_source)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name

        names = calls(stub, 10)
        stub.emit("escalation", call=names[4], turn=1, reason="manager_request")
        stub.emit("provider_fault", call=names[6], stage="hearing", provider="x", kind="timeout", detail="")
        for number, name in enumerate(names):
            waited = 300 + 260 * number
            stub.emit("metrics_updated", call=name, turn=1, stages={"thinking": waited}, tokens={})
        dashboard.login(CODE)
        expect(page.locator("a.tile")).to_have_count(10)
        expect(page.locator("a.tile").first).to_contain_text("Asked for a person")
        look("board")
        page.locator("a.tile").first.click()
        asked: Any = {"command_id": "r1", "kind": "approval", "actor": "session", "ok": None, "detail": "asked"}
        stub.emit(
            "command",
            call=names[4],
            **asked,
            tool="cancel_appointment",
            arguments={"appointment_id": "apt_7H2K"},
            until="",
        )
        expect(page.get_by_role("group", name="Approval of Cancel appointment")).to_be_visible()
        page.get_by_role("button", name="Whisper").click()
        look("step-in")
        page.get_by_role("button", name="Take over").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        look("take-over")
        page.keyboard.press("Escape")
        page.goto(f"{stub.address}/#/talk")
        expect(page.get_by_role("button", name="Start talking")).to_be_visible()
        look("talk")
        assert {name: problems for name, problems in found.items() if problems} == {}


def test_what_happens_between_the_journal_and_the_subscription_is_shown(dashboard: Dashboard, stub: Stub) -> None:
    stub.call()
    story.opening(stub)
    dashboard.sign_in(token("operator"))
    page = dashboard.page
    told: list[str] = []

    def late(route: Route) -> None:
        """The journal was read; then, before there is a ticket for the socket, something is said."""
        if not told:
            expect(dashboard.bubbles("assistant")).to_have_count(1)
            page.wait_for_timeout(500)  # the page reads until nothing more comes
            stub.append("final_transcript", turn=1, speaker="user", text="Is anybody there?", confidence=1)
            told.append("said")
        route.continue_()

    page.route("**/ws-ticket", late)
    page.goto(f"{stub.address}/#/live/{CALL}")
    dashboard.wait_live()
    expect(dashboard.bubbles("user").locator(".words")).to_have_text("Is anybody there?")
