"""By keyboard alone: Tab, arrows, Enter, Space and Escape lead everywhere, and one sees where one is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import story
from tests.browser.page import Dashboard
from tests.browser.stub import CALL, CODE, Host, Stub, token
from tests.browser.test_place import ROWS, Desk
from tests.browser.test_setup import Office
from tests.browser.test_supervisor import calls

pytestmark = [pytest.mark.browser]
MOST = 60
_FOCUSED = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const box = at.getBoundingClientRect();
  const marked = (one) => {
    const style = getComputedStyle(one);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  };
  const labels = [...(at.labels ?? [])].map((one) => one.innerText).join(" ");
  const name = at.getAttribute("aria-label") ?? (labels || (at.innerText ?? ""));
  const frame = at.closest(".segments label") ?? at;
  const visible = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return { name: name.trim().replace(/\\s+/g, " "), tag: at.tagName, marked: marked(at) || marked(frame), visible };
}"""


def called(at: dict[str, Any], name: str) -> bool:
    """Does its name begin with these words?"""
    return re.match(rf"{re.escape(name)}\b", at["name"]) is not None


class Keys:
    """A person without a mouse. `lost` are places where nothing had the focus or nobody could see it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def at(self) -> dict[str, Any]:
        """What has the focus: `{name, tag, marked, visible}`."""
        return self.page.evaluate(_FOCUSED) or {"name": "", "tag": "BODY", "marked": False, "visible": False}

    def to(self, name: str, key: str = "Tab") -> None:
        """Press `key` until what is called so has the focus; everything on the way shows that it has it."""
        way = []
        for _ in range(MOST):
            self.page.keyboard.press(key)
            at = self.at
            way.append(at["name"][:40] or at["tag"])
            if at["tag"] != "BODY":  # the browser's own bar comes between the end and the beginning
                assert at["marked"], f"nobody sees the focus on {at}"
                assert at["visible"], f"the focus is out of sight on {at}"
            if called(at, name):
                return
        pytest.fail(f"{name} cannot be reached: {way}")

    def press(self, name: str, key: str = "Enter") -> None:
        """Go there and press it."""
        self.to(name)
        self.page.keyboard.press(key)

    def write(self, name: str, text: str) -> None:
        """Into the field of that name."""
        self.to(name)
        self.page.keyboard.type(text)

    def expect_at(self, name: str) -> None:
        """The focus is there by itself."""
        for _ in range(100):
            if called(self.at, name):
                return
            self.page.wait_for_timeout(20)
        assert called(self.at, name), self.at


@pytest.fixture
def keys(dashboard: Dashboard) -> Keys:
    return Keys(dashboard.page)


def test_signing_in_and_out(dashboard: Dashboard, keys: Keys, stub: Stub) -> None:
    page = dashboard.page
    page.goto(stub.address)
    keys.expect_at("Name")
    page.keyboard.type("admin")
    keys.write("Password", "right")
    page.keyboard.press("Enter")
    dashboard.wait_live()
    keys.press("Skip to the page")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    keys.press("Use the dark theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    keys.expect_at("Use the light theme")
    keys.press("Sign out ana")
    keys.expect_at("Name")


def test_who_closes_a_dialog_and_goes_on_at_once_is_not_called_back(
    dashboard: Dashboard, keys: Keys, stub: Stub
) -> None:
    """The browser tells of a dialog's end a moment after it has given the focus back."""
    calls(stub, 1)
    dashboard.login(CODE)
    keys.press("+1 500 555 1000")
    keys.press("Transfer")
    keys.expect_at("To")
    gone_on = """() => {
      document.querySelector("dialog").close();
      [...document.querySelectorAll("button")].find((one) => one.textContent.includes("Take over")).focus();
    }"""
    dashboard.page.evaluate(gone_on)
    expect(dashboard.page.locator("dialog")).to_have_count(0)
    assert called(keys.at, "Take over"), keys.at


def test_a_call_is_opened_and_stepped_into(dashboard: Dashboard, keys: Keys, stub: Stub) -> None:
    names = calls(stub, 3)
    stub.emit("escalation", call=names[1], turn=1, reason="manager_request")
    dashboard.login(CODE)
    page = dashboard.page
    expect(page.locator("a.tile").first).to_contain_text("Asked for a person")
    keys.press("+1 500 555 1001")
    keys.expect_at("+1 500 555 1001")
    assert keys.at["tag"] == "H1", "what was opened has the focus"
    keys.press("Whisper")
    keys.expect_at("Only the assistant hears")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Only the assistant hears")).to_have_count(0)
    keys.expect_at("Whisper")
    page.keyboard.press("Enter")
    keys.expect_at("Only the assistant hears")
    page.keyboard.type("Offer a call back")
    page.keyboard.press("Enter")
    keys.expect_at("Whisper")
    keys.press("Transfer")
    keys.expect_at("To")
    for _ in range(8):
        page.keyboard.press("Tab")
        assert keys.at["name"] in ("", "To", "Cancel", "Transfer"), "the dialog keeps the focus"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys.expect_at("Transfer")
    keys.press("Take over")
    keys.expect_at("This browser's microphone")
    page.keyboard.press("ArrowDown")
    keys.expect_at("My own phone")
    keys.press("Take over")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys.expect_at("Take over")
    asked: Any = {"command_id": "r1", "kind": "approval", "actor": "session", "ok": None, "detail": "asked"}
    stub.emit("command", call=names[1], **asked, tool="cancel_appointment", arguments={}, until="")
    expect(page.get_by_role("group", name="Approval of")).to_be_visible()
    keys.press("Approve")
    stub.emit(
        "command", call=names[1], command_id="c", kind="approve", actor="ana", ok=True, detail="cancel_appointment"
    )
    expect(page.get_by_role("group", name="Approval of")).to_have_count(0)
    keys.press("Hang up")
    keys.expect_at("Cancel")
    keys.press("Hang up")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys.expect_at("Hang up")
    assert [(kind, body) for kind, _, body in stub.commanded] == [
        ("whisper", {"text": "Offer a call back"}), ("takeover", {"by": "phone"}), ("approve", {"request_id": "r1"}),
        ("hangup", {}),
    ]  # fmt: skip
    keys.press("Transcript", "Home")  # it scrolls by keyboard
    keys.press("Callboard, all calls")
    expect(page.locator("a.tile")).to_have_count(3)


def test_history_is_searched_read_and_saved(dashboard: Dashboard, keys: Keys, stub: Stub) -> None:
    stub.archive.fill(70)
    dashboard.login(CODE)
    page = dashboard.page
    keys.press("History")
    expect(page.locator("a.hit")).to_have_count(30)
    keys.write("Search", "brakes squeak")
    expect(page.locator("a.hit")).to_have_count(14)
    keys.to("All")
    page.keyboard.press("ArrowRight")
    keys.expect_at("Today")
    expect(page.get_by_label("Today")).to_be_checked()
    page.keyboard.press("ArrowLeft")
    keys.to("Outcome")
    page.keyboard.press("e")  # as one chooses in a list without opening it: abandoned, answered, ... escalated
    keys.press("Clear")
    expect(page.locator("a.hit")).to_have_count(30)
    keys.to("More", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("a.hit")).to_have_count(60)
    keys.expect_at("More")
    page.locator("a.hit").first.focus()
    page.keyboard.press("Enter")
    keys.expect_at("+1 500 555 1000")
    for name, ending in (("JSON", "json"), ("CSV", "csv"), ("Text", "txt"), ("WAV", "wav")):
        with page.expect_download() as saved:
            keys.press(name)
        assert saved.value.suggested_filename.endswith(ending)
        keys.expect_at(name)
    keys.press("Play the call")
    keys.expect_at("The sound of this call")
    keys.to("Back to the list", "Shift+Tab")
    page.keyboard.press("Enter")
    keys.expect_at("+1 500 555 1000")
    assert keys.at["tag"] == "A", "where one was in the list"


def test_numbers_and_their_tables(dashboard: Dashboard, keys: Keys) -> None:
    dashboard.login(CODE)
    page = dashboard.page
    keys.press("Numbers")
    expect(page.locator(".chart")).to_have_count(8)
    keys.to("7 days")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("30 days")).to_be_checked()
    keys.press("Table")
    expect(page.get_by_role("region", name="Table: Calls a day")).to_be_visible()
    keys.to("Table: Calls a day")
    keys.to("Count again", "Shift+Tab")
    page.keyboard.press("Enter")
    keys.expect_at("Count again")


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_calls_are_placed(dashboard: Dashboard, keys: Keys, host: Host, desk: Desk) -> None:
    stub = host.take(*desk.routes())
    stub.call()
    story.opening(stub)
    dashboard.login(CODE)
    page = dashboard.page
    keys.press("Place calls")
    expect(page.get_by_role("heading", name="Call somebody")).to_be_visible()
    keys.write("Number", "+14155550123")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys.expect_at("Number")
    keys.write("or paste it here", ROWS)
    keys.press("Check, call nobody")
    expect(page.get_by_role("button", name="Call 2 people")).to_be_visible()
    keys.expect_at("Check, call nobody")
    keys.press("Call 2 people")
    expect(page.get_by_text("0 of 2 done")).to_be_visible()
    keys.expect_at("A table")
    keys.press("Pause")
    keys.expect_at("Go on")
    keys.press("Stop")
    keys.press("Stop it")
    expect(page.get_by_role("status").filter(has_text="Stopped")).to_be_visible()
    assert desk.moved == ["pause", "stop"]


def test_it_is_set_up(dashboard: Dashboard, keys: Keys, host: Host) -> None:
    office = Office()
    stub = host.take(*office.routes())
    stub.token = token("admin")
    dashboard.login(CODE)
    page = dashboard.page
    keys.press("Set up")
    expect(page.get_by_text("Needs a look")).to_be_visible()
    keys.press("Look again")
    keys.expect_at("Look again")
    keys.press("Copy A call comes in")
    keys.press("Send a signed test webhook")
    expect(page.get_by_text("Accepted. 12 ms.")).to_be_visible()
    keys.expect_at("Send a signed test webhook")
    keys.write("Name", "bo")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The password of bo")).to_be_visible()
    keys.press("I have it")
    expect(page.get_by_text("The password of bo")).to_have_count(0)
    keys.to("Role of bo", "Shift+Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Role of bo")).to_have_value("operator")
    keys.expect_at("Role of bo")
    keys.press("Disable bo")
    keys.expect_at("Enable bo")
    keys.press("Remove bo")
    keys.expect_at("Cancel")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys.expect_at("Remove bo")
    keys.write("What it is for", "nightly")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The key for nightly.")).to_be_visible()


def test_a_demo_call_is_started_listened_to_and_left(dashboard: Dashboard, keys: Keys, stub: Stub) -> None:
    dashboard.login(CODE)
    page = dashboard.page
    keys.press("Start a demo call")
    expect(page.get_by_role("log", name="What was said")).to_be_attached()
    assert stub.started == [{"scenario": "book_oil_change"}]
    keys.press("Listen")
    expect(page.get_by_role("button", name="Listen", pressed=False)).to_be_visible()
    keys.write("Say something as the caller", "Tomorrow")
    with page.expect_response("**/api/v1/demo/say"):
        page.keyboard.press("Enter")
    assert page.url.endswith(CALL)
