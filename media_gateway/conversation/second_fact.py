"""A number that calls is no proof of who calls. A tool that would change or tell a record answers
`verification_needed`; the caller is asked for their last name, the last four digits of a number on file or the
reference of their appointment, and the tool is run again once that was right."""

from __future__ import annotations

import re

from media_gateway.conversation.frame import escalated
from media_gateway.conversation.model import EscalationReason, State, ToolReturned
from media_gateway.conversation.results import message
from media_gateway.conversation.turn import Turn
from media_gateway.conversation.words import plain, with_digits

ASKED = "second_fact"
NEEDED = "verification_needed"
TRIES = 2
NAME_LIMIT = 60
LAST_FOUR, REFERENCE = 4, 6
_CONNECTING = frozenset(
    ["and", "the", "my", "last", "name", "is", "are", "digits", "number", "four", "it's", "its", "reference", "of"]
)
_LEAD = re.compile(
    r"^(?:(?:yes|yeah|okay|ok|sure|um|uh|well|sorry|no|it's|it is|its|is|my|the|name|names|last|four|digits|number|"
    r"are|surname|family|that's|that is|i'm|i am|this is) )+"
)


def asked_for(turn: Turn, event: ToolReturned) -> Turn:
    """The tool needs a second fact, and says which will do."""
    withheld = {"name": event.name, "arguments": dict(event.arguments)}
    turn = turn.remembering(withheld=withheld, unverified=None)
    return _asking(turn.at(State.SLOT_COLLECTION, why=NEEDED), event, turn.flow.spec.second_fact.ask)


def _asking(turn: Turn, event: ToolReturned, line: str) -> Turn:
    """In the tool's words, which fit what is on file; else in the flow's."""
    said = message(event.data)
    return turn.asking(ASKED, "{question}", question=said) if said else turn.asking(ASKED, line)


def given(turn: Turn, text: str) -> Turn | None:
    """A name, four digits, the six digits of a reference, or several of them; None when it is none."""
    facts = facts_of(text)
    if not facts:
        return None
    turn = turn.at(turn.state.state, why=f"second fact: {', '.join(facts)}", asked=None)
    return turn.calling(turn.flow.spec.second_fact.tool, facts)


def facts_of(text: str) -> dict[str, str]:
    """ "it's one two three four" -> {last_four: "1234"}; "my last name is Miller" -> {last_name: "miller"}."""
    spoken = with_digits(re.sub(r"\b(?:oh|o)\b", "zero", plain(text)))
    digits = re.sub(r"\D", "", spoken)
    name = _LEAD.sub("", re.sub(r"[\d:/-]+", " ", spoken) + " ")
    name = " ".join(word for word in name.split() if word not in _CONNECTING)[:NAME_LIMIT]
    facts: dict[str, str] = {}
    if len(digits) == REFERENCE:
        facts["reference"] = digits
    elif len(digits) >= LAST_FOUR:
        facts["last_four"] = digits[-LAST_FOUR:]
    if name and (facts or not digits) and name not in {"yes", "no", "yeah", "nope"}:
        facts["last_name"] = name
    return facts


def checked(turn: Turn, event: ToolReturned) -> Turn:
    """Right: what was withheld is done. Wrong: again, and then a person. What is only not enough yet is no try."""
    withheld = turn.memory.get("withheld")
    if event.ok:
        turn = turn.at(turn.state.state, why="verified").remembering(withheld=None, unverified=None, failures=None)
        return turn.calling(withheld["name"], withheld["arguments"]) if withheld else turn.saying("{question}")
    reason = event.data.get("reason")
    wrong = reason not in {"one_more_fact", "same_number", NEEDED}
    tries = int(turn.memory.get("unverified") or 0) + (1 if wrong else 0)
    if tries >= TRIES or reason == "too_many_tries":
        return escalated(turn.remembering(withheld=None), EscalationReason.POLICY)
    turn = turn.remembering(unverified=tries).at(State.SLOT_COLLECTION, why=str(reason or "not verified"))
    return _asking(turn, event, turn.flow.spec.second_fact.again)
