"""`replay` and `flows check --calls`: what the journals of real calls say about the flows."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.cli.chatting import flows_folder
from infra.mistakes import Usage
from media_gateway.conversation.flow import load_flows
from media_gateway.conversation.manager import Manager
from media_gateway.conversation.replay import NotReplayable, ReplayedCall, replay, unmatched
from media_gateway.opening import open_store
from media_gateway.settings import load
from realtime.call import Call
from realtime.clock import iso, utcnow
from realtime.journal import Journal

ORG = "default"
PAGE = 500
DAYS = 30
MOST_CALLS = 500


@asynccontextmanager
async def _journal() -> AsyncIterator[Journal]:
    """The journal that the settings name: that of `dev` on this machine, or Firestore's."""
    store = open_store(load(dev=True))
    try:
        yield Journal(store)
    finally:
        await store.aclose()


async def _lines(journal: Journal, call_id: str) -> list[Mapping[str, Any]]:
    lines: list[Mapping[str, Any]] = []
    while page := await journal.events(call_id, after=lines[-1]["seq"] if lines else 0, limit=PAGE):
        lines += [event.to_dict() for event in page]
    return lines


async def replayed(call_id: str) -> tuple[Call, ReplayedCall]:
    """The call, replayed with the flow as it is now. Raises Usage, FlowError."""
    flows = load_flows(flows_folder())
    async with _journal() as journal:
        call = await journal.find(call_id)
        if call is None:
            raise Usage(f"there is no call {call_id}; the dashboard and GET /api/v1/calls list them")
        lines = await _lines(journal, call.call_id)
    if call.flow is None or call.flow not in flows or not any(line["type"] == "state_changed" for line in lines):
        raise Usage(f"call {call_id} has no conversation of ours to replay (flow: {call.flow})")
    try:
        return call, replay(Manager(flows[call.flow]), lines)
    except NotReplayable as problem:
        raise Usage(f"call {call_id}: {problem}") from problem


def show_replay(console: Console, call: Call, found: ReplayedCall, *, as_json: bool) -> int:
    """0 when states and tool calls are the same, else 1."""
    if as_json:
        answer = {"call_id": call.call_id, "flow": call.flow, **found.to_dict()}
        sys.stdout.write(json.dumps(answer, indent=1) + "\n")
        return 0 if found.same else 1
    table = Table("seq", "told", "state", "intent", "slots", "", box=None)
    for step in found.steps:
        now = step.replayed
        slots = " ".join(f"{name}={value}" for name, value in now["slots"].items())
        mark = "[green]same[/]" if step.same else f"[red]was {step.recorded['state']} {step.recorded['slots']}[/]"
        table.add_row(
            str(step.seq), f"{step.kind} {step.heard}"[:60], now["state"], now["intent"] or "-", slots[:60], mark
        )
    console.print(table)
    for name, arguments in found.tools_replayed:
        console.print(f"[magenta]{name}[/] {arguments}")
    for name, arguments in (Counter(found.tools_recorded) - Counter(found.tools_replayed)).elements():
        console.print(f"[red]not asked for this time: {name} {arguments}[/]")
    for name, arguments in (Counter(found.tools_replayed) - Counter(found.tools_recorded)).elements():
        console.print(f"[red]not in the journal: {name} {arguments}[/]")
    verdict = "[bold green]the same states and tool calls[/]" if found.same else "[bold red]it goes otherwise now[/]"
    console.print(f"{call.call_id} ({call.flow}): {verdict}")
    return 0 if found.same else 1


async def unmatched_utterances() -> dict[str, Counter[str]]:
    """By flow: what callers of the last 30 days said that matched nothing, and how often. Raises FlowError."""
    load_flows(flows_folder())
    missed: dict[str, Counter[str]] = {}
    async with _journal() as journal:
        cursor: str | None = None
        seen = 0
        while seen < MOST_CALLS:
            calls, cursor = await journal.calls(org=ORG, from_=iso(utcnow() - timedelta(days=DAYS)), cursor=cursor)
            for call in calls:
                texts = unmatched(await _lines(journal, call.call_id))
                missed.setdefault(call.flow or "-", Counter()).update(texts)
            seen += len(calls)
            if cursor is None:
                break
    return {flow: counted for flow, counted in missed.items() if counted}


def show_unmatched(console: Console, missed: Mapping[str, Counter[str]], *, as_json: bool) -> int:
    """For people who tune a flow: add an example or a pattern for what is often missed."""
    if as_json:
        rows = {flow: [{"said": said, "times": n} for said, n in found.most_common()] for flow, found in missed.items()}
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    if not missed:
        console.print(f"Everything that callers said in the last {DAYS} days was understood.")
        return 0
    table = Table("flow", "times", "said, and matched nothing", box=None)
    for flow, found in missed.items():
        for said, times in found.most_common():
            table.add_row(flow, str(times), said)
    console.print(table)
    return 0
