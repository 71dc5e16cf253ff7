"""The connection's machine and outbox under hypothesis: random commands, times, calls, events and slow readers."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from media_gateway.auth import Principal
from media_gateway.dashboard.v1 import frames, machine, model
from media_gateway.dashboard.v1.encoder import Encoder
from media_gateway.dashboard.v1.model import Limits, Phase, State
from media_gateway.dashboard.v1.outbox import Outbox
from realtime.call import Call, Status
from realtime.events import Event, EventType, LiveEvent, LiveType
from realtime.subscription import Ended

TS = "2026-11-20T10:00:00.000Z"
ANN = Principal("ann", "default", "viewer")
NAMES = ["CA1", "CA2", "conv_1", "*", "a/b"]
CALLS = {
    "CA1": Call(call_id="CA1", conversation_id="conv_1", epoch="e1", seq=7),
    "CA2": Call(call_id="CA2", epoch="e2", seq=600, status=Status.COMPLETED),
    "conv_1": Call(call_id="CA1", conversation_id="conv_1", epoch="e1", seq=7),
    "*": None,
}


class Connection(RuleBasedStateMachine):
    """Whatever happens: each command is answered once or the connection is closed, once; subscriptions stay bounded."""

    @initialize()
    def opened(self) -> None:
        self.now = 100.0
        limits = Limits(subscriptions=3, burst=1000)
        self.state = State(limits, opened_at=self.now, planned_at=self.now + 3000, ping_at=self.now + 25)
        self.asked: list[int] = []
        self.answers: list[int] = []
        self.attached: dict[int, model.Sub] = {}
        self.begun: set[int] = set()
        self.closes = 0
        self.next_id = 0

    def tell(self, news: model.News) -> None:
        self.state, commands = machine.step(self.state, news)
        for command in commands:
            match command:
                case model.Send(frame) if frame["type"] == "reply":
                    self.answers.append(frame["id"])
                case model.Attach(sub):
                    self.attached[sub.id] = sub
                    self.begun.discard(sub.id)
                case model.Detach(id):
                    self.attached.pop(id, None)
                    self.begun.discard(id)
                case model.Begin(id, call_id, cursor):
                    assert id in self.attached
                    assert 0 <= cursor.seq <= CALLS[call_id].seq  # type: ignore[union-attr]
                    self.begun.add(id)
                case model.Redeem(wanted):
                    self.tell(model.Redeemed(wanted, ANN, None, {}))
                case model.Close():
                    self.closes += 1

    def command(self, **fields: Any) -> None:
        self.next_id += 1
        text = json.dumps({"id": self.next_id, **fields})
        if self.state.phase is not Phase.CLOSED:
            self.asked.append(self.next_id)
        try:
            self.tell(model.Received(frames.parse(text), self.now))
        except frames.Malformed as wrong:
            self.tell(model.Wrong(str(wrong), wrong.id, self.now))

    @rule()
    def connect(self) -> None:
        self.command(type="connect", token="t")

    @rule(name=st.sampled_from(NAMES), seq=st.none() | st.integers(0, 800), epoch=st.sampled_from([None, "e1", "e2"]))
    def subscribe(self, name: str, seq: int | None, epoch: str | None) -> None:
        since = {} if seq is None else {"since": {"seq": seq, "epoch": epoch}}
        self.command(type="subscribe", call_id=name, **since)

    @rule(name=st.sampled_from(NAMES))
    def unsubscribe(self, name: str) -> None:
        self.command(type="unsubscribe", call_id=name)

    @rule(kind=st.sampled_from(["dance", "ack", "refresh"]))
    def another(self, kind: str) -> None:
        self.command(type=kind, call_id="CA1", seq=1, token="t")

    @precondition(lambda self: self.attached)
    @rule(data=st.data(), there=st.booleans())
    def found(self, data: st.DataObject, there: bool) -> None:
        sub = self.attached[data.draw(st.sampled_from(sorted(self.attached)))]
        if sub.name == "*":
            self.tell(model.FoundAll(sub.id, [], "cursor", recovered=True))
        else:
            self.tell(model.Found(sub.id, CALLS.get(sub.name) if there else None, {}))

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), reason=st.none() | st.sampled_from([Ended.COMPLETED, Ended.EPOCH_CHANGED, Ended.LOG_EXPIRED]))
    def flows_or_ends(self, data: st.DataObject, reason: Ended | None) -> None:
        id = data.draw(st.sampled_from(sorted(self.begun)))
        self.tell(model.Flows(id) if reason is None else model.Over(id, reason))

    @rule(seconds=st.sampled_from([0.1, 1.0, 11.0]), pong=st.booleans())
    def time_passes(self, seconds: float, pong: bool) -> None:
        self.now += seconds
        self.tell(model.Tick(self.now))
        if pong:
            self.tell(model.Received(frames.Pong(), self.now))

    @rule(away=st.booleans())
    def store(self, away: bool) -> None:
        self.tell(model.StoreIs(away, TS, self.now))

    @invariant()
    def each_command_is_answered_once(self) -> None:
        if not hasattr(self, "state"):
            return
        assert len(self.answers) == len(set(self.answers)), "answered twice"
        assert set(self.answers) <= set(self.asked)
        assert self.closes <= 1
        if self.state.phase is Phase.OPEN:
            owed = {sub.id for sub in self.state.subs.values() if not sub.answered}
            assert set(self.asked) - set(self.answers) == owed
        assert len(self.state.subs) <= 3
        if self.state.phase is not Phase.CLOSED:
            assert set(self.state.subs) == set(self.attached)
            named = [sub.call_id for sub in self.state.subs.values() if sub.call_id]
            assert len(named) == len(set(named)), "one call twice"


TestConnection = Connection.TestCase
TestConnection.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("event"), st.integers(1, 400)),
            st.tuples(st.just("live"), st.integers(0, 1)),
            st.tuples(st.just("pop"), st.integers(1, 6)),
        ),
        max_size=120,
    )
)
def test_a_slow_reader_loses_moments_only_and_is_told_of_each(steps: list[tuple[str, int]]) -> None:
    box = Outbox(Encoder(), max_bytes=4000, max_frames=20)
    put: list[int] = []
    got: list[int] = []
    moments = {"CA0": 0, "CA1": 0}
    seen = {"CA0": 0, "CA1": 0}
    slow = False

    def take(line: frames.Line | None) -> None:
        if line is None:
            return
        frame = json.loads(line.text)
        if frame["type"] == "event":
            got.append(frame["seq"])
        elif frame["type"] == "gap":
            assert frame["from"] == seen[frame["call_id"]] + 1 <= frame["to"]
            seen[frame["call_id"]] = frame["to"]
        else:
            assert frame["n"] == seen[frame["call_id"]] + 1
            seen[frame["call_id"]] = frame["n"]

    for what, number in steps:
        match what:
            case "event":
                put.append(len(put) + 1)
                line = Event("CA0", "e1", put[-1], EventType.IDLE, TS, {"text": "x" * number})
                slow |= not box.event(1, line, counts=True)
            case "live":
                call_id = f"CA{number}"
                moments[call_id] += 1
                box.live(1, LiveEvent(call_id, moments[call_id], LiveType.PARTIAL_TRANSCRIPT, TS, {}, "l1"))
            case _:
                for _ in range(number):
                    take(box.pop())
        if slow:
            return
        assert box.bytes <= 4000
    while len(box):
        take(box.pop())
    assert got == put
    assert seen == moments
    assert (box.bytes, box.controls) == (0, 0)
