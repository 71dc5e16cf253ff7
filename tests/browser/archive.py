"""Three weeks of calls as the gateway tells of them, for History and Numbers."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from realtime import recording

SUMMARY = "The caller wanted an oil change on Saturday at two and was given that time."
SOUND = (
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00"
    b"data\x00\x00\x00\x00"
)
_KINDS = (
    ("booked", "completed", "Oil change on Saturday", SUMMARY),
    ("answered", "completed", "Opening hours", "The caller asked how long the shop is open on Fridays."),
    ("escalated", "completed", "Complaint about brakes", "The brakes squeak since the last visit. A person took over."),
    ("abandoned", "completed", "Left while asked for a day", "The caller hung up when asked which day suits."),
    ("no_answer", "no_answer", "Nobody answered", "Nobody answered."),
)


def recording_of(lines: Sequence[tuple[int, float, float]]) -> bytes:
    """A WAV as the gateway makes it: on a side, from and to these seconds, somebody speaks (in tones that swell)."""
    sound = bytearray(b"\xff" * 2 * 8_000 * 12)
    for side, start, end in lines:
        for at in range(int(start * 8_000), int(end * 8_000)):
            loud = 5 * abs(math.sin(at / 900)) * abs(math.sin(at / 5_100 + side)) + 0.2
            sound[2 * at + side] = (0x80 if at // 18 % 2 else 0) | (0x7F - min(0x6F, int(loud * 20)))
    part = recording.Part(0, len(sound), "x")
    return b"".join(recording.wav([part], lambda _: bytes(sound)))


RECORDING = recording_of([(1, 0.4, 2.8), (0, 3.6, 5.1), (1, 5.9, 8.6), (0, 9.2, 10.4), (1, 10.7, 12.0)])


class Archive:
    """What the stub answers for History and Numbers. `asked` are the query strings, `deleted` what had to go."""

    def __init__(self) -> None:
        self.heads: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.counted: list[dict[str, str]] = []
        self.deleted: list[str] = []
        self.failing = False
        self.missing: list[int] = []
        """How many calls are not counted yet, of the next answers."""
        self.going = threading.Event()
        """Cleared: the second answer about a period waits."""
        self.going.set()
        self.empty = False
        self.unanalysed = 0
        """So many of the next answers about a call come before its analysis."""

    def fill(self, count: int) -> None:
        """So many calls, the newest first."""
        now = datetime.now(UTC).replace(microsecond=0)
        for number in range(count):
            outcome, status, title, summary = _KINDS[number % len(_KINDS)]
            began = now - timedelta(hours=5 * number + 1)
            ended = began + timedelta(seconds=47 + 9 * number % 200)
            self.heads.append(
                {
                    "call_id": f"CA{number:032d}", "caller_phone": f"+1500555{1000 + number % 8}",
                    "flow": "inbound_new",
                    "direction": "inbound", "status": status, "outcome": outcome, "excerpt": None, "epoch": "e1",
                    "seq": 0, "started_at": began.isoformat(), "ended_at": ended.isoformat(), "metadata": {},
                    "total_tokens": 1840, "cost": {"llm": 0.002, "tts": 0.031, "stt": 0.01, "usd": 0.043},
                    "analysis": {"transcript_summary": summary, "call_summary_title": title},
                }
            )  # fmt: skip

    def routes(self) -> list[Route]:
        """Behind the stub's own."""
        return [
            Route("/api/v1/calls/{call_id}", self._call, methods=["GET", "DELETE"]),
            Route("/api/v1/calls/{call_id}/export", self._export),
            Route("/api/v1/metrics", self._metrics),
            Route("/api/v1/erase", self._erase, methods=["POST"]),
        ]

    def page(self, query: Mapping[str, str]) -> Response:
        """A page of the list."""
        self.asked.append(dict(query))
        if self.failing:
            return refused(503, "The store does not answer.")
        words = query.get("q", "").lower().split()
        hits = []
        for head in self.heads:
            text = f"{head['caller_phone']} {head['analysis']['transcript_summary'].lower()}"
            wanted = all(head.get(name) == query[name] for name in ("status", "outcome", "flow") if name in query)
            if wanted and all(word in text for word in words) and head["started_at"] >= query.get("from", ""):
                hits.append({**head, "excerpt": text.split(" ", 1)[1] if words else None})
        at = int(query.get("cursor", "0"))
        end = at + int(query.get("limit", "50"))
        return JSONResponse({"calls": hits[at:end], "next_cursor": str(end) if end < len(hits) else None})

    async def _call(self, request: Request) -> Response:
        call_id = request.path_params["call_id"]
        head = next((one for one in self.heads if one["call_id"] == call_id), None)
        if head is None:
            return refused(404, "There is no such call.")
        if request.method == "DELETE":
            self.deleted.append(call_id)
            self.heads.remove(head)
            return JSONResponse({"calls": 1, "ongoing": []})
        post = {
            "summary": head["analysis"]["transcript_summary"], "title": head["analysis"]["call_summary_title"],
            "success": "success", "extracted": {"service_type": "oil_change", "preferred_date": "2026-11-21"},
            "transcript": [
                {"role": "assistant", "message": "Thank you for calling.", "time_in_call_secs": 1, "tool_calls": []},
                {"role": "user", "message": "I need an oil change", "time_in_call_secs": 4, "tool_calls": []},
            ],
            "audio": {"name": "audio/a.wav", "bytes": 412_000}, "source": "openai",
        }  # fmt: skip
        if self.unanalysed:
            self.unanalysed -= 1
            post |= {"summary": None, "title": None, "success": None, "source": None}
        if head is self.heads[0]:
            post["audio"] = {"recorded": True, "began": head["started_at"], "ms": len(RECORDING) // 16}
        return JSONResponse({**head, "post_call": post})

    async def _export(self, request: Request) -> Response:
        if not request.headers.get("authorization", "").startswith("Bearer e30."):
            return refused(401, "No token.")
        wanted = request.query_params["format"]
        name = {"Content-Disposition": f'attachment; filename="{request.path_params["call_id"]}.{wanted}"'}
        own = any(head["call_id"] == request.path_params["call_id"] for head in self.heads[:1])
        body = (RECORDING if own else SOUND) if wanted == "wav" else f"as {wanted}".encode()
        return Response(body, media_type="audio/wav" if wanted == "wav" else "text/plain", headers=name)

    async def _erase(self, request: Request) -> Response:
        phone = (await request.json())["phone"]
        self.deleted.append(phone)
        gone = [head for head in self.heads if head["caller_phone"] == phone]
        self.heads = [head for head in self.heads if head not in gone]
        return JSONResponse({"calls": len(gone), "ongoing": []})

    async def _metrics(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.counted.append(query)
        if self.failing:
            return refused(503, "The store does not answer.")
        missing = self.missing.pop(0) if self.missing else 0
        while len(self.counted) > 1 and not self.going.is_set():
            await asyncio.sleep(0.02)
        return JSONResponse(numbers(query, missing=missing, empty=self.empty))


def refused(status: int, message: str) -> Response:
    """In the gateway's words."""
    return JSONResponse({"error": {"code": "no", "message": message, "fix": ""}}, status)


def numbers(query: Mapping[str, str], *, missing: int = 0, empty: bool = False) -> dict[str, Any]:
    """A period as `GET /api/v1/metrics` tells it."""
    last = datetime(2026, 11, 24, 18, tzinfo=UTC)
    days = int(query.get("days", "7"))
    by_day: list[dict[str, Any]] = [
        {
            "day": (last - timedelta(days=at)).date().isoformat(), "calls": 14 + 7 * (at * 5 % 4), "booked": 6 + at % 5,
            "escalated": 1, "tokens": 9000, "cost_usd": 1.3 + 0.2 * (at % 4), "p95_ms": 900,
            "cost_by_vendor": {"openai": 0.2, "elevenlabs": 0.8 + 0.2 * (at % 4), "twilio": 0.3},
        }
        for at in reversed(range(days))
    ]  # fmt: skip
    rows = [] if empty else by_day
    calls = sum(day["calls"] for day in rows)
    spent = {name: sum(day["cost_by_vendor"][name] for day in rows) for name in ("elevenlabs", "twilio", "openai")}
    measured = {"endpointing": (210, 420), "thinking": (310, 780), "voicing": (140, 260), "total": (690, 1380)}
    latency = {name: {"turns": 812, "p50": low, "p95": high} for name, (low, high) in measured.items()}
    return {
        "from": (last - timedelta(days=days - 1)).replace(hour=5).isoformat(), "to": last.isoformat(),
        "timezone": "America/New_York", "flow": query.get("flow"), "active": 2, "counted_all": not missing,
        "missing": missing, "calls": calls, "answered": int(calls * 0.93), "completed": int(calls * 0.81),
        "booked": sum(day["booked"] for day in rows), "escalated": len(rows),
        "average_handling_s": None if empty else 94.2, "average_turns": None if empty else 5.4,
        "tokens": sum(day["tokens"] for day in rows), "cost_usd": sum(spent.values()),
        "latency_ms": {} if empty else latency,
        "by_day": rows, "by_hour": [0] * 7 + [2, 9, 14, 11, 8, 6, 9, 12, 10, 7, 4, 1] + [0] * 5,
        "by_flow": [] if empty else [
            {"flow": "inbound_new", "calls": 92, "completed": 71, "completion_rate": 0.7717},
            {"flow": "inbound_existing", "calls": 31, "completed": 29, "completion_rate": 0.9355},
        ],
        "by_outcome": {} if empty else {"booked": 58, "answered": 31, "abandoned": 17, "escalated": 9},
        "drop_off": [] if empty else [{"slot": "preferred_date", "calls": 11}, {"slot": "service_type", "calls": 6}],
        "cost_by_vendor": {} if empty else spent,
    }  # fmt: skip
