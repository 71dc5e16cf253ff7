"""An engine that is to go, and the one that takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from media_gateway.voice.ports import Hearing, ProviderFault, Speaking

Engine = Hearing | Speaking


async def close(engines: Sequence[Engine | None], patience_s: float) -> None:
    """Let them go in order, each for so long."""
    for engine in engines:
        if engine:
            with suppress(ProviderFault, TimeoutError):  # it was to go, and is gone
                async with asyncio.timeout(patience_s):
                    await engine.aclose()


@asynccontextmanager
async def letting_go(engines: Sequence[Engine | None], patience_s: float) -> AsyncIterator[None]:
    """Beside what is done meanwhile: a vendor that has stalled does not answer a goodbye either, and a caller who
    waits for the next one would wait for that too."""
    if not any(engines):
        yield
        return
    closing = asyncio.create_task(close(engines, patience_s), name="let an engine go")
    try:
        yield
    except BaseException:
        closing.cancel()
        raise
    finally:
        await asyncio.wait({closing})
