"""A dispatcher's call to a driver: every item is said, and acknowledged, explained or disputed. What came of each is in
the slots (`item_1`, `item_1_note`, ...), and whole in `memory["report"]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from media_gateway.conversation import booking, speech
from media_gateway.conversation.model import State
from media_gateway.conversation.turn import Turn
from media_gateway.conversation.understand import Understood

ITEM, REASON = "item", "item_reason"
MOST = 10
TEXT_LIMIT = 300
REPORT_LIMIT = 1000
EXPLAINED, DISPUTED, ACKNOWLEDGED = "explained", "disputed", "acknowledged"
MANY_WORDS = 4
"""So many words that fit nothing are an explanation; fewer are asked about."""

_ASIDES = frozenset({"escalate", "answer", "repeat", "goodbye", "done", "abandon", "voicemail"})


def items_of(variables: Mapping[str, Any]) -> list[dict[str, str]]:
    """`items` (or `violations`) of the call: `{type: violation|reminder, description}`; a text alone is a reminder."""
    found: list[dict[str, str]] = []
    values = variables.get("items") or variables.get("violations")
    for value in values if isinstance(values, list | tuple) else ():
        record = value if isinstance(value, Mapping) else {"description": value}
        text = record.get("description")
        if isinstance(text, str) and text.strip():
            kind = "violation" if record.get("type") == "violation" else "reminder"
            found.append({"type": kind, "description": " ".join(text.split())[:TEXT_LIMIT].rstrip(".")})
    return found[:MOST]


def opened(turn: Turn) -> Turn:
    """How many there are, and the first."""
    lines, items = turn.flow.spec.items, turn.memory.get("items") or []
    if lines is None or not items:
        turn = turn.at(State.INTENT_DETECTION, why="no items").saying(lines.none if lines else "{question}")
        return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
    count = speech.say_count(len(items), "item")
    turn = turn.at(State.INTENT_DETECTION, why="items", intent="driver_check").remembering(report=[])
    return _next(turn.saying(lines.intro, items=count))


def _next(turn: Turn) -> Turn:
    """The next item, or the summary."""
    lines, items = turn.flow.spec.items, turn.memory.get("items") or []
    done = len(turn.memory.get("report") or ())
    if lines is None or done >= len(items):
        return _summed_up(turn)
    item = items[done]
    line = lines.violation if item["type"] == "violation" else lines.reminder
    asking = turn.at(State.SLOT_COLLECTION, why=f"item {done + 1}")
    return asking.asking(ITEM, line)


def answered(turn: Turn, heard: Understood, text: str, actions: Mapping[str, str]) -> Turn | None:
    """What the driver says to an item. A bare no is asked about: why?"""
    lines = turn.flow.spec.items
    words = " ".join(text.split())
    if lines is None:
        return None
    if turn.state.asked == REASON:
        return _noted(turn, DISPUTED if "dispute" in actions else EXPLAINED, words) if words else None
    if "dispute" in actions:
        return _noted(turn, DISPUTED, words)
    if "explain" in actions:
        return _noted(turn, EXPLAINED, words)
    if heard.yes or "acknowledge" in actions:
        return _noted(turn, ACKNOWLEDGED, words if len(words.split()) > MANY_WORDS else "")
    if heard.yes is False and len(words.split()) < MANY_WORDS:
        return turn.at(State.SLOT_COLLECTION, why="why not").asking(REASON, lines.why)
    if len(words.split()) >= MANY_WORDS and not _ASIDES & set(actions):
        return _noted(turn, EXPLAINED, words)
    return None


def remarked(turn: Turn, heard: Understood, text: str, actions: Mapping[str, str]) -> Turn | None:
    """Something else that dispatch should know, said after the items."""
    lines, words = turn.flow.spec.items, " ".join(text.split())
    if lines is None or turn.state.asked not in {booking.ANYTHING_ELSE, "help"}:
        return None
    if heard.yes is False or _ASIDES & set(actions) or len(words.split()) < MANY_WORDS:
        return None
    turn = turn.with_slots(remark=words[:TEXT_LIMIT]).at(State.CLOSING, why="remark").saying(lines.noted)
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)


def _noted(turn: Turn, status: str, note: str) -> Turn:
    """One item is dealt with."""
    lines, report = turn.flow.spec.items, list(turn.memory.get("report") or ())
    items = turn.memory.get("items") or []
    if lines is None or len(report) >= len(items):
        return _summed_up(turn)
    entry = {**items[len(report)], "status": status} | ({"note": note[:TEXT_LIMIT]} if note else {})
    report.append(entry)
    number = len(report)
    slots = {f"item_{number}": status} | ({f"item_{number}_note": entry["note"]} if note else {})
    turn = turn.with_slots(**slots).remembering(report=report).at(State.SLOT_COLLECTION, why=status)
    return _next(turn.saying(lines.noted) if number < len(items) else turn)


def _summed_up(turn: Turn) -> Turn:
    """All of it, said once more: this is what is reported back."""
    lines, report = turn.flow.spec.items, list(turn.memory.get("report") or ())
    said = ". ".join(f"{entry['description']}: {entry['status']}" for entry in report)
    turn = turn.with_slots(outcome="reported", report=said[:REPORT_LIMIT] or None).at(State.EXECUTION, why="reported")
    turn = turn.at(State.CLOSING)
    turn = turn.saying(lines.summary, summary=said) if lines else turn
    return turn.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
