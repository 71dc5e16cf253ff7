"""When Python's garbage collector may stop everything.

A full collection looks at every object there is, and nothing else runs meanwhile: a tenth of a second and more in a
gateway with many calls and sockets, which is heard. Left to itself it comes whenever objects have grown by a quarter.
What the modules are made of is therefore kept out of it, and it is done while nobody is there; among calls only when
much has piled up. The others are kept small. What is not part of a circle goes at once, as always.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

EVERY_S = 30.0
YOUNG, MIDDLE = 1_000, 3
"""A collection of the youngest looks at a thousand objects, every fourth one at four thousand: one to four
milliseconds. Fewer and larger ones cost as much in all, but each is then a turn that comes 20 ms late (measured)."""
MUCH = 1_000
"""Middle collections since the last full one, hence four million objects that were made and stayed for a while."""
NEVER = 1_000_000


class Garbage:
    """For a process that is all ours. `busy` tells whether somebody would notice."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy

    def begin(self) -> None:
        """From now on full collections come from `run` only."""
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
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
