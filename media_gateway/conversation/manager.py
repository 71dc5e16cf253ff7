"""The conversation manager: `(state, what was heard or done) -> (state, what to say or do)`. Pure: it has no clock
(every input carries `now`), no I/O and no memory of its own, so a conversation can be replayed from its journal and
taken over by another instance. It speaks by itself, from the flow's lines; a language model may put them in its own
words.

`memory["path"]` lists every (state, intent) that the last step went through, for the journal; `directive.why` names the
rules that matched and that path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec.structs import replace

from media_gateway.conversation import changes, errands, outbound, prompt, results, second_fact
from media_gateway.conversation.flow import Flow
from media_gateway.conversation.frame import POLICY, back_from, closed, escalated, leaving
from media_gateway.conversation.lines import placeholders
from media_gateway.conversation.model import (
    ConversationState,
    Directive,
    EscalationReason,
    Guided,
    HeardDigits,
    HeardText,
    Input,
    Quiet,
    Started,
    State,
    Step,
    ToolReturned,
    VoicemailReached,
)
from media_gateway.conversation.rules import heard_digits, heard_text
from media_gateway.conversation.turn import Turn, first_name

FAILURES = 2
SAID_LIMIT = 1000
GUIDANCE = 5
"""Pieces of advice that are remembered."""
FAULTS = frozenset(
    {"unavailable", "timeout", "failed", "conflict", "broken", "too_large", "unknown_tool", "invalid_arguments"}
)
"""Reasons of a tool that mean: not now. Every other one is an answer, and is told to the caller."""


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
        if isinstance(event, Guided):
            return _guided(turn, event)
        return _finished(_taken(turn, event))


def _guided(turn: Turn, event: Guided) -> Step:
    """Kept for the prompts of the turns that come, the newest last. Nothing is said, and the question stays open."""
    kept = [*(turn.memory.get("guidance") or ()), event.text[:SAID_LIMIT]][-GUIDANCE:]
    path = [[turn.state.state.value, turn.state.intent]]
    profiles = turn.flow.profiles
    listening = profiles.get(turn.state.asked or "free", profiles["free"])
    return Step(turn.remembering(guidance=kept, path=path).state, Directive(listening=listening, why="guided"))


def _taken(turn: Turn, event: Input) -> Turn:
    match event:
        case Guided():
            return turn  # dealt with before
        case Started():
            return _started(turn, event)
        case ToolReturned():
            return _returned(turn, event)
        case HeardText() | HeardDigits():
            turn = replace(turn, state=replace(turn.state, turn_count=turn.state.turn_count + 1, idle_count=0))
            return heard_text(turn, event) if isinstance(event, HeardText) else heard_digits(turn, event)
        case Quiet():
            return _quiet(turn)
        case VoicemailReached():
            return outbound.voicemail(turn)


def _finished(turn: Turn) -> Step:
    """The turn as a step. Nothing to say, to run or to wait for: the open question is put again."""
    silent = not turn.say and not turn.tools and turn.after == "listen"
    if silent and not turn.state.pending:
        turn = turn.saying("{question}")
    path = turn.path or ((turn.state.state.value, turn.state.intent),)
    said = {"said": turn.say[:SAID_LIMIT]} if turn.say else {}
    turn = turn.remembering(path=[list(step) for step in path], **said)
    profiles = turn.flow.profiles
    directive = Directive(
        say=turn.say,
        tools=turn.tools,
        after=turn.after,
        interruptible=turn.interruptible,
        listening=profiles.get(turn.state.asked or "free", profiles["free"]),
        system=prompt.system(turn),
        allowed_tools=prompt.allowed_tools(turn),
        bound=prompt.bound(turn),
        why="; ".join([*turn.why, " > ".join(step for step, _ in path)]),
    )
    return Step(turn.state, directive)


def _started(turn: Turn, event: Started) -> Turn:
    """The greeting, by name where the flow has one for it. A second start is a call taken over by another instance."""
    if turn.state.state is not State.GREETING or turn.memory or event.returning(turn.state):
        return _resumed(turn, event)
    spec = turn.flow.spec
    turn = turn.at(State.GREETING, why="started", customer=dict(event.customer) if event.customer else None)
    turn = turn.remembering(phone=True if event.caller_phone else None)
    known = spec.greeting_known if first_name(turn.state.customer) else None
    turn = turn.saying((known or spec.greeting).replace("{question}", ""))
    for line in spec.greeting_facts if known else ():
        turn = turn.saying(line) if all(turn.values().get(name) for name in placeholders(line)) else turn
    turn = turn.saying(spec.disclosure)
    if spec.send_everything_to_people:
        return escalated(turn, EscalationReason.HUMAN_SWITCH)
    if spec.direction == "outbound":
        return outbound.opened(turn, event)
    if not turn.flow.is_open(turn.now):
        turn = turn.saying(spec.after_hours.greeting) if spec.after_hours.greeting else turn
        if spec.after_hours.calls == "people":
            return escalated(turn, EscalationReason.AFTER_HOURS)
    return turn.asking("help", spec.talk.help)


def _resumed(turn: Turn, event: Started) -> Turn:
    """Go on where the call was. Tools that were running are run again: one that has acted returns what it did."""
    if event.returning(turn.state):
        return back_from(turn, str(event.variables.get("handoff")), int(event.variables["handoff_attempt"]))
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    running, turn = turn.running(), replace(turn, state=replace(turn.state, pending=()))
    turn = turn.at(turn.state.state, why="resumed").remembering(running=None)
    for call in running:
        turn = turn.calling(call["name"], call["arguments"])
    return turn if running else turn.saying("{question}")


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
    awaited, turn = event.name in turn.state.pending, turn.without(event.name)
    if leaving(turn):
        return escalated(turn, turn.state.escalation_reason or POLICY)
    if event.name == "lookup_customer":
        customer = dict(event.data) if event.ok else turn.state.customer
        return turn.at(turn.state.state, why="customer", customer=customer)
    if not awaited and event.name not in prompt.allowed_tools(turn) and (not event.ok or not prompt.told_to(turn)):
        return turn.at(turn.state.state, why=f"{event.name} was not asked for")
    spec = turn.flow.spec
    if spec.callee and event.name == spec.callee.stop_tool:
        return outbound.stopped(turn, event)
    if event.name == spec.second_fact.tool:
        return second_fact.checked(turn, event)
    if not event.ok and event.data.get("reason") == second_fact.NEEDED:
        return second_fact.asked_for(turn, event)
    if event.data.get("next") in {"handoff", "hangup"} and event.ok:
        return _left(turn, event)
    if event.name == spec.appointments.confirm_tool and (event.ok or event.data.get("reason") in FAULTS):
        return outbound.confirmed(turn, event)
    if event.name == spec.errands.message_tool and event.data.get("reason") == "not_a_number":
        return errands.message_taken(turn, event)
    if event.name in spec.tools and not awaited:
        # The shop's own: what it has to say is said, and the conversation stays where it was.
        turn = turn.at(turn.state.state, why=f"{event.name} {'returned' if event.ok else 'refused'}")
        return turn.saying_text(results.message(event.data)).saying("{question}")
    if event.name == spec.errands.vin_tool and awaited:
        return errands.vin_decoded(turn, event)
    if event.name == spec.errands.text_tool and (event.ok or results.message(event.data)):
        return errands.text_sent(turn, event)
    if not event.ok:
        mended = _mended(turn, event)
        return mended if mended is not None else _failed(turn, event)
    return _succeeded(turn, event)


def _left(turn: Turn, event: ToolReturned) -> Turn:
    """A model has decided that a person is needed, or that all is said."""
    if event.data["next"] == "hangup":
        return closed(turn, turn.flow.spec.closing, "the model ends the call")
    known = {reason.value for reason in EscalationReason}
    reason = event.data.get("reason")
    return escalated(turn, reason if reason in known else POLICY)


def _mended(turn: Turn, event: ToolReturned) -> Turn | None:
    """A refusal that the caller can do something about, or has to be told; None when it is a failure."""
    spec = turn.flow.spec
    if event.name in {spec.booking.availability_tool, spec.booking.booking_tool, spec.appointments.move_tool}:
        mended = results.not_booked(turn, event)
        if mended is not None or event.name != spec.appointments.move_tool:
            return mended
    if event.data.get("reason") in FAULTS or not results.message(event.data):
        return None
    return changes.refused(turn, event)


def _succeeded(turn: Turn, event: ToolReturned) -> Turn:
    spec = turn.flow.spec
    done: Mapping[str, Callable[[Turn, ToolReturned], Turn]] = {
        spec.booking.availability_tool: results.slots_returned,
        spec.booking.booking_tool: results.booked,
        spec.appointments.move_tool: results.booked,
        spec.appointments.upcoming_tool: changes.listed,
        spec.appointments.cancel_tool: changes.cancelled,
        spec.errands.message_tool: errands.message_taken,
    }
    if event.name in done:
        return done[event.name](turn, event)
    return turn.at(turn.state.state, why=f"{event.name} returned")


def _failed(turn: Turn, event: ToolReturned) -> Turn:
    """Said politely and tried once more; the second failure in a row fetches a person. Asking again is safe: a tool
    that has acted already returns what it did."""
    failures = int(turn.memory.get("failures") or 0) + 1
    talk = turn.flow.spec.talk
    turn = turn.remembering(failures=failures)
    said = results.message(event.data)
    turn = turn.saying_text(said) if said else turn.saying(talk.tool_failed)
    if failures >= FAILURES:
        return escalated(turn, EscalationReason.TOOL_FAILED)
    turn = turn.at(turn.state.state, why=f"{event.name} failed").saying(talk.retry)
    return turn.calling(event.name, event.arguments)
