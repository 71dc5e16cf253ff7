"""`GET /api/v1/calls/{id}/export?format=`: one call as a file: all of it (json), its journal as a table (csv), what was
said (txt), its sound (wav)."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import Guard
from media_gateway.dashboard.heads import public_head
from media_gateway.http_errors import ApiError
from realtime import audit, recording
from realtime.blobs import Blobs, BlobsUnavailable
from realtime.call import Call
from realtime.clock import utcnow
from realtime.events import Event, EventType
from realtime.journal import Journal
from realtime.post_call import post_call
from realtime.stores.port import DocumentStore

FORMATS = ("json", "csv", "txt", "wav")
MOST = 20_000
PAGE = 500
_WHO = {"user": "Caller", "assistant": "Assistant", "supervisor": "Supervisor"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """`blobs` holds the sound of calls; None where none is kept."""

    journal: Journal
    store: DocumentStore
    guard: Guard
    blobs: Blobs | None = None

    def routes(self) -> list[Route]:
        """For the application."""
        return [Route("/api/v1/calls/{call_id}/export", self.guard(self.export), methods=["GET"])]

    async def export(self, request: Request, principal: Principal) -> Response:
        """One call as a file: `?format=json` (all of it), `csv` (the journal), `txt` (what was said), `wav`."""
        wanted = request.query_params.get("format") or "json"
        if wanted not in FORMATS:
            raise ApiError(422, f"format is one of {', '.join(FORMATS)}.")
        call = await self.journal.find(request.path_params["call_id"])
        if call is None or call.org != principal.org:
            raise ApiError(404, "There is no such call.", fix="See GET /api/v1/calls.")
        who, told = principal, {"format": wanted}
        await audit.record(self.store, who.org, who.user, "call.export", call.call_id, utcnow(), told)
        if wanted == "wav":
            return await self._sound(call)
        events = await self._events(call)
        if wanted == "json":
            return await self._whole(call, events)
        body, media = (table(events), "text/csv") if wanted == "csv" else (script(call, events), "text/plain")
        return Response(body, media_type=media, headers=_named(call, wanted))

    async def _events(self, call: Call) -> list[Event]:
        events: list[Event] = []
        while page := await self.journal.events(call.call_id, after=len(events), limit=PAGE):
            events += page
            if len(events) > MOST:
                raise ApiError(413, "This journal is too long to export.", fix="Read it in pages with /events?after=.")
        return events

    async def _whole(self, call: Call, events: Sequence[Event]) -> Response:
        record = await record_in(self.journal, events)
        body = {
            "call": public_head(call),
            "events": [event.to_dict() for event in events],
            "call_data": record,
            "post_call": post_call(call, record),
        }
        return JSONResponse(body, headers=_named(call, "json"))

    async def _sound(self, call: Call) -> Response:
        name = audio_of(call)
        if name is None and self.blobs is not None:
            return await self._recording(call, self.blobs)
        if name is None or self.blobs is None:
            raise ApiError(404, "There is no sound of this call.", fix="Only calls whose sound was kept have one.")
        try:
            sound = await asyncio.to_thread(self.blobs.get, name)
        except (LookupError, ValueError) as error:
            raise ApiError(404, "The sound of this call is not kept any more.") from error
        except BlobsUnavailable as error:
            raise ApiError(503, "The store of sounds does not answer.", fix="Try again in a minute.") from error
        kind, ending = ("audio/wav", "wav") if sound[:4] == b"RIFF" else ("audio/mpeg", "mp3")
        return Response(sound, media_type=kind, headers=_named(call, ending))

    async def _recording(self, call: Call, blobs: Blobs) -> Response:
        """Of a call of our own: mu-law in two channels, the caller and the assistant."""
        try:
            found = await asyncio.to_thread(recording.parts, blobs, call.call_id)
        except BlobsUnavailable as error:
            raise ApiError(503, "The store of sounds does not answer.", fix="Try again in a minute.") from error
        if not found:
            if recording.pointer(call) is not None:
                raise ApiError(404, "The sound of this call is not kept any more.")
            fix = "Calls are recorded where CALLBOARD_RECORD is true, unless their flow says no."
            raise ApiError(404, "There is no sound of this call.", fix=fix)
        headers = {**_named(call, "wav"), "Content-Length": str(recording.length(found))}
        pieces = iterate_in_threadpool(recording.wav(found, blobs.get))
        return StreamingResponse(pieces, media_type="audio/wav", headers=headers)


async def record_in(journal: Journal, events: Sequence[Event]) -> Mapping[str, Any] | None:
    """The whole record that the completion among these events carries or points to; None without one, or when it has
    expired."""
    completed = [event for event in events if event.type is EventType.CALL_COMPLETED]
    try:
        return dict(await journal.call_data(completed[-1])) if completed else None
    except LookupError:
        return None


def audio_of(call: Call) -> str | None:
    """The name of the file with the call's sound, as its record points to it."""
    for where in (call.analysis or {}, call.metadata):
        pointer: Any = where.get("audio")
        name = pointer.get("name") if isinstance(pointer, Mapping) else None
        if isinstance(name, str):
            return name
    return None


def table(events: Iterable[Event]) -> str:
    """The journal as CSV. A cell that a spreadsheet would take for a formula is quoted by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("seq", "time", "type", "turn", "speaker", "text", "data"))
    for event in events:
        data = event.data
        row = (data.get("turn", ""), data.get("speaker", ""), data.get("text", ""))
        rest = json.dumps({k: v for k, v in data.items() if k not in ("turn", "speaker", "text")}, default=str)
        writer.writerow([event.seq, event.ts, event.type.value, *map(_plain, row), rest])
    return out.getvalue()


def script(call: Call, events: Iterable[Event]) -> str:
    """What was said and done, for reading."""
    lines = [f"Call {call.call_id}, {call.flow or 'no flow'}, began {call.started_at}, {call.status.value}.", ""]
    told: Mapping[EventType, Callable[[Mapping[str, Any]], str]] = {
        EventType.FINAL_TRANSCRIPT: _said,
        EventType.AI_RESPONSE_COMPLETE: _said,
        EventType.TOOL_CALL: lambda data: f"[{data.get('tool')}: {'done' if data.get('ok') else 'refused'}]",
        EventType.ESCALATION: lambda data: f"[a person is asked for: {data.get('reason')}]",
        EventType.DTMF: lambda data: f"[key {data.get('digit')}]",
    }
    lines += (f"{event.ts[11:19]}  {told[event.type](event.data)}" for event in events if event.type in told)
    return "\n".join(lines) + "\n"


def _said(data: Mapping[str, Any]) -> str:
    who = _WHO.get(str(data.get("speaker")), "Caller")
    return f"{who}: {data.get('text') or ''}{' (interrupted)' if data.get('interrupted') else ''}"


def _plain(cell: object) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _named(call: Call, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{call.call_id}.{ending}"'}
