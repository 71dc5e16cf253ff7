"""The whole hub under random interleavings: calls that open, gain an id, go on and end, heads that are lost, repeated
and reordered, and watchers that come at any moment, by any id or for all."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.call import Call
from realtime.events import Event, EventType
from realtime.hub import Ended, Hub, Subscription
from tests.realtime.hub_parts import Feed, Memory, running, settle

CALLS = 3
STEPS = [
    "open",
    "add",
    "add",
    "add",
    "alias",
    "complete",
    "tell",
    "tell",
    "stale",
    "watch",
    "watch all",
    "watch from now on",
    "leave",
    "turn",
    "turn",
]


class Play:
    """One random run."""

    def __init__(self, data: st.DataObject, hub: Hub, journal: Memory) -> None:
        self.data, self.hub, self.journal = data, hub, journal
        self.heads: list[dict[str, Any]] = []
        self.watching: list[tuple[Subscription, str, int]] = []
        self.everything: list[Subscription] = []
        self.from_now_on: list[Subscription] = []

    def call(self) -> str:
        return f"CA{self.data.draw(st.integers(1, CALLS))}"

    def known(self, call: Call) -> None:
        self.heads.append(call.to_dict())

    def done(self, call_id: str) -> bool:
        head = self.journal.heads.get(call_id)
        return head is None or head.status.terminal

    async def step(self) -> None:
        kind, name = self.data.draw(st.sampled_from(STEPS)), self.call()
        match kind:
            case "open" if name not in self.journal.heads:
                self.known(self.journal.open(Call(call_id=name)))
            case "add" if not self.done(name):
                self.known(self.journal.add(name, *[EventType.IDLE] * self.data.draw(st.integers(1, 12))))
            case "alias" if not self.done(name):
                self.known(self.journal.add(name, conversation_id=f"conv_{name}"))
            case "complete" if not self.done(name) and self.journal.heads[name].conversation_id:
                self.known(self.journal.complete(name, {}, pointer=self.data.draw(st.booleans())))
            case "tell" if name in self.journal.heads:
                self.hub.notice(self.journal.heads[name].to_dict())
            case "stale" if self.heads:
                self.hub.notice(self.data.draw(st.sampled_from(self.heads)))
            case "watch":
                seen = len(self.journal.logs.get(name, ()))
                since = self.data.draw(st.integers(0, seen))
                key = self.data.draw(st.sampled_from([name, f"conv_{name}"]))
                self.watching.append((self.hub.subscribe(key, org="default", since=since), name, since))
            case "watch all":
                self.everything.append(self.hub.subscribe("*", org="default"))
            case "watch from now on":
                self.from_now_on.append(self.hub.subscribe("*", org="default", replay=False))
            case "leave" if self.from_now_on:
                leaving = self.from_now_on.pop(self.data.draw(st.integers(0, len(self.from_now_on) - 1)))
                await leaving.aclose()
            case "turn":
                await settle(self.data.draw(st.integers(1, 4)))

    async def check(self) -> None:
        for head in self.journal.heads.values():
            self.hub.notice(head.to_dict())
        await settle(60)
        for subscription, name, since in self.watching:
            wanted = self.journal.heads.get(name)
            got = [seq for _, seq in now(subscription)]
            if wanted is None or subscription.key not in wanted.aliases:
                assert got == []
                continue
            assert got == list(range(since + 1, wanted.seq + 1))
            assert (subscription.reason is Ended.COMPLETED) == wanted.status.terminal
        for subscription in self.everything:
            got_all = now(subscription)
            for name, head in self.journal.heads.items():
                assert [seq for call_id, seq in got_all if call_id == name] == list(range(1, head.seq + 1))
        for subscription in self.from_now_on:
            start = {str(head["call_id"]): int(head["seq"]) for head in await subscription.heads()}
            got_all = now(subscription)
            for name, head in self.journal.heads.items():
                got = [seq for call_id, seq in got_all if call_id == name]
                assert got == list(range(start.get(name, 0) + 1, head.seq + 1))


def now(subscription: Subscription) -> list[tuple[str, int]]:
    """What waits to be read."""
    return [(event.call_id, event.seq) for event, _ in subscription._events if isinstance(event, Event)]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([0, 1, 8]))
def test_every_watcher_sees_every_event_once_and_in_order(data: st.DataObject, tail: int) -> None:
    async def run() -> None:
        journal = Memory(tail=tail)
        async with running(Hub(journal, Feed(), linger=0.0, backoff=(0.001, 0.002))) as hub:
            play = Play(data, hub, journal)
            for _ in range(data.draw(st.integers(1, 40))):
                await play.step()
            await play.check()

    asyncio.run(run())
