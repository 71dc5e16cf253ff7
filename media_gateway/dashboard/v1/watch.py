"""One subscription of a client, as the hub's mailbox.

While nothing waits for the client, what comes is written to its socket at once (`fast`): with thousands of clients,
all that is touched on the way to each of them is paid for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from media_gateway.dashboard.heads import public_head
from media_gateway.dashboard.v1 import model
from media_gateway.dashboard.v1.encoder import Encoder
from media_gateway.dashboard.v1.frames import ALL
from media_gateway.dashboard.v1.model import Sub
from media_gateway.dashboard.v1.wire import Wire
from realtime.call import Call
from realtime.events import Event, LiveEvent
from realtime.hub import Cursor, Ended
from realtime.subscription import START

if TYPE_CHECKING:
    from media_gateway.dashboard.v1.peer import Peer

AT_ONCE = 4
"""Events that are written without a turn, and"""
SHORT = 4096
"""bytes of a line that is."""


class Watch:
    """See the module; satisfies `realtime.mailbox.Mailbox`."""

    __slots__ = (
        "_encoder",
        "_wire",
        "begins",
        "call_id",
        "fast",
        "floors",
        "held",
        "id",
        "key",
        "live",
        "org",
        "peer",
        "reason",
        "seen",
        "silent",
        "since",
    )

    def __init__(self, peer: Peer, sub: Sub, encoder: Encoder, wire: Wire, floors: Mapping[str, float]) -> None:
        self.peer, self.id, self.live = peer, sub.id, sub.live
        self._encoder, self._wire = encoder, wire
        self.since = sub.since
        self.key, self.org = sub.name, peer.org
        self.reason: Ended | None = None
        self.fast = False
        self.call_id = ""
        """Of a subscription to one call, when the call is known."""
        self.floors = floors if sub.name == ALL else {}
        """Calls of which this subscription brings only what comes after this seq."""
        self.silent = sub.answered is False
        """Nothing has been delivered, and the reply may wait for that."""
        self.seen = 0
        """The event delivered last, of a subscription to one call."""
        self.begins = START
        self.held: list[tuple[Sequence[Event], int]] | None = [] if sub.name == ALL else None
        """What comes for `*` before its reply."""

    def start(self, call: Call | None) -> Cursor:
        """As the machine decides; a subscription that comes to nothing has left the hub by then."""
        self.peer.tell(model.Found(self.id, call, public_head(call) if call else {}))
        return self.begins

    def found(self, heads: list[Mapping[str, Any]]) -> None:
        """`*`: the heads it starts from."""
        if self.key == ALL:
            self.peer.found_all(self, heads)

    def put(self, events: Sequence[Event], *, replayed_to: int) -> bool:
        """Write or queue them; False if this client is over."""
        if self.fast and len(events) <= AT_ONCE and not (self.floors and events[0].call_id in self.floors):
            self.seen = events[-1].seq
            events = self._written(events)
            if not events:
                return True
        elif self.held is not None:
            self.held.append((events, replayed_to))
            return True
        elif self.silent:
            self.silent = False
            self.peer.tell(model.Flows(self.id))
        self.seen = events[-1].seq
        return self.peer.events(self, events, replayed_to)

    def put_live(self, event: LiveEvent) -> None:
        """Write or queue it, if it is wanted."""
        if not self.live or self.held is not None:
            return
        if self.fast and not (self.floors and event.call_id in self.floors):
            line = self._encoder.live(event)
            if len(line.frame) <= SHORT and self._wire.write(line):
                return
        self.peer.moment(self, event)

    def _written(self, events: Sequence[Event]) -> Sequence[Event]:
        """What the socket takes now is written now; the rest is given back."""
        for event in events:
            line = self._encoder.event(event)
            if len(line.frame) > SHORT or not self._wire.write(line):
                return [late for late in events if late.seq >= event.seq]
        return ()

    def jumped(self, head: Mapping[str, Any]) -> None:
        """`*`: the journal of this call goes on elsewhere."""
        self.peer.jumped(head)

    def release(self) -> None:
        """The reply is out: what was held follows."""
        held, self.held, self.silent = self.held or [], None, False
        for events, replayed_to in held:
            self.peer.events(self, events, replayed_to)

    def end(self, reason: Ended) -> None:
        """The hub has no more."""
        self.reason = reason
        self.peer.over(self, reason)
