"""Effects outside our store happen at most once per (call, tool, canonical arguments).

`calls/{call_id}/effects/{digest}`: {tool, arguments, status, at, detail, expire_at}. The intent is committed before
anything leaves the house. Whoever finds an intent without an outcome (the process died, the answer was lost, another
turn asks the same) looks up what became of it and never repeats it:

    intended -> done | refused | failed | unknown      unknown -> done (found later)      failed -> intended (again)
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from media_gateway.tools.port import ToolContext
from media_gateway.tools.services import EffectFailed, EffectRefused, EffectUnknown
from realtime.clock import iso, parse_iso
from realtime.paths import digest
from realtime.stores.port import Conflict, Create, Doc, Put

Status = Literal["done", "refused", "failed", "unknown"]
SKEW = timedelta(seconds=10)
"""Between our clock and the vendor's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`detail` is what the effect returned, or {"reason": ...}."""

    status: Status
    detail: Mapping[str, Any]


async def once(
    context: ToolContext,
    tool: str,
    arguments: Mapping[str, Any],
    act: Callable[[], Awaitable[Mapping[str, Any]]],
    look_up: Callable[[datetime], Awaitable[Mapping[str, Any] | None]],
) -> Outcome:
    """`act` does it, once; `look_up` says what became of one that was intended at that time, None if nothing is seen of
    it. Both may raise what the ports of `services` raise. Raises StoreUnavailable, before anything was done or after:
    then the next call looks it up."""
    canonical = json.dumps(dict(arguments), sort_keys=True, default=str)
    key = digest(f"{tool} {canonical}")
    path = f"calls/{context.call_id}/effects/{key}"
    intent = {
        "tool": tool,
        "arguments": canonical,
        "status": "intended",
        "at": iso(context.now),
        "detail": {},
        "expire_at": iso(context.now + timedelta(days=context.services.retention_days)),
    }
    (kept,) = await context.store.get(path)
    if kept is not None and kept.data["status"] in ("done", "refused"):
        return Outcome(kept.data["status"], kept.data["detail"])
    try:
        if kept is None:
            (version,) = await context.store.commit([Create(path, intent)])
        elif kept.data["status"] == "failed":
            (version,) = await context.store.commit([Put(path, intent, kept.version)])
        else:
            return await _found(context, kept, look_up)
    except Conflict:
        # The same was asked at the same time, and the other one does it.
        return Outcome("unknown", {"reason": "under_way"})
    outcome = await _acted(act)
    await _keep(context, path, {**intent, "status": outcome.status, "detail": outcome.detail}, version)
    return outcome


async def _keep(context: ToolContext, path: str, outcome: Mapping[str, Any], version: str) -> None:
    """Write down what came of it. Somebody who asked meanwhile may have looked it up and written what they found: what
    we know at first hand to be done goes over that, and any other word of ours gives way to it."""
    try:
        await context.store.commit([Put(path, outcome, version)])
    except Conflict:
        if outcome["status"] == "done":
            await context.store.commit([Put(path, outcome)])


async def _acted(act: Callable[[], Awaitable[Mapping[str, Any]]]) -> Outcome:
    try:
        return Outcome("done", await act())
    except EffectRefused as refused:
        return Outcome("refused", {"reason": refused.reason})
    except EffectFailed:
        return Outcome("failed", {"reason": "not_reached"})
    except EffectUnknown:
        return Outcome("unknown", {"reason": "no_answer"})


async def _found(
    context: ToolContext, kept: Doc, look_up: Callable[[datetime], Awaitable[Mapping[str, Any] | None]]
) -> Outcome:
    unknown = Outcome("unknown", {"reason": "no_answer"})
    try:
        detail = await look_up(parse_iso(kept.data["at"]) - SKEW)
    except EffectFailed:
        return unknown
    if detail is None:
        return unknown
    await context.store.commit([Put(kept.path, {**kept.data, "status": "done", "detail": detail})])
    return Outcome("done", detail)
