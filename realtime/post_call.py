"""What is left of a call, in one shape whoever held it. Pure.

    {summary, title, success, extracted: {name: value}, transcript: [{role: user|assistant, message, time_in_call_secs,
     interrupted, tool_calls: [{tool, arguments, result, ok}]}], duration_secs, cost: {usd, credits, tokens},
     audio: {name?, bytes, ...} | {recorded: true, began, ms} | null, source}

Null where there is nothing; `source` says who analysed it (null: nobody yet).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from realtime.call import Call
from realtime.recording import pointer

_ROLES = {"agent": "assistant"}


def post_call(call: Call, record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Of a call that is over, from its head and its whole record (None: that has expired); None while it goes on."""
    if not call.status.terminal:
        return None
    record = record or {}
    analysis = _object(call.analysis) or _object(record.get("analysis_data"))
    about = _object(record.get("metadata"))
    source = analysis.get("source") or ("elevenlabs" if analysis and call.hosted else None)
    return {
        "summary": analysis.get("transcript_summary"),
        "title": analysis.get("call_summary_title"),
        "success": analysis.get("call_successful"),
        "extracted": _extracted(analysis.get("data_collection_results")),
        "transcript": _transcript(record.get("transcript"), about.get("tool_calls")),
        "duration_secs": record.get("duration_secs"),
        "cost": {
            "usd": _number(about.get("cost_fiat")),
            "credits": _number(about.get("cost")),
            "tokens": None if call.hosted else call.total_tokens,
        },
        "audio": _object(call.metadata.get("audio")) or _recorded(call),
        "source": source,
    }


def _recorded(call: Call) -> dict[str, Any] | None:
    """A call of our own whose sound was kept (`realtime.recording`)."""
    found = pointer(call)
    return {"recorded": True, **found} if found else None


def _extracted(results: object) -> dict[str, Any]:
    return {name: one.get("value") for name, one in _object(results).items() if isinstance(one, Mapping)}


def _transcript(lines: object, calls: object) -> list[dict[str, Any]] | None:
    """Tools belong to the line that used them; ours, which are told of the whole call, to the last of the assistant
    before them in time where that is known, else to the call's last line."""
    if not isinstance(lines, list):
        return None
    found = [_line(line) for line in lines if isinstance(line, Mapping)]
    for one in calls if isinstance(calls, list) else []:
        if found and isinstance(one, Mapping):
            at = one.get("time_in_call_secs")
            before = [line for line in found if at is None or (line["time_in_call_secs"] or 0) <= at]
            (before or found[:1])[-1]["tool_calls"].append(_own_tool(one))
    return found


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    role = str(line.get("role"))
    results = line.get("tool_results")
    told = {str(_object(one).get("request_id")): _object(one) for one in results} if isinstance(results, list) else {}
    calls = line.get("tool_calls")
    return {
        "role": _ROLES.get(role, role),
        "message": line.get("message"),
        "time_in_call_secs": _number(line.get("time_in_call_secs")),
        "interrupted": bool(line.get("interrupted")),
        "tool_calls": [_their_tool(_object(one), told) for one in calls] if isinstance(calls, list) else [],
    }


def _own_tool(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one.get(name) for name in ("tool", "arguments", "result", "ok")}


def _their_tool(one: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    result = results.get(str(one.get("request_id")), {})
    return {
        "tool": one.get("tool_name"),
        "arguments": _parsed(one.get("params_as_json")),
        "result": _parsed(result.get("result_value")),
        "ok": not result["is_error"] if "is_error" in result else None,
    }


def _parsed(text: object) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
