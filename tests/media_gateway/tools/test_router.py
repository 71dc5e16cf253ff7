"""A typed function becomes a tool; whatever goes wrong becomes a sentence."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, cast

import pytest
from pydantic import Field

from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import Router, Tool, discover, run_effect, tool
from realtime.stores.port import Conflict, DocumentStore, StoreUnavailable

CONTEXT = ToolContext(
    org="acme",
    call_id="CA1",
    caller_phone="+14155550123",
    customer=None,
    now=datetime(2026, 11, 20, 12, tzinfo=UTC),
    store=cast("DocumentStore", None),
)


@tool
async def weather(
    context: ToolContext,
    day: Annotated[date, Field(description="which day")],
    unit: Literal["C", "F"] = "F",
) -> ToolResult:
    """What the weather
    will be."""
    return ToolResult(ok=True, data={"org": context.org, "day": day.isoformat(), "unit": unit})


@tool(deadline_s=0.01)
async def slow(context: ToolContext) -> ToolResult:
    """Never comes back."""
    await asyncio.Event().wait()
    raise AssertionError


@tool
async def broken(context: ToolContext) -> ToolResult:
    """Fails."""
    raise RuntimeError("secret of +14155550123")


@tool
async def offline(context: ToolContext) -> ToolResult:
    """The store is away."""
    raise StoreUnavailable("no route")


@tool
async def talkative(context: ToolContext) -> ToolResult:
    """Says too much."""
    return ToolResult(ok=True, data={"text": "x" * 5000})


ROUTER = Router([weather, slow, broken, offline, talkative])


def run(name: str, **arguments: Any) -> ToolResult:
    return asyncio.run(ROUTER.run(name, arguments, CONTEXT))


def test_the_schema_comes_from_the_signature() -> None:
    assert ROUTER.schemas(["weather"]) == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "What the weather will be.",
                "parameters": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "day": {"type": "string", "format": "date", "description": "which day"},
                        "unit": {"type": "string", "enum": ["C", "F"], "default": "F"},
                    },
                    "required": ["day"],
                },
            },
        }
    ]


def test_arguments_arrive_typed_with_their_defaults() -> None:
    assert run("weather", day="2026-11-21").data == {"org": "acme", "day": "2026-11-21", "unit": "F"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "day: Field required"),
        ({"day": "someday"}, "day: Input should be a valid date"),
        ({"day": "2026-11-21", "unit": "K"}, "unit: Input should be 'C' or 'F'"),
        ({"day": "2026-11-21", "customer_id": "c2"}, "customer_id: Extra inputs are not permitted"),
    ],
)
def test_wrong_arguments_are_named_for_the_model_and_never_run(arguments: dict[str, Any], problem: str) -> None:
    result = run("weather", **arguments)
    assert (result.ok, result.data["reason"]) == (False, "invalid_arguments")
    assert problem in result.data["problems"][0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fly", "unknown_tool"),
        ("slow", "timeout"),
        ("broken", "failed"),
        ("offline", "unavailable"),
        ("talkative", "too_large"),
    ],
)
def test_every_failure_can_be_said_aloud(name: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(name)
    assert (result.ok, result.data["reason"]) == (False, reason)
    assert result.data["message"].endswith(".")
    logged = capsys.readouterr().out
    assert "4155550123" not in logged
    assert (reason in logged) == (reason != "unknown_tool")


def test_a_cancelled_call_is_not_a_tool_failure() -> None:
    async def cancelled() -> None:
        patient = Tool("slow", slow.description, slow.arguments, slow.function, deadline_s=60)
        task = asyncio.create_task(Router([patient]).run("slow", {}, CONTEXT))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_what_cannot_be_a_tool_is_refused_when_it_is_written() -> None:
    async def silent(context: ToolContext) -> ToolResult:
        return ToolResult(ok=True, data={})

    async def untyped(context: ToolContext, what) -> ToolResult:  # type: ignore[no-untyped-def]
        """Something."""
        return ToolResult(ok=True, data={"what": what})

    with pytest.raises(TypeError, match="silent: give it a docstring"):
        tool(silent)
    with pytest.raises(TypeError, match="parameter what has no type"):
        tool(untyped)
    with pytest.raises(ValueError, match="two tools are called weather"):
        Router([weather, weather])
    with pytest.raises(KeyError):
        ROUTER.schemas(["fly"])


def test_every_tool_of_the_folder_is_found() -> None:
    assert {"lookup_customer", "get_available_slots", "book_appointment"} <= {one.name for one in discover()}
    assert set(Router().names) == {one.name for one in discover()}


def test_an_effect_that_lost_is_decided_anew_and_given_up_in_the_end() -> None:
    outcomes: list[ToolResult] = []

    async def third_time(result: ToolResult) -> None:
        outcomes.append(result)
        if len(outcomes) < 3:
            raise Conflict

    async def never(result: ToolResult) -> None:
        raise Conflict

    arguments = {"day": "2026-11-21"}
    assert asyncio.run(run_effect(ROUTER, "weather", arguments, CONTEXT, third_time)).ok
    assert len(outcomes) == 3
    lost = asyncio.run(run_effect(ROUTER, "weather", arguments, CONTEXT, never))
    assert (lost.ok, lost.data["reason"]) == (False, "conflict")


def test_no_tool_lets_a_model_choose_who_is_served_or_rung() -> None:
    """Customer, callee and target come from the session."""
    router = Router()
    parameters = {
        name for schema in router.schemas(router.names) for name in schema["function"]["parameters"]["properties"]
    }
    assert parameters == {
        "appointment_id",  # of the caller's own, or it is not found
        "callback",  # written down for a person
        "date",
        "last_four",
        "last_name",
        "reason",
        "reference",
        "service_type",
        "text",
        "time",
        "vin",
    }


def test_a_schema_is_made_once() -> None:
    router = Router()
    assert router.schemas(["end_call"])[0] is Router().schemas(["end_call"])[0]


def test_what_is_wrong_with_a_call_is_known_before_it_is_made() -> None:
    router = Router()
    assert router.problem("end_call", {}) == ""
    assert router.problem("fly", {}) == "there is no such tool"
    assert router.problem("get_available_slots", {"date": "x"}).startswith("date: Input should be a valid date")
