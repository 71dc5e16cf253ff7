"""Everybody who watches all calls of an organisation from now on: one receiver in each room, however many they are.

Who comes in starts where the crowd stands, so that nothing has to be read for them; what the crowd has been told of
before does not come again (`floors`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from realtime.call import Call
from realtime.events import Event, LiveEvent
from realtime.mailbox import Mailbox
from realtime.slices import Slices
from realtime.subscription import START, Cursor, Ended

ALL = "*"
log = logging.getLogger("realtime.hub")


class Crowd:
    """As a mailbox of the hub; what it gets goes to every member."""

    def __init__(self, org: str, slices: Slices, drop: Callable[[Mailbox], None]) -> None:
        """`drop` lets a member go that cannot be served any more."""
        self.key, self.org = ALL, org
        self.reason: Ended | None = None
        self.ready = False
        """True once the store has been asked for the calls that go on."""
        self.members: dict[Mailbox, dict[str, int]] = {}
        """Each with the seq per call up to which it knows already."""
        self._slices, self._drop = slices, drop

    def start(self, _call: Call | None) -> Cursor:
        """Never asked: a crowd is for all calls."""
        return START

    def found(self, _heads: list[Mapping[str, Any]]) -> None:
        """The calls that go on are known; members are told by the hub."""
        self.ready = True

    def put(self, events: Sequence[Event], *, replayed_to: int) -> bool:
        """To everybody who does not have them yet. Nothing is a replay here."""
        call_id, members = events[0].call_id, self.members

        def give(member: Mailbox) -> None:
            floors = members.get(member)
            if floors is None:
                return
            wanted = events
            if floors and call_id in floors:
                wanted = [event for event in events if event.seq > floors[call_id]]
                if events[-1].seq >= floors[call_id]:
                    del floors[call_id]
            if wanted and not _put(member, wanted):
                self._drop(member)

        self._slices.run(tuple(members), give)
        return True

    def put_live(self, event: LiveEvent) -> None:
        """To everybody."""
        self._slices.run(tuple(self.members), lambda member: member.put_live(event) if member in self.members else None)

    def jumped(self, head: Mapping[str, Any]) -> None:
        """To everybody."""
        self._slices.run(tuple(self.members), lambda member: member.jumped(head) if member in self.members else None)

    def end(self, reason: Ended) -> None:
        """It is over for everybody."""
        self.reason = reason
        for member in list(self.members):
            member.end(reason)
            self._drop(member)


def _put(member: Mailbox, events: Sequence[Event]) -> bool:
    try:
        return member.put(events, replayed_to=0)
    except Exception as error:  # one watcher's trouble is not the others'
        log.exception("broadcast_failed", extra={"call_id": events[0].call_id, "why": type(error).__name__})
        member.end(Ended.FAILED)
        return False
