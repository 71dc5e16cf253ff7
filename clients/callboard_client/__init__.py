"""Follow Callboard's calls live over `callboard.v1`, each durable event once and in order, whatever the line does.

For Python 3.11 and newer, on `websockets` alone; take this folder along. The protocol is in docs/live-events.md.

    async with CallboardClient("https://calls.example.com", token) as client:   # an access token or an API key
        client.watch_all()                       # every call of the organisation, from now on
        client.watch("CA1")                      # one call (any of its ids) from its first event
        client.watch("CA2", Since(41, "k3f9"))   # or after what was seen last
        async for item in client:
            match item:
                case Event(call_id, _, seq, name, _, data): ...     # seq 1, 2, 3 ... for every call
                case Snapshot(call_id, epoch, seq, state): ...      # forget the call, go on from here
                case Heads(calls): ...                              # `*`: the calls that go on, after every connect
                case Moment() | Gap() | State() | Refused(): ...

It comes back by itself (full jitter), resumes, notices holes and has them filled, and while no socket can be had it
polls the REST journal. The iteration ends after `aclose()`, or when the server refuses for good (`State.phase` is then
"stopped").
"""

from .client import CallboardClient
from .machine import Event, Gap, Heads, Item, Known, Moment, Progress, Refused, Since, Snapshot, State, delay, verdict

__all__ = [
    "CallboardClient",
    "Event",
    "Gap",
    "Heads",
    "Item",
    "Known",
    "Moment",
    "Progress",
    "Refused",
    "Since",
    "Snapshot",
    "State",
    "delay",
    "verdict",
]
