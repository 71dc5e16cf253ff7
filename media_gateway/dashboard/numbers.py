"""`GET /api/v1/metrics`: the numbers of a period, for the page, the command line and other people's monitors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import Guard
from media_gateway.dashboard.query import number
from media_gateway.http_errors import ApiError
from realtime.clock import Clock, iso, parse_iso, utcnow
from realtime.numbers.facts import local_day
from realtime.numbers.ledger import Ledger
from realtime.numbers.summary import summary

DAYS = 7
MOST_DAYS = 366
MAX_FILTER = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """`ledger.zone` is the shop's: days and hours are local to it."""

    ledger: Ledger
    guard: Guard
    clock: Clock = utcnow

    def routes(self) -> list[Route]:
        """For the application."""
        return [Route("/api/v1/metrics", self.guard(self.metrics), methods=["GET"])]

    async def metrics(self, request: Request, principal: Principal) -> Response:
        """The calls that began in a period (`?from=`, `?to=`, ISO 8601 or a date, or the last `?days=`, today among
        them; else 7), of one flow (`?flow=`) or all. `counted_all` is false while there are calls still to be counted
        (`missing`): ask again. `active` are the calls that run now."""
        query = request.query_params
        for name, value in query.items():
            if len(value) > MAX_FILTER:
                raise ApiError(422, f"{name[:MAX_FILTER]} is too long.")
        days = number(query.get("days"), "days", default=DAYS, most=MOST_DAYS, least=1)
        began, ended = self._period(query.get("from"), query.get("to"), days)
        counted = await self.ledger.period(principal.org, from_=began, to=ended, flow=query.get("flow") or None)
        active = [call for call in await self.ledger.journal.active(org=principal.org) if not call.status.terminal]
        numbers = summary(counted.facts)
        body: dict[str, Any] = {
            "from": began,
            "to": ended,
            "timezone": self.ledger.zone.key,
            "flow": query.get("flow") or None,
            "active": len(active),
            "counted_all": not counted.missing and not counted.more,
            "missing": counted.missing,
            "total_conversations": numbers["calls"] + len(active),
            "total_tokens": numbers["tokens"],
            **numbers,
        }
        return JSONResponse(body)

    def _period(self, from_: str | None, to: str | None, days: int) -> tuple[str, str]:
        now = self.clock()
        today = datetime.fromisoformat(local_day(now, self.ledger.zone)).date()
        try:
            ended = self._moment(to, end=True) if to else now
            usual = datetime.combine(today - timedelta(days=days - 1), time(), self.ledger.zone)
            began = self._moment(from_, end=False) if from_ else min(usual, ended - timedelta(days=days - 1))
            if not timedelta() <= ended - began <= timedelta(days=MOST_DAYS):
                raise ApiError(422, f"from must lie before to, and at most {MOST_DAYS} days before it.")
            return iso(began), iso(ended)
        except (ValueError, OverflowError) as error:
            fix = "For example ?from=2026-11-01&to=2026-11-30, or 2026-11-01T08:00:00Z."
            raise ApiError(422, "from or to is no date and no time.", fix=fix) from error

    def _moment(self, text: str, *, end: bool) -> datetime:
        """A time, or a whole day of the shop: from its beginning, to its end."""
        if "T" in text:
            return parse_iso(text)
        day = datetime.strptime(text, "%Y-%m-%d").date()
        return datetime.combine(day + timedelta(days=end), time(), self.ledger.zone) - timedelta(milliseconds=end)
