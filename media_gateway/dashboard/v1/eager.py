"""Begin a coroutine at once; most are done then, and cost no task.

Python 3.12 has eager tasks for this; Callboard runs on 3.11, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


class _Rest:
    """A coroutine that was begun and waits for `waits_for`; awaiting this goes on with it."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            while True:
                try:
                    value = yield self._waits_for
                except BaseException as error:
                    self._waits_for = self._coroutine.throw(error)
                else:
                    self._waits_for = self._coroutine.send(value)
        except StopIteration:
            return


def begun(coroutine: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """None if it is done; else what is to be awaited, in a task. Raises what it raises until it first waits."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return _Rest(coroutine, waits_for)
