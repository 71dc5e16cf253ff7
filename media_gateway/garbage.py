"""When Python's garbage collector may stop everything.

A full collection looks at every object there is, and nothing else runs meanwhile: a tenth of a second and more in a
gateway with many calls and sockets, which is heard. Left to itself it comes whenever objects have grown by a quarter.
What the modules are made of is therefore kept out of it, and it is done while nobody is there; among calls only when
much has piled up. What is not part of a circle goes at once, as always.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

EVERY_S = 30.0
MUCH = 40
"""Middle collections since the last full one. Each stands for some 7,700 objects that are more than there were."""
NEVER = 1_000_000


class Garbage:
    """For a process that is all ours. `busy` tells whether somebody would notice."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy

    def begin(self) -> None:
        """From now on full collections come from `run` only."""
        first, second, _ = gc.get_threshold()
        gc.set_threshold(first, second, NEVER)
        self._all()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self.look()

    def look(self) -> None:
        """Collect if it is time to."""
        grown = gc.get_count()[2]
        if self._busy():
            if grown >= MUCH:
                gc.collect()
        elif grown:
            self._all()

    def _all(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
