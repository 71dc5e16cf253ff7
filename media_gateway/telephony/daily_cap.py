"""How many calls an organisation places a day, against toll fraud: one count for every door, beside that of `intents`.

`orgs/{org}/outbound_days/{day}` is `{count}`; the day is that of the shop's time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from media_gateway.telephony.intents import ATTEMPTS, TooManyToday
from realtime.clock import iso
from realtime.stores.port import Conflict, Create, DocumentStore, Put, StoreUnavailable, Write


@dataclass(frozen=True, slots=True)
class DailyCap:
    """`per_day` calls, all doors together."""

    store: DocumentStore
    zone: ZoneInfo
    per_day: int

    async def take(self, org: str, now: datetime) -> None:
        """Count one call more. Raises TooManyToday, StoreUnavailable."""
        path = f"orgs/{org}/outbound_days/{now.astimezone(self.zone).date().isoformat()}"
        for _ in range(ATTEMPTS):
            (count,) = await self.store.get(path)
            so_far = int(count.data["count"]) if count else 0
            if so_far >= self.per_day:
                raise TooManyToday(f"{so_far} calls were placed today; that is the cap")
            data = {"count": so_far + 1, "expire_at": iso(now + timedelta(days=3))}
            write: Write = Put(path, data, count.version) if count else Create(path, data)
            try:
                await self.store.commit([write])
            except Conflict:
                continue
            return
        raise StoreUnavailable("too many calls are begun at the same moment")
