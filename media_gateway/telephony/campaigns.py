"""`/api/v1/campaigns`: a table of people to call with one flow. Checked and priced first, then run; paused, gone on
with, stopped; a result per row."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import time, timedelta
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import Guard, read_json
from media_gateway.http_errors import ApiError
from media_gateway.telephony.call_rules import callable_number
from realtime import audit
from realtime.campaigns.book import Book, WrongState, counts
from realtime.campaigns.machine import seconds_for
from realtime.campaigns.model import Campaign, Row, State
from realtime.campaigns.table import MOST_CHARACTERS, Checked, NoTable, check
from realtime.clock import Clock, iso, utcnow
from realtime.records import do_not_call
from realtime.stores.port import DocumentStore

MAX_TABLE = 4 * MOST_CHARACTERS
"""Bytes of a request: a character has four at most, and JSON a few more for line ends."""
CALL_SECONDS = 120.0
"""What a call is taken to last, for the plan."""
_Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`csv` is the table's text."""

    flow: str
    csv: str
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=60)] = 6
    at_once: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    opens: _Clock = "09:00"
    closes: _Clock = "20:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigns:
    """`price` is what a call of two minutes costs, about, in US dollars, by vendor. `missing` names the variables that
    placing calls would need."""

    store: DocumentStore
    guard: Guard
    flows: Callable[[], Collection[str]]
    countries: Collection[str]
    per_day: int
    missing: tuple[str, ...]
    price: Mapping[str, float]
    retention: timedelta
    clock: Clock = utcnow

    @property
    def book(self) -> Book:
        """Where they are."""
        return Book(self.store)

    def routes(self) -> list[Route]:
        """For the application."""
        base, guard = "/api/v1/campaigns", self.guard
        one = f"{base}/{{campaign_id}}"
        return [
            Route(base, guard(self.list, "operator"), methods=["GET"]),
            Route(base, guard(self.create, "operator"), methods=["POST"], max_body_size=MAX_TABLE),
            Route(f"{base}/check", guard(self.check, "operator"), methods=["POST"], max_body_size=MAX_TABLE),
            Route(one, guard(self.show, "operator"), methods=["GET"]),
            *(
                Route(f"{one}/{verb.__name__}", guard(verb, "operator"), methods=["POST"])
                for verb in (self.pause, self.resume, self.stop)
            ),
        ]

    async def check(self, request: Request, principal: Principal) -> Response:
        """Every row checked, what it would cost and how long it would take; nothing is called."""
        wanted = await self._read(request)
        checked, blocked = await self._checked(principal.org, wanted)
        return JSONResponse(self._plan(wanted, checked, blocked))

    async def create(self, request: Request, principal: Principal) -> Response:
        """Call every good row -> 201 with the campaign; the bad ones are named."""
        if self.missing:
            names = ", ".join(self.missing)
            fix = f"Set {names} and start again."
            raise ApiError(503, "This installation places no calls.", code="not_configured", fix=fix)
        wanted = await self._read(request)
        checked, blocked = await self._checked(principal.org, wanted)
        good = [row for row in checked.good if row.to not in blocked]
        if not good:
            raise ApiError(422, "No row can be called.", fix="POST /api/v1/campaigns/check says why, row by row.")
        now = self.clock()
        expire_at = iso(now + self.retention)
        campaign = Campaign(
            campaign_id=secrets.token_hex(8),
            org=principal.org,
            name=wanted.name.strip() or wanted.flow,
            flow=wanted.flow,
            rows=len(good),
            created_at=iso(now),
            created_by=principal.user,
            per_minute=wanted.per_minute,
            at_once=wanted.at_once,
            opens=wanted.opens,
            closes=wanted.closes,
            expire_at=expire_at,
        )
        rows = [
            Row(n=n, line=row.line, to=row.to, variables=row.variables, expire_at=expire_at)
            for n, row in enumerate(good, start=1)
        ]
        detail = {"flow": wanted.flow, "rows": len(rows)}
        told = audit.entry(principal.org, principal.user, "campaign.create", campaign.campaign_id, now, detail)
        await self.book.create(campaign, rows, (told,))
        plan = self._plan(wanted, checked, blocked)
        return JSONResponse({**_shown(campaign), "rejected": plan["bad"]}, 201)

    async def list(self, _request: Request, principal: Principal) -> Response:
        """The newest 50."""
        found = await self.book.of_org(principal.org)
        return JSONResponse({"campaigns": [_shown(campaign) for campaign in found]})

    async def show(self, request: Request, principal: Principal) -> Response:
        """One, with its rows and how far they are."""
        campaign = await self._find(request, principal)
        rows = await self.book.rows(campaign.campaign_id, only_sound=True)
        shown = [{name: value for name, value in row.to_dict().items() if name != "expire_at"} for row in rows]
        return JSONResponse({**_shown(campaign), "counts": counts(rows), "results": shown})

    async def pause(self, request: Request, principal: Principal) -> Response:
        """Nobody else is called until it goes on; calls that run go on to their end."""
        return await self._move(request, principal, "paused", "campaign.pause")

    async def resume(self, request: Request, principal: Principal) -> Response:
        """Go on where it was paused."""
        return await self._move(request, principal, "running", "campaign.resume")

    async def stop(self, request: Request, principal: Principal) -> Response:
        """Nobody else is called, for good; calls that run go on to their end."""
        return await self._move(request, principal, "stopped", "campaign.stop")

    async def _move(self, request: Request, principal: Principal, state: State, action: str) -> Response:
        campaign = await self._find(request, principal)
        told = audit.entry(principal.org, principal.user, action, campaign.campaign_id, self.clock())
        try:
            moved = await self.book.move(campaign, state, "", (told,))
        except WrongState as error:
            raise ApiError(409, f"This campaign cannot be moved: {error}.", fix="Start a new one.") from error
        if moved.state == "stopped":
            await self.book.close_rows(moved.campaign_id)
        return JSONResponse(_shown(moved))

    async def _read(self, request: Request) -> Wanted:
        wanted = await read_json(request, Wanted)
        flows = self.flows()
        if wanted.flow not in flows:
            raise ApiError(422, "There is no such flow.", code="unknown_flow", fix=f"Use {', '.join(sorted(flows))}.")
        if time.fromisoformat(wanted.opens) >= time.fromisoformat(wanted.closes):
            raise ApiError(422, "opens must be earlier than closes.", fix="For example 09:00 and 20:00.")
        return wanted

    async def _checked(self, org: str, wanted: Wanted) -> tuple[Checked, frozenset[str]]:
        """The rows, and the numbers among the good ones that are not to be called."""
        try:
            checked = await asyncio.to_thread(check, wanted.csv, lambda to: callable_number(to, self.countries))
        except NoTable as error:
            raise ApiError(422, str(error), code="no_table", fix="See docs/calling-out.md for an example.") from error
        blocked = [row.to for row in checked.good if await do_not_call.listed(self.store, org, row.to)]
        return checked, frozenset(blocked)

    def _plan(self, wanted: Wanted, checked: Checked, blocked: frozenset[str]) -> dict[str, Any]:
        listed = [{"line": row.line, "problem": "this number is not to be called"}
                  for row in checked.good if row.to in blocked]  # fmt: skip
        good = [row for row in checked.good if row.to not in blocked]
        total = round(sum(self.price.values()) * len(good), 2)
        return {
            "columns": list(checked.columns),
            "good": [asdict(row) for row in good[:20]],
            "good_rows": len(good),
            "bad": sorted([*(asdict(row) for row in checked.bad), *listed], key=lambda row: row["line"]),
            "cost_usd": total,
            "seconds": round(seconds_for(len(good), wanted.per_minute, wanted.at_once, CALL_SECONDS)),
            "days": -(-len(good) // self.per_day) if self.per_day else None,
            "per_day": self.per_day,
            "missing": list(self.missing),
        }

    async def _find(self, request: Request, principal: Principal) -> Campaign:
        found = await self.book.get(request.path_params["campaign_id"], principal.org)
        if found is None:
            raise ApiError(404, "There is no such campaign.", fix="See GET /api/v1/campaigns.")
        return found


def _shown(campaign: Campaign) -> dict[str, Any]:
    hidden: tuple[Literal["owner", "leased_until", "expire_at"], ...] = ("owner", "leased_until", "expire_at")
    return {name: value for name, value in campaign.to_dict().items() if name not in hidden}
