"""The conversation manager: `(state, what was heard or done) -> (state, what to say or do)`. Pure: it has no clock
(every input carries `now`), no I/O and no memory of its own, so a conversation can be replayed from its journal and
taken over by another instance. It speaks by itself, from the flow's lines; a language model may put them in its own
words.

`memory["path"]` lists every (state, intent) that the last step went through, for the journal; `directive.why` names the
rules that matched and that path.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from media_gateway.conversation import booking, prompt, results
from media_gateway.conversation.flow import Flow
from media_gateway.conversation.frame import POLICY, back_from, closed, escalated, leaving
from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    HeardDigits,
    HeardText,
    Input,
    Quiet,
    Started,
    State,
    Step,
    ToolReturned,
)
from media_gateway.conversation.rules import heard_digits, heard_text
from media_gateway.conversation.schema import SLOT_NAMES
from media_gateway.conversation.turn import Turn, first_name
from media_gateway.conversation.understand import Understood

FAILURES = 2
SAID_LIMIT = 1000
TOOL_FAILED = "tool_failed"


class Manager:
    """One for each flow; holds no call."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def start(self) -> ConversationState:
        """The state of a call that has not begun; `step` it with `Started`."""
        return ConversationState(flow=self.flow.name)

    def step(self, state: ConversationState, event: Input) -> Step:
        """One input. Never raises for what a caller or a tool may say; `now` must be ISO 8601."""
        now = datetime.fromisoformat(event.now).astimezone(self.flow.zone)
        turn = Turn(state=state, flow=self.flow, now=now)
        if state.ended:
            return Step(state, Directive(after="hangup", interruptible=False, why="ended"))
        return _finished(_taken(turn, event))


def _taken(turn: Turn, event: Input) -> Turn:
    match event:
        case Started():
            return _started(turn, event)
        case ToolReturned():
            return _returned(turn, event)
        case HeardText() | HeardDigits():
            turn = replace(turn, state=replace(turn.state, turn_count=turn.state.turn_count + 1, idle_count=0))
            return heard_text(turn, event) if isinstance(event, HeardText) else heard_digits(turn, event)
        case Quiet():
            return _quiet(turn)


def _finished(turn: Turn) -> Step:
    """The turn as a step. Nothing to say, to run or to wait for: the open question is put again."""
    silent = not turn.say and not turn.tools and turn.after == "listen"
    if silent and not turn.state.pending:
        turn = turn.saying("{question}")
    path = turn.path or ((turn.state.state.value, turn.state.intent),)
    turn = turn.remembering(path=[list(step) for step in path])
    if turn.say:
        turn = turn.remembering(said=turn.say[:SAID_LIMIT])
    profiles = turn.flow.profiles
    directive = Directive(
        say=turn.say,
        tools=turn.tools,
        after=turn.after,
        interruptible=turn.interruptible,
        listening=profiles.get(turn.state.asked or "free", profiles["free"]),
        system=prompt.system(turn),
        allowed_tools=prompt.allowed_tools(turn),
        why="; ".join([*turn.why, " > ".join(step for step, _ in path)]),
    )
    return Step(turn.state, directive)


def _started(turn: Turn, event: Started) -> Turn:
    """The greeting, by name where the flow has one for it. A second start is a call taken over by another instance."""
    if turn.state.state is not State.GREETING or turn.memory or event.returning(turn.state):
        return _resumed(turn, event)
    spec = turn.flow.spec
    turn = turn.at(State.GREETING, why="started", customer=dict(event.customer) if event.customer else None)
    known = spec.greeting_known if first_name(turn.state.customer) else None
    greeting = (known or spec.greeting).replace("{question}", "")
    return turn.saying(greeting).saying(spec.disclosure).asking("help", spec.talk.help)


def _resumed(turn: Turn, event: Started) -> Turn:
    """Go on where the call was. Tools that were running are run again: one that has acted returns what it did."""
    if event.returning(turn.state):
        return back_from(turn, str(event.variables.get("handoff")), int(event.variables["handoff_attempt"]))
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    waiting, turn = turn.state.pending, replace(turn, state=replace(turn.state, pending=()))
    turn = turn.at(turn.state.state, why="resumed")
    if turn.flow.spec.booking.booking_tool in waiting and all(name in turn.slots for name in SLOT_NAMES):
        return booking.answered_confirmation(turn, Understood(said="", yes=True)) or turn
    if turn.flow.spec.booking.availability_tool in waiting and "preferred_date" in turn.slots:
        return booking.advance(turn)
    return turn.saying("{question}")


def _quiet(turn: Turn) -> Turn:
    """Nobody speaks: re-prompt, again, then goodbye. While a tool runs the caller is told so."""
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    count, talk = turn.state.idle_count + 1, turn.flow.spec.talk
    turn = turn.at(turn.state.state, why=f"quiet {count}", idle_count=count)
    if count > len(talk.quiet):
        return closed(turn, talk.quiet_goodbye, "nobody there")
    if turn.state.pending:
        return turn.saying(turn.flow.spec.booking.working)
    return turn.saying(talk.quiet[count - 1])


# --- what was done ---------------------------------------------------------------------------------------------------


def _returned(turn: Turn, event: ToolReturned) -> Turn:
    spec = turn.flow.spec.booking
    pending = list(turn.state.pending)
    if event.name in pending:
        pending.remove(event.name)
    turn = replace(turn, state=replace(turn.state, pending=tuple(pending)))
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    if event.name == "lookup_customer":
        customer = dict(event.data) if event.ok else turn.state.customer
        return turn.at(turn.state.state, why="customer", customer=customer)
    if event.name not in {spec.availability_tool, spec.booking_tool}:
        return turn.at(turn.state.state, why=f"{event.name} returned")
    if event.ok:
        return (
            results.slots_returned(turn, event) if event.name == spec.availability_tool else results.booked(turn, event)
        )
    mended = results.not_booked(turn, event)
    return mended if mended is not None else _failed(turn, event)


def _failed(turn: Turn, event: ToolReturned) -> Turn:
    """Said politely and tried once more; the second failure in a row fetches a person. Asking again is safe: a tool
    that has acted already returns what it did."""
    failures = int(turn.memory.get("failures") or 0) + 1
    talk = turn.flow.spec.talk
    turn = turn.remembering(failures=failures)
    said = results.message(event.data)
    turn = turn.saying_text(said) if said else turn.saying(talk.tool_failed)
    if failures >= FAILURES:
        return escalated(turn, TOOL_FAILED)
    turn = turn.at(turn.state.state, why=f"{event.name} failed").saying(talk.retry)
    return turn.calling(event.name, event.arguments)
