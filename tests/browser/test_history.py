"""History by clicks: found, read, saved, deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.archive import RECORDING
from tests.browser.page import Dashboard
from tests.browser.stub import CODE, Stub, token

pytestmark = [pytest.mark.browser]
REFUSED = "Failed to load resource"


def test_calls_are_found_and_the_way_back_leads_to_the_list(dashboard: Dashboard, stub: Stub) -> None:
    stub.archive.fill(70)
    dashboard.login(CODE)
    page = dashboard.page
    page.get_by_role("link", name="History").click()
    expect(page.locator("a.hit")).to_have_count(30)
    page.get_by_role("button", name="More").click()
    expect(page.locator("a.hit")).to_have_count(60)
    page.get_by_role("button", name="More").click()
    expect(page.locator("a.hit")).to_have_count(70)
    expect(page.get_by_role("button", name="More")).to_have_count(0)
    page.get_by_label("Search").fill("brakes squeak")
    expect(page.locator("a.hit")).to_have_count(14)
    expect(page.locator("a.hit mark").first).to_have_text("brakes")
    page.get_by_label("Outcome").select_option("escalated")
    stub.archive.heads[2]["started_at"] = "2020-11-20T12:00:00+00:00"
    page.get_by_text("30 days", exact=True).click()
    expect(page.locator("a.hit")).to_have_count(13)
    assert "q=brakes+squeak" in page.url
    assert "outcome=escalated" in page.url
    assert "days=30" in page.url
    page.reload()
    expect(page.locator("a.hit")).to_have_count(13)
    page.locator("a.hit").first.click()
    expect(page.get_by_role("heading", name="Analysis")).to_be_visible()
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator("a.hit")).to_have_count(13)
    page.get_by_label("Search").fill("nothing like that")
    expect(page.get_by_text("No call is like that.")).to_be_visible()


def test_each_filter_by_itself_and_all_calls_of_a_customer(dashboard: Dashboard, stub: Stub) -> None:
    stub.archive.fill(70)
    stub.archive.heads[3]["flow"] = "outbound_reminder"
    stub.archive.heads[5]["started_at"] = "2026-03-02T12:00:00+00:00"
    dashboard.login(CODE)
    page = dashboard.page
    page.get_by_role("link", name="History").click()
    expect(page.locator("a.hit").first).to_contain_text("0:47")
    page.get_by_label("Status").select_option("no_answer")
    expect(page.locator("a.hit")).to_have_count(14)
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Flow").select_option("outbound_reminder")
    expect(page.locator("a.hit")).to_have_count(1)
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Search").fill("+15005551003")
    expect(page.locator("a.hit")).to_have_count(9)
    page.get_by_role("link", name="Clear").click()
    page.get_by_text("Dates", exact=True).click()
    page.get_by_label("To", exact=True).fill("2026-03-03")
    page.get_by_label("To", exact=True).blur()
    page.get_by_label("From").fill("2026-03-01")
    page.get_by_label("From").blur()
    expect(page).to_have_url(f"{stub.address}/#/history?from=2026-03-01&to=2026-03-03")
    assert stub.archive.asked[-1]["from"].startswith("2026-03-01")
    assert stub.archive.asked[-1]["to"].startswith("2026-03-0")
    page.goto(f"{stub.address}/#/history/{stub.archive.heads[0]['call_id']}")
    expect(page.locator(".others a[data-call]")).to_have_count(6)
    page.get_by_role("link", name="All calls of this customer").click()
    expect(page.locator("a.hit")).to_have_count(9)
    assert stub.archive.asked[-1]["q"] == "+15005551000"


def test_a_call_is_read_and_saved(dashboard: Dashboard, stub: Stub) -> None:
    stub.archive.fill(20)
    dashboard.login(CODE)
    page = dashboard.page
    page.goto(f"{stub.address}/#/history/{stub.archive.heads[0]['call_id']}")
    expect(dashboard.bubbles("user").locator(".words")).to_have_text("I need an oil change")
    expect(page.locator(".analysis-title")).to_have_text("Oil change on Saturday")
    expect(page.locator(".extracted")).to_contain_text("Saturday 21 November")
    expect(page.locator(".others a")).to_have_count(2)
    for name, ending in (("JSON", "json"), ("CSV", "csv"), ("Text", "txt"), ("WAV", "wav")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=name, exact=True).click()
        assert saved.value.suggested_filename == f"{stub.archive.heads[0]['call_id']}.{ending}"
        assert saved.value.path().read_bytes() == (RECORDING if ending == "wav" else f"as {ending}".encode())
    page.get_by_role("button", name="Delete").press("Enter")  # it is there to say why it may not be used
    expect(page.get_by_role("alert")).to_have_text("Deleting a call needs the role admin.")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("audio")).to_have_count(0)  # it is large, and who fetches it is noted
    page.get_by_role("button", name="Hear it from").last.click()
    expect(page.locator("canvas.waveform")).to_be_visible()
    expect(page.locator("audio")).to_have_js_property("paused", False)
    assert page.locator("audio").evaluate("audio => audio.currentTime") >= 4
    page.locator("canvas.waveform").click(position={"x": 5, "y": 20})
    assert page.locator("audio").evaluate("audio => audio.currentTime") < 2
    page.locator(".others a").first.click()
    expect(page.locator("audio, canvas.waveform")).to_have_count(0)
    expect(page.get_by_role("button", name="Hear it from")).to_have_count(0)
    page.get_by_role("button", name="Play the call").click()
    expect(page.locator("audio")).to_be_visible()
    page.goto(f"{stub.address}/#/history/CAnone")
    dashboard.expected = (REFUSED,)
    expect(page.get_by_role("heading", name="There is no such call")).to_be_visible()


def test_an_analysis_that_comes_after_the_end_is_shown_when_it_comes(dashboard: Dashboard, stub: Stub) -> None:
    stub.archive.fill(3)
    stub.archive.heads[0]["ended_at"] = datetime.now(UTC).isoformat()
    stub.archive.unanalysed = 2
    page = dashboard.page
    page.clock.install()
    dashboard.login(CODE)
    call_id = stub.archive.heads[0]["call_id"]
    page.goto(f"{stub.address}/#/history/{call_id}")
    expect(page.get_by_text("Being made …")).to_be_visible()
    for _ in range(2):  # it asks again every two seconds
        with page.expect_response(f"**/api/v1/calls/{call_id}"):
            page.clock.fast_forward(2_000)
    expect(page.locator(".analysis-title")).to_have_text("Oil change on Saturday")
    stub.archive.unanalysed = 1
    page.goto(f"{stub.address}/#/history/{stub.archive.heads[1]['call_id']}")
    expect(page.get_by_text("Nobody has analysed this call yet.")).to_be_visible()


def test_an_administrator_deletes(dashboard: Dashboard, stub: Stub) -> None:
    stub.archive.fill(10)
    stub.token = token("admin")
    dashboard.login(CODE)
    page = dashboard.page
    page.get_by_role("link", name="History").click()
    page.locator("a.hit").first.click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog", name="Delete for good?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert stub.archive.deleted == []
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The call was deleted.")).to_be_visible()
    expect(page.locator("a.hit")).to_have_count(9)
    page.locator("a.hit").first.click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_label("Everything of +1 500 555 1001").check()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Everything of +1 500 555 1001 was deleted: 2 calls.")).to_be_visible()
    expect(page.locator("a.hit")).to_have_count(7)
    assert stub.archive.deleted == ["CA00000000000000000000000000000000", "+15005551001"]


def test_a_store_that_is_away_can_be_asked_again(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.expected = (REFUSED,)
    stub.archive.failing = True
    dashboard.login(CODE)
    page = dashboard.page
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("alert")).to_have_text("The store does not answer.")
    stub.archive.failing = False
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("No call yet.")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), [("light", 1360), ("dark", 1360), ("light", 390)])
def test_axe_finds_nothing_in_history(
    browser: Browser, stub: Stub, axe_source: Path, pictures: Path, theme: str, width: int
) -> None:
    stub.archive.fill(40)
    size = {"width": width, "height": 860}
    with Dashboard.opened(
        browser, stub.address, viewport=size, color_scheme=theme, reduced_motion="reduce"
    ) as dashboard:
        page = dashboard.page
        dashboard.login(CODE)
        for name, where in (
            ("history", "#/history"),
            ("history-call", f"#/history/{stub.archive.heads[0]['call_id']}"),
        ):
            page.goto(f"{stub.address}/{where}")
            expect(page.locator("a.hit, .analysis-title").first).to_be_visible()
            if name == "history-call":
                page.get_by_role("button", name="Play the call").click()
                expect(page.locator("canvas.waveform")).to_be_visible()
                page.locator("audio").evaluate("audio => audio.pause()")
            page.screenshot(path=pictures / f"{name}-{theme}-{width}.png")
            assert dashboard.axe(axe_source) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
