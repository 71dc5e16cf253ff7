"""Did the call do what its scenario expects? Pure: it reads the journal, the record and the phone's report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from infra.simulators.expect import Appointment, Expect, line_failures
from infra.simulators.report import CallReport

Journal = Sequence[Mapping[str, Any]]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def failures(expect: Expect, report: CallReport, call: Mapping[str, Any], journal: Journal, today: date) -> list[str]:
    """What was not as expected, in words; empty when the call was right."""
    found = line_failures(expect, report)
    if call.get("status") != expect.status:
        found.append(f"the call's status is {call.get('status')!r}, expected {expect.status!r}")
    found += _in_order("the assistant said", expect.said, texts(journal, "ai_response_complete"))
    found += _in_order("the recogniser heard", expect.heard, texts(journal, "final_transcript"))
    ran = [event["data"]["tool"] for event in of(journal, "tool_call")]
    found += _in_order("tools", expect.tools, ran)
    found += [f"{tool} ran and should not have" for tool in expect.no_tools if tool in ran]
    found += _appointment(expect, journal, today)
    found += _flags(expect, call, journal)
    if [event["seq"] for event in journal] != list(range(1, len(journal) + 1)):
        found.append("the journal has a hole or a repetition")
    if [e["type"] for e in journal[-2:]] != ["call_status", "call_completed"]:
        found.append("the journal does not end in call_status, call_completed")
    return found


def of(journal: Journal, type_: str) -> list[Mapping[str, Any]]:
    """The events of one type."""
    return [event for event in journal if event["type"] == type_]


def texts(journal: Journal, type_: str) -> list[str]:
    """What was said or heard, in order."""
    return [event["data"]["text"] for event in of(journal, type_)]


def booked(journal: Journal) -> list[Mapping[str, Any]]:
    """The appointments that were made."""
    calls = [event["data"] for event in of(journal, "tool_call")]
    return [data["result"] for data in calls if data["tool"] == "book_appointment" and data["ok"]]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def _in_order(what: str, wanted: Sequence[str], got: Sequence[str]) -> list[str]:
    at = 0
    for text in wanted:
        needle = _plain(text.replace("_", " "))
        place = next((n for n in range(at, len(got)) if needle in _plain(got[n].replace("_", " "))), None)
        if place is None:
            return [f"{what}: no {text!r} (in this order) in {list(got)!r}"]
        at = place
    return []


def _appointment(expect: Expect, journal: Journal, today: date) -> list[str]:
    made = booked(journal)
    if expect.no_appointment and made:
        return ["an appointment was made and should not have been"]
    wanted = expect.appointment
    if wanted is None or any(_fits(wanted, appointment, today) for appointment in made):
        return []
    return [f"no such appointment: wanted {wanted}, made {[dict(appointment) for appointment in made]}"]


def _fits(wanted: Appointment, made: Mapping[str, Any], today: date) -> bool:
    return (
        wanted.service_type in (None, made.get("service_type"))
        and wanted.preferred_time in (None, made.get("time"))
        and (wanted.preferred_date is None or _day(wanted.preferred_date, today) == made.get("date"))
    )


def _day(word: str, today: date) -> str:
    if word in ("today", "tomorrow"):
        return (today + timedelta(days=word == "tomorrow")).isoformat()
    if word in WEEKDAYS:
        ahead = (WEEKDAYS.index(word) - today.weekday() - 1) % 7 + 1
        return (today + timedelta(days=ahead)).isoformat()
    return word


def _flags(expect: Expect, call: Mapping[str, Any], journal: Journal) -> list[str]:
    state = call.get("conversation_state") or {}
    cut = any(event["data"].get("confirmed") for event in of(journal, "interruption"))
    # Being hung up on cuts the assistant off too; an interruption is one that the caller spoke.
    spoken = any(event["data"].get("words") for event in of(journal, "interruption") if event["data"].get("confirmed"))
    escalated = bool(of(journal, "escalation"))
    digits = "".join(event["data"]["digit"] for event in of(journal, "dtmf"))
    slots = (call.get("conversation_summary") or {}).get("collected_slots") or {}
    reasons = [event["data"].get("reason") for event in of(journal, "escalation")]
    checks = (
        ("escalation", expect.escalation, escalated),
        ("interrupted", expect.interrupted, cut and spoken),
        ("intent", expect.intent, state.get("intent")),
        ("digits", expect.digits, digits),
        ("flow", expect.flow, state.get("flow")),
        ("reason", expect.reason, reasons[0] if reasons else None),
        ("answered_by", expect.answered_by, call.get("answered_by")),
        *((f"slot {name}", value, slots.get(name)) for name, value in expect.slots.items()),
    )
    return [f"{what}: {got!r}, expected {want!r}" for what, want, got in checks if want is not None and want != got]
