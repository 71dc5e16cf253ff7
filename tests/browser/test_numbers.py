"""Numbers by clicks: a period, a flow, the tables behind the charts, and what is said while there is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.page import Dashboard
from tests.browser.stub import CODE, Stub

pytestmark = [pytest.mark.browser]
CHARTS = 8


def test_a_period_is_chosen_and_stays_in_the_address(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    page = dashboard.page
    page.get_by_role("link", name="Numbers").click()
    expect(page.locator(".chart")).to_have_count(CHARTS)
    expect(page.locator(".totals > div")).to_have_count(8)
    assert stub.archive.counted == [{"days": "7"}]
    expect(page.locator(".page-head")).to_contain_text("18 to 24 November 2026")
    page.locator(".as-table summary").first.click()
    rows = page.get_by_role("region", name="Table: Calls a day").locator("tbody tr")
    expect(rows).to_have_count(7)
    expect(rows.last).to_have_text("Tue 24 Nov146")
    page.get_by_text("30 days", exact=True).click()
    expect(rows).to_have_count(30)
    assert page.url.endswith("#/numbers?days=30")
    page.reload()
    expect(page.get_by_label("30 days")).to_be_checked()
    assert stub.archive.counted[-1] == {"days": "30"}
    page.get_by_text("Dates", exact=True).click()
    page.get_by_label("From").fill("2026-11-02")
    page.get_by_label("From").blur()
    expect(page).to_have_url(
        f"{stub.address}/#/numbers?from=2026-11-02&to={page.get_by_label('To', exact=True).input_value()}"
    )


TABLES = {
    "Calls a day": (7, "Tue 24 Nov146"),
    "Busiest hours": (24, "23:000"),
    "What came of them": (4, "Passed to a person96%"),
    "Flows that came to their end": (2, "Known customer312994%"),
    "Time to answer, p50 and p95": (4, "Voice812140260"),
    "Where callers left": (2, "Service6"),
    "Cost a day": (7, "Tue 24 Nov$0.80$0.30$0.20$1.30"),
    "Cost by vendor": (3, "OpenAI$1.40"),
}
"""Rows, and the last of them."""


def test_each_chart_has_its_table_and_a_flow_is_chosen(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.login(CODE)
    page = dashboard.page
    page.get_by_role("link", name="Numbers").click()
    expect(page.locator(".chart")).to_have_count(CHARTS)
    for name, (count, last) in TABLES.items():
        chart = page.get_by_role("region", name=name, exact=True)
        chart.locator("summary").click()
        rows = page.get_by_role("region", name=f"Table: {name}").locator("tbody tr")
        expect(rows).to_have_count(count)
        expect(rows.last).to_have_text(last)
    page.locator("#chart-hours").locator("xpath=ancestor::section").locator(".column").nth(9).hover()
    expect(page.locator(".readout").nth(1)).to_have_text("09:00: 14 calls")
    page.get_by_role("combobox", name="Flow").select_option("outbound_reminder")
    expect(page).to_have_url(f"{stub.address}/#/numbers?flow=outbound_reminder")
    expect(page.get_by_role("button", name="Count again")).to_be_enabled()
    assert stub.archive.counted[-1] == {"days": "7", "flow": "outbound_reminder"}


def test_a_long_period_is_counted_before_ones_eyes(dashboard: Dashboard, stub: Stub) -> None:
    stub.archive.missing = [600, 300]
    stub.archive.going.clear()
    dashboard.login(CODE)
    dashboard.page.get_by_role("link", name="Numbers").click()
    expect(dashboard.page.get_by_role("progressbar", name="Calls counted")).to_be_visible()
    expect(dashboard.page.locator(".counting")).to_contain_text("of 761 calls")
    stub.archive.going.set()
    expect(dashboard.page.get_by_role("button", name="Count again")).to_be_enabled()
    expect(dashboard.page.get_by_role("progressbar")).to_have_count(0)
    assert len(stub.archive.counted) == 3


def test_nothing_and_failure_are_said(dashboard: Dashboard, stub: Stub) -> None:
    dashboard.expected = ("Failed to load resource",)
    stub.archive.failing = True
    dashboard.login(CODE)
    page = dashboard.page
    page.get_by_role("link", name="Numbers").click()
    expect(page.get_by_role("alert")).to_have_text("The store does not answer.")
    stub.archive.failing, stub.archive.empty = False, True
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("No call was over in this period.")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), [("light", 1360), ("dark", 1360), ("light", 390)])
def test_axe_finds_nothing_in_numbers(
    browser: Browser, stub: Stub, axe_source: Path, pictures: Path, theme: str, width: int
) -> None:
    size = {"width": width, "height": 1400}
    with Dashboard.opened(
        browser, stub.address, viewport=size, color_scheme=theme, reduced_motion="reduce"
    ) as dashboard:
        page = dashboard.page
        dashboard.login(CODE)
        page.goto(f"{stub.address}/#/numbers?days=30")
        expect(page.locator(".chart")).to_have_count(CHARTS)
        page.screenshot(path=pictures / f"numbers-{theme}-{width}.png")
        page.locator(".as-table summary").first.click()
        assert dashboard.axe(axe_source) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
