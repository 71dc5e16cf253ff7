"""Who is calling, and whether that is proven.

The number that calls is a hint: anybody can send any number. Whoever wants to hear or change what is on file says a
second fact (`verify_caller`), which is kept for the length of the call in `calls/{call_id}/facts/verified`: {ok, tries,
said, by, customer_id, phone_key, scope, first_name, at, expire_at}. It is committed with the journal's line.
On a call that we placed no fact is needed: the number was dialled, not sent.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from media_gateway.tools.port import ToolContext, ToolResult
from realtime.records.appointment import Appointment, held_by
from realtime.records.appointments import Holder
from realtime.records.customers import Customer, e164, find, find_by_phone, phone_key


@dataclass(frozen=True, slots=True)
class Identity:
    """`number` is the caller's (or of whom we called), E.164 where it can be read. `proven` allows what is on file to
    be told and changed; with a `scope`, only these appointments of it."""

    number: str | None
    customer: Customer | None
    proven: bool
    keys: tuple[str, ...] = ()
    scope: frozenset[str] | None = None

    def holder(self, call_id: str) -> Holder:
        """For whom things are booked."""
        customer_id = self.customer.customer_id if self.customer else None
        return Holder(call_id, phone_key(self.number), customer_id, self.number)


async def identify(context: ToolContext) -> Identity:
    """Raises StoreUnavailable."""
    facts, head = await context.store.get(facts_path(context), f"calls/{context.call_id}")
    dialled = head.data.get("to_number") if head and head.data.get("direction") == "outbound" else None
    number = _readable(dialled or context.caller_phone)
    if facts is not None and facts.data["ok"]:
        customer_id, key = facts.data["customer_id"], facts.data["phone_key"]
        customer = await find(context.store, context.org, customer_id) if customer_id else None
        scope = facts.data["scope"]
        return Identity(number, customer, True, _keys(customer, key), None if scope is None else frozenset(scope))
    customer = await find_by_phone(context.store, context.org, number)
    return Identity(number, customer, bool(dialled and number), _keys(customer, phone_key(number)))


async def appointments_of(context: ToolContext, who: Identity) -> list[Appointment]:
    """What this caller may hear of: all of theirs once that is proven, else only what was booked in this call."""
    if not who.proven:
        return await held_by(context.store, context.org, call_id=context.call_id)
    customer_id = who.customer.customer_id if who.customer else None
    theirs = await held_by(
        context.store, context.org, phone_keys=who.keys, customer_id=customer_id, call_id=context.call_id
    )
    if who.scope is None:
        return theirs
    return [one for one in theirs if one.appointment_id in who.scope or one.call_id == context.call_id]


def verification_needed(who: Identity) -> ToolResult:
    """What to ask the caller for."""
    ask, facts = "your last name, or the reference of your appointment", ["last_name", "reference"]
    if who.customer is None:
        ask, facts = "the reference of your appointment, and your last name", ["reference", "last_name"]
    message = f"Before I can do that I need to know that it is you. Please tell me {ask}."
    return ToolResult(ok=False, data={"reason": "verification_needed", "message": message, "facts": facts})


def same_last_name(name: str, said: str) -> bool:
    """`said` as a recogniser writes it: in any case, spelled out, with the first name before it, without accents."""
    _, *last = _words(name) or [""]
    heard = "".join(_words(said))
    if not last or len(heard) < 2:
        return False
    return heard in {"".join(last), last[-1], "".join(_words(name))}


def digits(text: str) -> str:
    """Only the digits."""
    return re.sub(r"\D", "", text)


def facts_path(context: ToolContext) -> str:
    """Where the verified fact of this call is kept."""
    return f"calls/{context.call_id}/facts/verified"


def _readable(phone: str | None) -> str | None:
    return e164(phone) if phone and phone_key(phone) else None


def _keys(customer: Customer | None, key: str | None) -> tuple[str, ...]:
    keys = [phone_key(phone) for phone in customer.phones] if customer else []
    return tuple(dict.fromkeys(one for one in (*keys, key) if one))


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.findall(r"[a-z]+", re.sub(r"['’-]", "", plain))
