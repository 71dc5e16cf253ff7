"""The second fact that shows who is calling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from media_gateway.tools.identity import Identity, digits, facts_path, identify, same_last_name, verification_needed
from media_gateway.tools.port import ToolContext, ToolResult
from media_gateway.tools.router import tool
from realtime.clock import iso
from realtime.records.appointment import by_reference, held_by
from realtime.records.customers import Customer, find, phone_key
from realtime.stores.port import Create, Doc, Put, Write

MAX_TRIES = 3
KEPT = timedelta(days=1)
"""Far longer than a call; nobody asks afterwards."""
FACTS = ("last_name", "last_four", "reference")
Facts = Mapping[str, Any]
NOTHING: Facts = {"ok": False, "tries": 0, "said": {}}


@dataclass(frozen=True, slots=True)
class _Proof:
    """Whoever says a reference alone was told of that appointment, and may be told of nothing else: anybody can book
    under a forged number and hear a reference. `scope` None is everything on file."""

    customer: Customer | None
    phone_key: str | None
    scope: list[str] | None = None


@tool
async def verify_caller(
    context: ToolContext,
    last_name: Annotated[str | None, Field(description="the last name that the caller said", max_length=80)] = None,
    last_four: Annotated[
        str | None, Field(description="the last four digits of the number on file, as the caller said them")
    ] = None,
    reference: Annotated[
        str | None, Field(description="the six digits of an appointment's reference, as the caller said them")
    ] = None,
) -> ToolResult:
    """Check a second fact that shows who is calling, before anything on file is told or changed. Pass only what the
    caller said themselves in this call, never what you know. A caller whose number is on file needs one fact; anybody
    else needs two."""
    (kept,) = await context.store.get(facts_path(context))
    before = NOTHING if kept is None else kept.data
    if before["ok"]:
        return _verified(before, ())
    if before["tries"] >= MAX_TRIES:
        message = "I am sorry, I cannot check that again in this call. I can let one of our people call you back."
        return _say("too_many_tries", message)
    given = dict(zip(FACTS, (last_name, last_four, reference), strict=True))
    said = {**before["said"], **{name: value.strip() for name, value in given.items() if value and value.strip()}}
    who = await identify(context)
    if "last_four" in said and who.customer and digits(said["last_four"])[-4:] == digits(who.number or "")[-4:]:
        # Whoever forged the number knows its digits.
        del said["last_four"]
        if not said:
            return _say(
                "same_number", "That is the number you are calling from. Please tell me your last name instead."
            )
    if not said:
        return verification_needed(who)
    if who.customer is None and len(said) == 1 and not await _booked_from_here(context, who, said):
        return _more(context, kept, {**before, "said": said})
    return await _checked(context, who, kept, before, said)


async def _checked(
    context: ToolContext, who: Identity, kept: Doc | None, before: Facts, said: Mapping[str, str]
) -> ToolResult:
    found = await _proof(context, who, said)
    if found is None:
        tried = {**before, "tries": before["tries"] + 1, "said": {}}
        message = "I am sorry, that does not match what I have on file. Would you say it once more?"
        return _say("not_verified", message, _keep(context, kept, tried))
    words = found.customer.name.split() if found.customer else []
    facts = {
        "ok": True,
        "tries": before["tries"],
        "said": {},
        "by": "+".join(said),
        "customer_id": found.customer.customer_id if found.customer else None,
        "phone_key": found.phone_key,
        "scope": found.scope,
        "first_name": words[0] if words else "",
        "at": iso(context.now),
    }
    return _verified(facts, _keep(context, kept, facts))


async def _proof(context: ToolContext, who: Identity, said: Mapping[str, str]) -> _Proof | None:
    """Whose record it is. Everything said must be true."""
    others = {name: value for name, value in said.items() if name != "reference"}
    wanted = digits(said.get("reference", ""))
    if who.customer is not None:
        if not _all_true(who.customer, others):
            return None
        if "reference" not in said:
            return _Proof(who.customer, phone_key(who.number))
        theirs = await held_by(context.store, context.org, phone_keys=who.keys, customer_id=who.customer.customer_id)
        named = [one.appointment_id for one in theirs if one.reference == wanted]
        return _Proof(who.customer, phone_key(who.number), None if others else named) if named else None
    for one in await by_reference(context.store, context.org, wanted):
        if one.phone_key is not None and one.phone_key == phone_key(who.number) and not others:
            return _Proof(None, one.phone_key, [one.appointment_id])
        customer = await find(context.store, context.org, one.customer_id) if one.customer_id else None
        if customer and others and _all_true(customer, others):
            return _Proof(customer, phone_key(customer.phone))
    return None


def _all_true(customer: Customer, said: Mapping[str, str]) -> bool:
    checks: Mapping[str, Callable[[str], bool]] = {
        "last_name": lambda value: same_last_name(customer.name, value),
        "last_four": lambda value: digits(value)[-4:] in {digits(phone)[-4:] for phone in customer.phones},
    }
    return all(checks[name](value) for name, value in said.items())


async def _booked_from_here(context: ToolContext, who: Identity, said: Mapping[str, str]) -> bool:
    """A number without a customer that appointments were booked from: the reference alone is the second fact."""
    if "reference" not in said or not who.keys:
        return False
    return bool(await held_by(context.store, context.org, phone_keys=who.keys))


def _keep(context: ToolContext, kept: Doc | None, facts: Facts) -> tuple[Write, ...]:
    """With its version: two guesses at once are two tries."""
    path, data = facts_path(context), {**facts, "expire_at": iso(context.now + KEPT)}
    return (Create(path, data) if kept is None else Put(path, data, kept.version),)


def _verified(facts: Facts, writes: tuple[Write, ...]) -> ToolResult:
    data = {"verified": True, "by": facts["by"], "first_name": facts["first_name"]}
    return ToolResult(ok=True, data=data, writes=writes)


def _more(context: ToolContext, kept: Doc | None, facts: Facts) -> ToolResult:
    missing = "last name" if "reference" in facts["said"] else "reference of your appointment, which has six digits"
    return _say("one_more_fact", f"Thank you. And your {missing}, please?", _keep(context, kept, facts))


def _say(reason: str, message: str, writes: tuple[Write, ...] = ()) -> ToolResult:
    return ToolResult(ok=False, data={"reason": reason, "message": message}, writes=writes)
