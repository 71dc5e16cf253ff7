"""The machine of a call's status as it lives: several writers with heads of different ages, news in any order, again
and late, commits that were lost, and readers who follow from anywhere."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from realtime.call import Call, Status
from realtime.events import Draft, Event, EventType
from realtime.plan import AFTER_THE_END, Plan, settle

TS = "2031-01-01T00:00:00.000Z"
ORDER = ["initiated", "ringing", "in_progress", "processing"]


def rank(status: Status) -> int:
    return ORDER.index(status.value) if status.value in ORDER else len(ORDER)


class Life(RuleBasedStateMachine):
    """The journal is a compare-and-set on the head: who is late reads again and decides anew."""

    @initialize()
    def begin(self) -> None:
        self.call = Call(call_id="CA1", epoch="e")
        self.log: list[Event] = []
        self.spent: list[str] = []
        self.plans: list[Plan] = []
        self.known: dict[int, tuple[Call, int]] = {}
        """What each writer has read: the head, and how many keys were spent then."""
        self.readers: dict[int, list[Event]] = {}
        self.heard: list[Status] = []
        """What the journal was told while it had not ended."""

    def commit(self, plan: Plan, seen: Call) -> bool:
        """False: somebody else was faster, and nothing was written."""
        if seen.seq != self.call.seq:
            return False
        settled = settle(self.call, plan, spent=self.spent, now=TS)
        if settled is not None:
            self.call = settled.call
            self.log += settled.events
            self.spent += settled.keys
        return True

    def news(self, *drafts: Draft) -> Plan:
        plan = Plan(drafts)
        self.plans.append(plan)
        return plan

    def deliver(self, plan: Plan, writer: int) -> None:
        """With what this writer believes to be the head, then with what it is."""
        seen, _ = self.known.get(writer, (self.call, 0))
        if not self.commit(plan, seen):
            assert self.commit(plan, self.call)
        self.known[writer] = (self.call, len(self.spent))

    @rule(word=st.sampled_from(list(Status)), key=st.integers(0, 30), writer=st.integers(0, 2))
    def status_comes(self, word: Status, key: int, writer: int) -> None:
        before = self.call.status
        draft = Draft(EventType.CALL_STATUS, {"status": word.value}, f"status:{word.value}:{key}", TS)
        fresh = draft.idem not in self.spent
        self.deliver(self.news(draft), writer)
        if fresh and not before.terminal and rank(word) > rank(before):
            assert self.call.status is word, "news that leads on is taken"
        else:
            assert self.call.status is before, "anything else changes nothing"

    @rule(writer=st.integers(0, 2), kind=st.sampled_from([EventType.DTMF, EventType.ANALYSIS_READY, EventType.COMMAND]))
    def something_happens(self, writer: int, kind: EventType) -> None:
        before = len(self.log)
        over = self.call.status.terminal
        self.deliver(self.news(Draft(kind, {"digit": "1"}, f"k{len(self.plans)}", TS)), writer)
        assert len(self.log) == before + (not over or kind in AFTER_THE_END)

    @rule(writer=st.integers(0, 2), word=st.sampled_from([Status.COMPLETED, Status.FAILED, Status.BUSY]))
    def it_completes(self, writer: int, word: Status) -> None:
        end = Draft(EventType.CALL_STATUS, {"status": word.value}, "end", TS)
        self.deliver(self.news(end, Draft(EventType.CALL_COMPLETED, {"call_data": {}}, "call_completed", TS)), writer)
        assert self.call.status.terminal

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), writer=st.integers(0, 2))
    def it_comes_again(self, data: st.DataObject, writer: int) -> None:
        """The bus delivers twice; a commit whose answer was lost is repeated."""
        plan = data.draw(st.sampled_from(self.plans))
        before = (self.call.status, len(self.log))
        said = all(draft.idem in self.spent for draft in plan.drafts)
        self.deliver(plan, writer)
        if said:
            assert (self.call.status, len(self.log)) == before

    @rule(reader=st.integers(0, 3), limit=st.integers(1, 5))
    def somebody_reads_on(self, reader: int, limit: int) -> None:
        """Slowly, and after a break from what it saw last."""
        seen = self.readers.setdefault(reader, [])
        seen += self.log[len(seen) : len(seen) + limit]

    @invariant()
    def the_log_tells_a_life_that_can_be(self) -> None:
        if not hasattr(self, "log"):
            return
        assert [event.seq for event in self.log] == list(range(1, self.call.seq + 1))
        assert len(self.spent) == len(set(self.spent)) == len(self.log)
        told = [Status(event.data["status"]) for event in self.log if event.type is EventType.CALL_STATUS]
        ranks = [rank(status) for status in told]
        assert ranks == sorted(set(ranks)), "a status never goes back, nor is it told twice"
        assert self.call.status is (told[-1] if told else Status.INITIATED)
        ends = [n for n, event in enumerate(self.log) if event.type is EventType.CALL_COMPLETED]
        assert len(ends) <= 1
        if self.call.status.terminal:
            last = max(n for n, event in enumerate(self.log) if event.type is EventType.CALL_STATUS)
            after = {event.type for event in self.log[last + 1 :]}
            assert after <= AFTER_THE_END | {EventType.CALL_COMPLETED}
        for seen in self.readers.values():
            assert seen == self.log[: len(seen)], "what was told once stays as it was"


def _cases(machine: Any) -> Any:
    case = machine.TestCase
    case.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
    return case


TestLife = _cases(Life)
