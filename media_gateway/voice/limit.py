"""How long a call may last: the caller is told before, and then it ends with a goodbye."""

from __future__ import annotations

import asyncio

from media_gateway.voice.floor import Floor
from media_gateway.voice.parts import Parts
from media_gateway.voice.turns import Phase
from realtime.clock import parse_iso


async def limit(parts: Parts, floor: Floor, started_at: str) -> None:
    """Returns when the goodbye was said, or the call has ended before. `started_at` is ISO 8601. A supervisor who has
    the caller is not cut off."""
    patience = parts.patience
    lasted = max(0.0, (parts.clock() - parse_iso(started_at)).total_seconds())
    await asyncio.sleep(max(0.0, patience.longest - patience.warning - lasted))
    floor.announce(parts.time_soon)
    await asyncio.sleep(patience.warning)
    while floor.turns.phase is Phase.SUPERVISED:  # noqa: ASYNC110 - nobody tells us, and it may be for long
        await asyncio.sleep(patience.look)
    await floor.announce(parts.time_up, now=True, after="hangup")
