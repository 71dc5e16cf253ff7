"""What the page remembers does not grow with what it was told: a supervisor sits before it all day."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.page import Dashboard
from tests.browser.stub import CODE, Stub

OPEN, TILE = "CA" + "1" * 32, "CA" + "2" * 32
_COUNT = """async (ids) => {
  const file = performance.getEntriesByType("resource").find((one) => one.name.endsWith("/state.js")).name;
  const { calls } = await import(file);
  const things = (value) => value === null || typeof value !== "object" ? 1
    : 1 + Object.values(value).reduce((all, one) => all + things(one), 0);
  return ids.map((id) => [calls.peek().get(id).through, things(calls.peek().get(id).story)]);
}"""


def happen(stub: Stub, call: str, turn: int) -> None:
    """A turn with a bit of everything: eight durable events, and what is kept nowhere."""
    stub.emit("partial_transcript", call=call, turn=turn, text="I would like")
    stub.emit("final_transcript", call=call, turn=turn, speaker="user", text=f"Line {turn}", confidence=1)
    stub.emit("tool_call", call=call, tool="lookup_customer", arguments={"phone": "x"}, result={"found": True}, ms=3)
    stub.emit("ai_response_chunk", call=call, turn=turn, text="Yes", offset=0)
    stub.emit("ai_response_complete", call=call, turn=turn, text=f"Answer {turn}", full_text=f"Answer {turn}")
    stub.emit("metrics_updated", call=call, turn=turn, stages={"thinking": 300}, tokens={"prompt": 1})
    stub.emit("state_changed", call=call, state="greeting", intent="book", slots={"service_type": "oil"})
    stub.emit("call_status", call=call, status="in_progress", call_end_time=None, reason=None)
    stub.emit("command", call=call, command_id=f"c{turn}", kind="whisper", actor="ana", ok=True, detail="")
    stub.emit("provider_fault", call=call, stage="hearing", provider="x", kind="timeout", detail="")


def kept(page: Page, ids: tuple[str, ...]) -> list[Any]:
    """(events told, objects and values that are kept of them) for each call."""
    counted: list[Any] = page.evaluate(_COUNT, list(ids))
    return counted


def test_a_tile_keeps_no_past_and_an_opened_call_all_of_it(dashboard: Dashboard, stub: Stub) -> None:
    for number, name in enumerate((OPEN, TILE)):
        stub.call(name, f"+1500555010{number}")
        happen(stub, name, 0)
    dashboard.login(CODE)
    page = dashboard.page
    page.locator(f"a.tile[href*='{OPEN}']").click()
    expect(dashboard.bubbles("assistant")).to_have_count(1)

    def go_on(turns: range) -> list[Any]:
        for turn in turns:
            for name in (OPEN, TILE):
                happen(stub, name, turn)
        expect(dashboard.bubbles("assistant")).to_have_count(turns[-1] + 1)
        return kept(page, (OPEN, TILE))

    (told, whole), (tile_told, tile) = go_on(range(1, 6))
    (later, longer), (tile_later, tile_after) = go_on(range(6, 21))
    assert (told, tile_told, later, tile_later) == (48, 48, 168, 168)
    assert longer > 2 * whole, "the opened call keeps what is read"
    assert tile_after == tile, "a tile keeps the present only"

    page.locator(f".list a[href*='{TILE}']").click()
    expect(dashboard.bubbles("assistant")).to_have_count(21)
