"""`call`: a plan, its price, a question, and the call. `calls`, `show`, `tail`: what became of calls."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from infra.cli import sources
from infra.cli.chatting import flows_folder
from infra.local.clients import Api
from infra.mistakes import Usage
from media_gateway.settings import Settings
from media_gateway.telephony.call_price import MINUTES, call_price
from media_gateway.telephony.call_rules import NotCallable, callable_number, checked_variables

LOOK_S = 0.5
COLUMNS = {
    "started (UTC)": "started_at",
    "status": "status",
    "direction": "direction",
    "flow": "flow",
    "other side": "caller_phone",
    "answered by": "answered_by",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done."""

    to: str
    from_number: str | None
    flow: str
    variables: Mapping[str, Any]
    at: str
    per_day: int
    countries: tuple[str, ...]
    engines: Mapping[str, str]
    estimate_usd: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def variables_of(pairs: list[str], text: str | None) -> dict[str, Any]:
    """`--var name=value` and `--variables JSON`. Raises Usage."""
    found: Any = {}
    if text:
        try:
            found = json.loads(text)
        except ValueError as error:
            raise Usage(f"--variables is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise Usage("--variables must be a JSON object")
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Usage(f"--var {pair!r}: write name=value")
        found[name] = value
    return dict(found)


def planned(settings: Settings, to: str, flow: str, variables: Mapping[str, Any], url: str | None) -> Plan:
    """The call as it would be placed, by the rules of this environment. Raises Usage."""
    names = sorted(path.stem for path in flows_folder().glob("*.yaml"))
    if flow not in names:
        raise Usage(f"there is no flow {flow!r}; there are: {', '.join(names)}")
    try:
        callable_number(to, settings.call_countries)
        checked_variables(variables)
    except NotCallable as error:
        raise Usage(f"{error} {error.fix}") from None
    return Plan(
        to=to,
        from_number=settings.twilio_phone_number,
        flow=flow,
        variables=variables,
        at=(url or f"http://127.0.0.1:{settings.port}").rstrip("/"),
        per_day=settings.callboard_max_outbound_per_day,
        countries=tuple(sorted(settings.call_countries)),
        engines={"stt": settings.callboard_stt, "llm": settings.callboard_llm, "tts": settings.callboard_tts},
        estimate_usd=_estimate(settings),
    )


def _estimate(settings: Settings) -> dict[str, float]:
    parts = call_price(settings.callboard_stt, settings.callboard_tts)
    return parts | {"total": round(sum(parts.values()), 4)}


def show_plan(console: Console, plan: Plan) -> None:
    """For people."""
    console.print(f"Call [bold]{plan.to}[/] from {plan.from_number or '(TWILIO_PHONE_NUMBER is not set)'}")
    console.print(f"  flow {plan.flow}, variables {escape(json.dumps(plan.variables))}", highlight=False)
    console.print(f"  by {plan.at}, with {', '.join(f'{k} {v}' for k, v in plan.engines.items())}", highlight=False)
    console.print(f"  allowed: {', '.join(plan.countries)}; at most {plan.per_day} calls a day", highlight=False)
    total = plan.estimate_usd["total"]
    console.print(f"  about ${total:.3f} for {MINUTES} minutes at list prices, without the language model")


async def place(plan: Plan, key: str, url: str | None) -> dict[str, Any]:
    """POST /api/v1/calls of the running system. Raises NotThere with what it said."""
    async with sources.running(url) as api:
        return await _post(api, plan, key)


async def _post(api: Api, plan: Plan, key: str) -> dict[str, Any]:
    body = {"to": plan.to, "flow": plan.flow, "variables": dict(plan.variables)}
    answer: dict[str, Any] = await api.post("/api/v1/calls", body, headers={"Idempotency-Key": key})
    return answer


# --- readers -----------------------------------------------------------------------------------------------------


async def list_calls(console: Console, wanted: Mapping[str, str], url: str | None, *, as_json: bool) -> int:
    """Newest first."""
    async with sources.source(url) as source:
        found = await source.calls(wanted)
    if as_json:
        _write({"calls": found})
        return 0
    # An id is there to be copied: it is never cut off.
    table = Table(Column("call", no_wrap=True, min_width=34), *COLUMNS, box=None)
    for call in found:
        shown = call | {"started_at": call["started_at"][:19].replace("T", " ")}
        table.add_row(*(str(shown.get(name) or "-") for name in ("call_id", *COLUMNS.values())))
    console.print(table)
    return 0


async def show_call(console: Console, any_id: str, url: str | None, *, as_json: bool) -> int:
    """One call with its journal."""
    async with sources.source(url) as source:
        call = await source.call(any_id)
        events: list[dict[str, Any]] = []
        while page := await source.events(call["call_id"], events[-1]["seq"] if events else 0):
            events += page
    if as_json:
        _write({"call": call, "events": events})
        return 0
    for name in ("call_id", "status", "direction", "flow", "from_number", "to_number", "answered_by", "started_at"):
        console.print(f"[dim]{name:<12}[/] {call.get(name) or '-'}", highlight=False)
    for event in events:
        console.print(line_of(event), highlight=False, soft_wrap=True)
    return 0


async def tail(console: Console, any_id: str | None, url: str | None, *, as_json: bool) -> int:
    """Events as they are written: of one call to its end, or of all calls until Ctrl-C."""

    def show(event: Mapping[str, Any]) -> None:
        if as_json:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()
        else:
            console.print(line_of(event), highlight=False, soft_wrap=True)

    async with sources.source(url) as source:
        if any_id is not None:
            call = await source.call(any_id)
            await _follow(source, call["call_id"], show)
            return 0
        await _follow_all(source, show)
    return 0


async def _follow(source: sources.Source, call_id: str, show: Callable[[Mapping[str, Any]], None]) -> None:
    seq = 0
    while True:
        for event in await source.events(call_id, seq):
            seq = event["seq"]
            show(event)
            if event["type"] == "call_completed":
                return
        await asyncio.sleep(LOOK_S)


async def _follow_all(source: sources.Source, show: Callable[[Mapping[str, Any]], None]) -> None:
    """What has ended before we began to look is left out."""
    seen = {call["call_id"]: call["seq"] for call in await source.calls({"limit": "50"})}
    while True:
        for call in reversed(await source.calls({"limit": "50"})):
            call_id = call["call_id"]
            while seen.get(call_id, 0) < call["seq"]:
                for event in await source.events(call_id, seen.get(call_id, 0)):
                    seen[call_id] = event["seq"]
                    show(event)
        await asyncio.sleep(LOOK_S)


def line_of(event: Mapping[str, Any]) -> str:
    """An event for people."""
    data = event["data"]
    head = f"[dim]{event['ts'][11:19]} {event['call_id'][-6:]} {event['seq']:>4}[/] {event['type']:<20}"
    match event["type"]:
        case "final_transcript":
            return f"{head} [cyan]caller:[/] {escape(str(data.get('text')))}"
        case "ai_response_complete":
            return f"{head} [green]assistant:[/] {escape(str(data.get('text')))}"
        case "call_status":
            return f"{head} {data.get('status')}"
        case "tool_call":
            return f"{head} {data.get('tool')} {'ok' if data.get('ok') else 'no'}"
        case "state_changed":
            return f"{head} {data.get('state')} {data.get('intent') or ''}"
        case _:
            return head.rstrip()


def _write(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
