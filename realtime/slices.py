"""Work for many, done in slices: what goes to thousands never keeps the event loop from everything else.

What was given first is done first, whoever it is for; a little work with nothing before it is done at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

SIZE = 128
"""What is done at once between two turns of the event loop, and in one slice at most."""
SECONDS = 0.001
"""How long a slice may take; what has begun then is finished."""
LOOK = 16
"""How many are done between two looks at the clock."""
T = TypeVar("T")


class Slices:
    """Belongs to one event loop."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._left = size
        self._queue: deque[tuple[Iterator[Any], Callable[[Any], None]]] = deque()
        self._scheduled = False

    @property
    def waiting(self) -> bool:
        """True while there is work left."""
        return bool(self._queue)

    def run(self, targets: Sequence[T], act: Callable[[T], None]) -> None:
        """`act` on each of the targets, after all that was asked for before. `act` must not raise."""
        if not self._queue and len(targets) <= self._left:
            # Many who are told a little in one turn of the loop are many, too.
            self._left -= len(targets)
            for target in targets:
                act(target)
        else:
            self._queue.append((iter(targets), act))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._left = self._size
        until = time.perf_counter() + SECONDS
        while self._queue and self._left:
            # It stays in the queue while it is worked on: what it asks for comes after what waits already.
            targets, act = self._queue[0]
            for target in targets:
                act(target)
                self._left -= 1
                if self._left % LOOK == 0 and time.perf_counter() >= until:
                    self._left = 0
                if not self._left:
                    break
            else:
                self._queue.popleft()
        self._scheduled = bool(self._queue)
        if not self._queue:
            self._left = self._size
        else:
            asyncio.get_running_loop().call_soon(self._pump)
