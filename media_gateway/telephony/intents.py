"""Calls that we mean to place, written down before anybody is asked to dial.

`intents/{id}` is one wish, under a name made from the organisation and the Idempotency-Key: create-only, so the same
key is the same call for ever. `orgs/{org}/outbound_days/{day}` counts the wishes of a day; both are one commit, so the
cap holds however many ask at once. States: `dialling` (asked, or about to ask), `placed` (Twilio has it: `call_id`),
`refused` (Twilio said no: `error`), `unknown` (no answer came; to be looked up, never dialled again).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from realtime.call import Call, Status
from realtime.clock import iso
from realtime.paths import digest
from realtime.stores.port import Conflict, Create, DocumentStore, Put, StoreUnavailable, Write

State = Literal["dialling", "placed", "refused", "unknown"]
ATTEMPTS = 20


class TooManyToday(Exception):
    """The day's calls are used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """`request` is a digest of what was asked; `error` `{status, code, message, passing}` of a refusal."""

    intent_id: str
    org: str
    to: str
    flow: str
    request: str
    actor: str
    created_at: str
    expire_at: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    state: State = "dialling"
    dialled_at: str = ""
    call_id: str | None = None
    error: Mapping[str, Any] | None = None

    @property
    def path(self) -> str:
        """Where it is kept."""
        return f"intents/{self.intent_id}"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """As it was kept."""
        return cls(**data)

    def call(self, call_sid: str, from_: str | None) -> Call:
        """The call that this wish has become."""
        return Call(
            call_id=call_sid,
            org=self.org,
            call_sid=call_sid,
            direction="outbound",
            caller_phone=self.to,
            from_number=from_,
            to_number=self.to,
            flow=self.flow,
            status=Status.INITIATED,
            metadata={"variables": dict(self.variables), "intent": self.intent_id, "placed_by": self.actor},
        )


def intent_id(org: str, key: str) -> str:
    """The name of the wish behind this key."""
    return digest(f"{org} {key}")[:40]


class Intents:
    """The wishes in the store."""

    def __init__(self, store: DocumentStore, *, zone: ZoneInfo, per_day: int) -> None:
        self._store, self._zone, self._per_day = store, zone, per_day

    async def get(self, wish: str) -> Intent | None:
        """The wish of this name. Raises StoreUnavailable."""
        (found,) = await self._store.get(f"intents/{wish}")
        return Intent.from_dict(found.data) if found else None

    async def begin(self, intent: Intent, now: datetime, more: Sequence[Write] = ()) -> tuple[Intent, bool]:
        """Write it down and count it, with `more` in the same commit; True if it is new. The one that is there already
        otherwise. Raises TooManyToday, StoreUnavailable (also when it is not known whether it was written: ask again
        with the same key)."""
        day = f"orgs/{intent.org}/outbound_days/{now.astimezone(self._zone).date().isoformat()}"
        for _ in range(ATTEMPTS):
            known, count = await self._store.get(intent.path, day)
            if known:
                return Intent.from_dict(known.data), False
            so_far = int(count.data["count"]) if count else 0
            if so_far >= self._per_day:
                raise TooManyToday(f"{so_far} calls were placed today; that is the cap")
            data = {"count": so_far + 1, "expire_at": iso(now + timedelta(days=3))}
            counted: Write = Put(day, data, count.version) if count else Create(day, data)
            try:
                await self._store.commit([Create(intent.path, asdict(intent)), counted, *more])
            except Conflict:
                continue
            return intent, True
        raise StoreUnavailable("too many calls are begun at the same moment")

    async def again(self, intent: Intent, now: datetime) -> bool:
        """A refusal that passes may be tried again, by one at a time: True for that one."""
        (found,) = await self._store.get(intent.path)
        if found is None or found.data["state"] != "refused":
            return False
        fresh = replace(intent, state="dialling", error=None, dialled_at=iso(now))
        try:
            await self._store.commit([Put(intent.path, asdict(fresh), found.version)])
        except Conflict:
            return False
        return True

    async def settle(
        self, wish: str, state: State, *, call_id: str | None = None, error: Mapping[str, Any] | None = None
    ) -> Intent | None:
        """What became of it. `placed` is final: nothing overwrites it. Raises StoreUnavailable."""
        for _ in range(ATTEMPTS):
            (found,) = await self._store.get(f"intents/{wish}")
            if found is None:
                return None
            intent = Intent.from_dict(found.data)
            if intent.state == "placed":
                return intent
            settled = replace(intent, state=state, call_id=call_id, error=error)
            try:
                await self._store.commit([Put(intent.path, asdict(settled), found.version)])
            except Conflict:
                continue
            return settled
        raise StoreUnavailable("the intent is being written by too many at once")
