"""A number that calls is no proof of who calls. A tool that would change or tell a record answers
`verification_needed`; the caller is asked for the last four digits on file or their last name, and the tool is run
again once that was right."""

from __future__ import annotations

import re

from media_gateway.conversation.frame import escalated
from media_gateway.conversation.model import EscalationReason, State, ToolReturned
from media_gateway.conversation.turn import Turn
from media_gateway.conversation.words import plain, with_digits

ASKED = "second_fact"
NEEDED = "verification_needed"
TRIES = 2
FACT_LIMIT = 60
_LEAD = re.compile(
    r"^(?:(?:yes|yeah|okay|ok|sure|um|uh|well|sorry|no|it's|it is|its|is|my|the|name|names|last|four|digits|number|"
    r"are|surname|family|that's|that is|i'm|i am|this is) )+"
)


def asked_for(turn: Turn, event: ToolReturned) -> Turn:
    """The tool needs a second fact."""
    withheld = {"name": event.name, "arguments": dict(event.arguments)}
    turn = turn.remembering(withheld=withheld, unverified=None)
    return turn.at(State.SLOT_COLLECTION, why=NEEDED).asking(ASKED, turn.flow.spec.second_fact.ask)


def given(turn: Turn, text: str) -> Turn | None:
    """Four digits, or a name; None when it is neither."""
    fact = fact_of(text)
    if not fact:
        return None
    turn = turn.at(turn.state.state, why="second fact", asked=None)
    return turn.calling(turn.flow.spec.second_fact.tool, {"fact": fact})


def fact_of(text: str) -> str:
    """ "it's one two three four" -> "1234"; "my last name is Miller" -> "miller"."""
    digits = re.sub(r"\D", "", with_digits(re.sub(r"\b(?:oh|o)\b", "zero", text.lower())))
    if len(digits) >= 4:
        return digits[-4:]
    return _LEAD.sub("", plain(text) + " ").strip()[:FACT_LIMIT] if not digits else ""


def checked(turn: Turn, event: ToolReturned) -> Turn:
    """Right: what was withheld is done. Wrong: once more, then a person."""
    withheld = turn.memory.get("withheld")
    if event.ok:
        turn = turn.at(turn.state.state, why="verified").remembering(withheld=None, unverified=None)
        return turn.calling(withheld["name"], withheld["arguments"]) if withheld else turn
    tries = int(turn.memory.get("unverified") or 0) + 1
    if tries >= TRIES:
        return escalated(turn.remembering(withheld=None), EscalationReason.POLICY)
    turn = turn.remembering(unverified=tries).at(State.SLOT_COLLECTION, why="not verified")
    return turn.asking(ASKED, turn.flow.spec.second_fact.again)
