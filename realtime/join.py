"""Bringing parked news to its call."""

from __future__ import annotations

from realtime.bus.port import Bus
from realtime.call import Call
from realtime.journal import Journal


async def join(journal: Journal, bus: Bus, call: Call) -> int:
    """Publish again the news that waited for `call`, and forget that it waited; how much there was. To be called
    after a call was opened or got another id. Raises PublishFailed, StoreUnavailable: what is not published stays
    parked. Calling it twice is harmless: the applier knows news it has seen."""
    waiting = await journal.parked(call)
    for message in waiting:
        await bus.publish(message)
        await journal.unpark(call, message)
    return len(waiting)
