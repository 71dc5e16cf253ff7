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

from media_gateway.conversation import booking, prompt
from media_gateway.conversation.dates import Expect
from media_gateway.conversation.flow import Flow
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
from media_gateway.conversation.turn import Turn, first_name
from media_gateway.conversation.understand import Understood

MISSES = 3
FAILURES = 2
SAID_LIMIT = 1000
TOOL_FAILED = "tool_failed"
MISUNDERSTOOD = "repeated_misunderstanding"


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
            return _heard(turn, event) if isinstance(event, HeardText) else _digits(turn, event)
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


# --- the frame of the call -------------------------------------------------------------------------------------------


def _started(turn: Turn, event: Started) -> Turn:
    """The greeting, by name where the flow has one for it. A second start (a call taken over) only puts the question
    again."""
    if turn.state.state is not State.GREETING or turn.memory:
        return turn.at(turn.state.state, why="resumed").saying("{question}")
    spec = turn.flow.spec
    turn = turn.at(State.GREETING, why="started", customer=dict(event.customer) if event.customer else None)
    known = spec.greeting_known if first_name(turn.state.customer) else None
    greeting = (known or spec.greeting).replace("{question}", "")
    return turn.saying(greeting).saying(spec.disclosure).asking("help", spec.talk.help)


def _escalated(turn: Turn, reason: str) -> Turn:
    """To a person, from any state. The first reason stays. What is said must be heard: it cannot be interrupted."""
    if turn.state.escalation_reason:
        turn = turn.at(State.ESCALATION, why="escalated before").saying(turn.flow.spec.escalation.waiting)
    else:
        changes = {"escalation_reason": reason, "intent": reason if reason == "manager_request" else turn.state.intent}
        turn = turn.at(State.ESCALATION, why=f"escalation: {reason}", asked=None, pending=(), **changes)
        turn = turn.saying(turn.flow.spec.escalation.say)
    return replace(turn, after="handoff", interruptible=False)


def _closed(turn: Turn, line: str, why: str) -> Turn:
    turn = turn.at(State.CLOSING, why=why, asked=None, pending=(), ended=True).saying(line)
    return replace(turn, after="hangup", interruptible=False)


def _missed(turn: Turn, why: str) -> Turn:
    """Not understood: ask again politely, never guess; the third time in a row a person is fetched."""
    misses = turn.state.misses + 1
    turn = replace(turn, state=replace(turn.state, misses=misses), why=(*turn.why, why))
    if misses >= MISSES:
        return _escalated(turn, MISUNDERSTOOD)
    lines = turn.flow.spec.talk.misunderstood
    state = State.INTENT_DETECTION if turn.state.state is State.GREETING else turn.state.state
    return turn.at(state).saying(lines[min(misses, len(lines)) - 1], question=_question(turn, again=True))


def _question(turn: Turn, *, again: bool = False) -> str:
    """The open question; `again` in the flow's words for a second try."""
    slot = turn.flow.spec.slots.get(turn.state.asked) if turn.state.asked else None  # type: ignore[call-overload]
    line = "{question}"
    if again and slot is not None and not turn.memory.get("offered"):
        line = slot.again
    elif again and turn.state.asked == booking.CONFIRM:
        line = turn.flow.spec.booking.confirm_again
    return _filled(turn, line)


def _filled(turn: Turn, line: str) -> str:
    return replace(turn, say="").saying(line).say


def _quiet(turn: Turn) -> Turn:
    """Nobody speaks: re-prompt, again, then goodbye. While a tool runs the caller is told so."""
    if turn.state.escalation_reason:
        return _escalated(turn, turn.state.escalation_reason)
    count, talk = turn.state.idle_count + 1, turn.flow.spec.talk
    turn = turn.at(turn.state.state, why=f"quiet {count}", idle_count=count)
    if count > len(talk.quiet):
        return _closed(turn, talk.quiet_goodbye, "nobody there")
    if turn.state.pending:
        return turn.saying(turn.flow.spec.booking.working)
    return turn.saying(talk.quiet[count - 1])


def _digits(turn: Turn, event: HeardDigits) -> Turn:
    """1 and 2 are yes and no where that was the question."""
    answer = {"1": True, "2": False}.get(event.digits.strip("#*"))
    if turn.state.escalation_reason:
        return _escalated(turn, turn.state.escalation_reason)
    if answer is not None and turn.state.asked in {booking.CONFIRM, booking.ANYTHING_ELSE} and not turn.state.pending:
        turn = replace(turn, why=(*turn.why, f"key {event.digits}"))
        answered = _answered(turn, Understood(said="", yes=answer))
        if answered is not None:
            return _understood(answered)
    return turn.at(turn.state.state, why="keys").saying(turn.flow.spec.talk.keys)


# --- what was heard --------------------------------------------------------------------------------------------------


def _heard(turn: Turn, event: HeardText) -> Turn:
    if not event.understood or not event.text.strip():
        return _missed(turn, "not understood") if not turn.state.escalation_reason else _escalated(turn, MISUNDERSTOOD)
    asked = turn.state.asked
    expect: Expect = (
        "date" if asked == "preferred_date" else "time" if asked in {"preferred_time", booking.CONFIRM} else None
    )
    heard = turn.flow.ear.hear(event.text, turn.now, expect)
    names = {turn.flow.spec.intents[name].action: name for name in reversed(heard.intents)}
    if turn.state.escalation_reason:
        return _escalated(turn, turn.state.escalation_reason)
    if name := names.get("escalate"):
        return _understood(_escalated(turn, turn.flow.spec.intents[name].reason or name))
    if turn.flow.spec.booking.booking_tool in turn.state.pending:
        return turn.at(turn.state.state, why="booking is under way").saying(turn.flow.spec.booking.working)
    if "repeat" in names:
        said = str(turn.memory.get("said") or _question(turn))
        return _understood(turn.at(turn.state.state, why=names["repeat"]).saying_text(said))
    for rule in (_answered, _told, _booked, _aside):
        done = rule(turn, heard)
        if done is not None:
            return _understood(done)
    return _missed(turn, "nothing matched")


def _understood(turn: Turn) -> Turn:
    return replace(turn, state=replace(turn.state, misses=0))


def _action(turn: Turn, heard: Understood, action: str) -> str | None:
    intents = turn.flow.spec.intents
    return next((name for name in heard.intents if intents[name].action == action), None)


def _answered(turn: Turn, heard: Understood) -> Turn | None:
    """The answer to a yes/no question, or to a question about the booking."""
    if booking.expects(turn) and not _action(turn, heard, "answer"):
        changed_turn, changed = booking.merged(turn, heard)
        if changed:
            why = f"{'correction' if turn.state.asked in {booking.CONFIRM, booking.CHANGE} else 'slots'}: "
            return booking.advance(changed_turn, why + ", ".join(changed))
    if _action(turn, heard, "abandon") or _action(turn, heard, "goodbye"):
        return None
    match turn.state.asked:
        case booking.CONFIRM:
            return booking.answered_confirmation(turn, heard)
        case booking.CHANGE:
            return booking.answered_change(turn, heard)
        case "preferred_time" if heard.yes and len(turn.memory.get("offered") or ()) == 1:
            return booking.advance(turn.with_slots(preferred_time=turn.memory["offered"][0]), "the only time")
        case booking.ANYTHING_ELSE if not heard.intents and not heard.service:
            return _anything_else(turn, heard)
    return None


def _anything_else(turn: Turn, heard: Understood) -> Turn | None:
    if heard.yes is False:
        return _closed(turn, turn.flow.spec.closing, "nothing else")
    if heard.yes is True:
        return turn.at(State.INTENT_DETECTION, why="something else").asking("help", turn.flow.spec.talk.help)
    return None


def _told(turn: Turn, heard: Understood) -> Turn | None:
    """A question answered straight; then back to where the conversation was."""
    name = _action(turn, heard, "answer")
    if name is None:
        return None
    answer = turn.flow.spec.intents[name].answer or ""
    intent = turn.state.intent if booking.expects(turn) else name
    path = (*turn.path, (State.EXECUTION.value, name))
    asked_about = turn.with_slots(service_type=heard.service) if heard.service else turn
    told = replace(turn, path=path).at(State.EXECUTION, why=name, intent=name).saying_text(_filled(asked_about, answer))
    if not booking.expects(turn):
        return told.asking(booking.ANYTHING_ELSE, turn.flow.spec.talk.anything_else)
    return replace(told.saying_text(_question(turn)), state=replace(told.state, intent=intent))


def _booked(turn: Turn, heard: Understood) -> Turn | None:
    """A new booking is wanted, or an old wish is taken up again."""
    name = _action(turn, heard, "book") or (next(iter(_book_intents(turn)), None) if heard.service else None)
    if name is None or _action(turn, heard, "abandon"):
        if turn.memory.get("appointment") and heard.when and turn.state.asked == booking.ANYTHING_ELSE:
            return _escalated(turn, "policy")  # moving what is booked is not in this flow
        return None
    if not booking.expects(turn):
        turn = turn.with_slots(service_type=None, preferred_date=None, preferred_time=None)
        turn = turn.remembering(free=None, offered=None, part=None, appointment=None)
    turn, _ = booking.merged(turn, heard)
    turn = turn.at(State.INTENT_DETECTION, why=name, intent=name)
    return booking.advance(turn, booking.described(heard.when))


def _book_intents(turn: Turn) -> list[str]:
    return [name for name, intent in turn.flow.spec.intents.items() if intent.action == "book"]


def _aside(turn: Turn, heard: Understood) -> Turn | None:
    """Giving up, goodbye, hello."""
    talk = turn.flow.spec.talk
    if (name := _action(turn, heard, "abandon")) and booking.expects(turn):
        turn = turn.with_slots(service_type=None, preferred_date=None, preferred_time=None)
        turn = turn.remembering(free=None, offered=None, part=None).at(State.CLOSING, why=name, pending=())
        return turn.saying(turn.flow.spec.booking.abandoned).asking(booking.ANYTHING_ELSE, talk.anything_else)
    if name := (_action(turn, heard, "goodbye") or _action(turn, heard, "abandon")):
        return _closed(turn, turn.flow.spec.closing, name)
    if name := _action(turn, heard, "hello"):
        state = State.INTENT_DETECTION if turn.state.state is State.GREETING else turn.state.state
        return turn.at(state, why=name).saying("{question}")
    return None


# --- what was done ---------------------------------------------------------------------------------------------------


def _returned(turn: Turn, event: ToolReturned) -> Turn:
    spec = turn.flow.spec.booking
    pending = tuple(name for name in turn.state.pending if name != event.name)
    turn = replace(turn, state=replace(turn.state, pending=pending))
    if turn.state.escalation_reason:
        return _escalated(turn, turn.state.escalation_reason)
    if event.name == "lookup_customer":
        customer = dict(event.data) if event.ok else turn.state.customer
        return turn.at(turn.state.state, why="customer", customer=customer)
    if event.name not in {spec.availability_tool, spec.booking_tool}:
        return turn.at(turn.state.state, why=f"{event.name} returned")
    if event.ok:
        return (
            booking.slots_returned(turn, event) if event.name == spec.availability_tool else booking.booked(turn, event)
        )
    mended = booking.not_booked(turn, event)
    return mended if mended is not None else _failed(turn, event)


def _failed(turn: Turn, event: ToolReturned) -> Turn:
    """Said politely and tried once more; the second failure in a row fetches a person. Asking again is safe: a tool
    that has acted already returns what it did."""
    failures = int(turn.memory.get("failures") or 0) + 1
    talk = turn.flow.spec.talk
    turn = turn.remembering(failures=failures)
    said = booking.message(event.data)
    turn = turn.saying_text(said) if said else turn.saying(talk.tool_failed)
    if failures >= FAILURES:
        return _escalated(turn, TOOL_FAILED)
    turn = turn.at(turn.state.state, why=f"{event.name} failed").saying(talk.retry)
    return turn.calling(event.name, event.arguments)
