"""Tools in a real call with the real router: side by side, the caller talking meanwhile, and the tool of the docs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import media_gateway
from media_gateway.conversation.model import ToolCall
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import Router, Tool, tool
from realtime.events import EventType
from realtime.stores.port import Create
from tests.media_gateway.tools.scene import NOW, Scene
from tests.media_gateway.voice import stage as stage_module
from tests.media_gateway.voice.stage import call, until
from tests.realtime.stores import opened, opener

pytestmark = pytest.mark.anyio


@pytest.fixture
def plain_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage's manager asks for its tools without arguments."""
    names = ("book", "look")
    monkeypatch.setattr(
        stage_module, "_tools", lambda text: tuple(ToolCall(word, {}) for word in text.split() if word in names)
    )


DOCS = Path(media_gateway.__file__).resolve().parents[1] / "docs" / "tools.md"


class Meeting:
    """Two tools that both end only when both have begun: run one after the other, they would never end."""

    def __init__(self) -> None:
        self.began: set[str] = set()
        self.both = asyncio.Event()

    async def _arrive(self, name: str, context: ToolContext) -> ToolResult:
        self.began.add(name)
        if len(self.began) == 2:
            self.both.set()
        await self.both.wait()
        return ToolResult(ok=True, data={}, writes=(Create(f"met/{name}", {"call_id": context.call_id}),))

    def tools(self) -> Sequence[Tool]:
        @tool(deadline_s=2.0)
        async def look(context: ToolContext) -> ToolResult:
            """Looks."""
            return await self._arrive("look", context)

        @tool(deadline_s=2.0)
        async def book(context: ToolContext) -> ToolResult:
            """Books."""
            return await self._arrive("book", context)

        return [look, book]


@pytest.mark.usefixtures("plain_calls")
async def test_two_tools_of_one_turn_run_side_by_side_and_both_effects_are_kept(tmp_path: Path) -> None:
    async with call(tmp_path) as stage:
        stage.tools = Router(Meeting().tools())  # type: ignore[assignment]
        stage.begin()
        await stage.greeted()
        stage.say("book look")
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 2)
        assert replies[1]["text"] == "Let me see. book is done. look is done."
        assert [event["ok"] for event in await stage.kept(EventType.TOOL_CALL)] == [True, True]
        assert None not in await stage.store.get("met/book", "met/look")


@pytest.mark.usefixtures("plain_calls")
async def test_the_caller_is_answered_while_a_tool_goes_on(tmp_path: Path) -> None:
    meeting = Meeting()
    async with call(tmp_path) as stage:
        stage.tools = Router(meeting.tools())  # type: ignore[assignment]
        stage.begin()
        await stage.greeted()
        stage.say("book")
        await until(lambda: meeting.began == {"book"}, "the tool")
        stage.say("hello there")
        meeting.both.set()
        replies = await stage.written(EventType.AI_RESPONSE_COMPLETE, 3)
        assert replies[-1]["text"] == "You said hello there."
        assert await stage.store.get("met/book") != [None]


async def test_the_tool_of_the_docs_works_as_it_is_written(request: pytest.FixtureRequest) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    module: dict[str, Any] = {}
    exec(compile(example, str(DOCS), "exec", flags=0, dont_inherit=True), module)
    router = Router([module["reserve_loaner"]])
    (schema,) = router.schemas(["reserve_loaner"])
    assert schema["function"]["parameters"]["required"] == ["day"]
    async with opened(opener("embedded", request, clock=lambda: NOW)) as store:
        scene = Scene(store, now=NOW)
        first = await router.run("reserve_loaner", {"day": "2026-11-23"}, scene.context("CA1", None))
        await store.commit(first.writes)
        again = await router.run("reserve_loaner", {"day": "2026-11-23"}, scene.context("CA1", None))
        other = await router.run("reserve_loaner", {"day": "2026-11-23"}, scene.context("CA2", None))
    assert (first.ok, again.ok, again.writes, other.ok) == (True, True, (), False)


def test_every_tool_is_in_the_docs() -> None:
    text = DOCS.read_text()
    missing = [name for name in Router().names if f"| `{name}` |" not in text]
    assert missing == []


def test_every_tool_of_the_issue_is_there() -> None:
    assert set(Router().names) == {
        "lookup_customer", "get_available_slots", "book_appointment", "get_upcoming_appointments",
        "confirm_appointment", "cancel_appointment", "reschedule_appointment", "verify_caller", "decode_vin",
        "take_message", "send_sms_confirmation", "transfer_to_human", "end_call",
        "stop_calling",
    }  # fmt: skip
