"""Campaigns in the store: written whole, read in pages, run by one instance at a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from realtime.campaigns.model import OPEN, Campaign, Row, RowState, State
from realtime.clock import iso
from realtime.stores.port import Conflict, Create, Doc, DocumentStore, Put, Query, Write

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
BATCH = 200
FORGET = 1_000
"""Campaigns of an organisation that are looked through; older ones have expired."""
ATTEMPTS = 5
Where = tuple[str, Literal["==", "<", "<=", ">", ">="], Any]
_NEXT: dict[State, frozenset[State]] = {
    "running": frozenset({"paused", "stopped", "done"}),
    "paused": frozenset({"running", "stopped"}),
    "stopped": frozenset(),
    "done": frozenset(),
}


class Unreadable(Exception):
    """A row of this campaign cannot be read."""


class WrongState(Exception):
    """A campaign that is over cannot be moved any more."""


class Book:
    """All of it raises StoreUnavailable."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._told: set[str] = set()

    async def create(self, campaign: Campaign, rows: Sequence[Row], beside: Sequence[Write] = ()) -> None:
        """The rows first: a campaign that is there is whole."""
        for at in range(0, len(rows), BATCH):
            part = rows[at : at + BATCH]
            await self._store.commit([Create(row.path(campaign.campaign_id), row.to_dict()) for row in part])
        await self._store.commit([Create(campaign.path, campaign.to_dict()), *beside])

    async def get(self, campaign_id: str, org: str) -> Campaign | None:
        """This campaign, if it is of this organisation."""
        (doc,) = await self._store.get(f"campaigns/{campaign_id}")
        found = Campaign.from_dict(doc.data) if doc else None
        return found if found and found.org == org else None

    async def of_org(self, org: str, limit: int = 50) -> list[Campaign]:
        """The newest first."""
        query = Query("campaigns", [("org", "==", org)], order_by="created_at", descending=True, limit=limit)
        return self._sound(await self._store.query(query))

    async def rows(self, campaign_id: str, *, only_sound: bool = False) -> list[Row]:
        """All rows, in the order of the table. Raises Unreadable, unless those that cannot be read are left out."""
        rows: list[Row] = []
        after: Any = None
        while True:
            page = await self._store.query(
                Query(f"campaigns/{campaign_id}/rows", order_by="n", after=after, limit=BATCH)
            )
            for doc in page:
                try:
                    rows.append(Row.from_dict(doc.data))
                except (KeyError, TypeError, ValueError) as error:
                    if not only_sound:
                        raise Unreadable(f"row {doc.data.get('n')} cannot be read") from error
            if len(page) < BATCH:
                return rows
            after = page[-1].data["n"]

    async def move(self, campaign: Campaign, state: State, reason: str = "", beside: Sequence[Write] = ()) -> Campaign:
        """Pause, go on, stop. The same state again changes nothing. Raises WrongState."""
        for _ in range(ATTEMPTS):
            (doc,) = await self._store.get(campaign.path)
            if doc is None:
                raise WrongState("it is not kept any more")
            now = Campaign.from_dict(doc.data)
            if now.state == state:
                return now
            if state not in _NEXT[now.state]:
                raise WrongState(f"it is {now.state}")
            moved = replace(now, state=state, reason=reason)
            if await self._put(doc, moved, beside):
                return moved
        raise Conflict(campaign.path)

    async def running(self) -> list[Campaign]:
        """Those that want to be run, of every organisation."""
        query = Query("campaigns", [("state", "==", "running")], limit=100)
        return self._sound(await self._store.query(query))

    async def lease(self, campaign_id: str, owner: str, now: datetime) -> Campaign | None:
        """It is `owner`'s to run for `LEASE` from now; None if another one's, or not running any more."""
        (doc,) = await self._store.get(f"campaigns/{campaign_id}")
        if doc is None:
            return None
        campaign = Campaign.from_dict(doc.data)
        others = campaign.owner not in (None, owner) and (campaign.leased_until or "") > iso(now)
        if campaign.state != "running" or others:
            return None
        leased = replace(campaign, owner=owner, leased_until=iso(now + LEASE))
        return leased if await self._put(doc, leased) else None

    async def write(self, campaign_id: str, row: Row) -> None:
        """What became of a row. Only the one who has the lease does it."""
        await self._store.commit([Put(row.path(campaign_id), row.to_dict())])

    async def close_rows(self, campaign_id: str) -> None:
        """A stopped campaign: those whose turn has not come are told so."""
        for row in await self.rows(campaign_id, only_sound=True):
            if row.state == "waiting":
                await self.write(campaign_id, replace(row, state="stopped"))

    async def forget(self, org: str, number: str) -> int:
        """Deletion on request: whom a row would have called, and with what, goes; that there was a row stays. How many
        there were."""
        forgotten = 0
        for campaign in await self.of_org(org, limit=FORGET):
            where: list[Where] = [("to", "==", number)]
            rows = await self._store.query(Query(f"campaigns/{campaign.campaign_id}/rows", where, limit=BATCH))
            for row in (Row.from_dict(doc.data) for doc in rows):
                state: RowState = "stopped" if row.state == "waiting" else row.state
                await self.write(campaign.campaign_id, replace(row, to="", variables={}, state=state))
                forgotten += 1
        return forgotten

    def _sound(self, docs: Sequence[Doc]) -> list[Campaign]:
        """Those that can be read; one that cannot keeps no other from being shown or run, and is told of once."""
        found: list[Campaign] = []
        for doc in docs:
            try:
                found.append(Campaign.from_dict(doc.data))
            except (KeyError, TypeError, ValueError):
                if doc.path not in self._told:
                    log.error("campaign_quarantined", extra={"path": doc.path})
                self._told.add(doc.path)
        return found

    async def _put(self, doc: Doc, campaign: Campaign, beside: Sequence[Write] = ()) -> bool:
        try:
            await self._store.commit([Put(doc.path, campaign.to_dict(), doc.version), *beside])
        except Conflict:
            return False
        return True


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows are in each state, and how many are not open any more."""
    found: dict[str, int] = {"total": len(rows), "over": sum(row.state not in OPEN for row in rows)}
    for row in rows:
        found[row.state] = found.get(row.state, 0) + 1
    return found
