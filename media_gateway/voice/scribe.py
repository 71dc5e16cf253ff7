"""The call's own writer of the journal: takes events without waiting, writes them in order, in as few commits as the
store's pace allows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import stamina
import structlog

from realtime.call import Call
from realtime.clock import Clock, iso
from realtime.events import Draft, EventType
from realtime.journal import Appended, Fenced, Journal, UnknownCall
from realtime.stores.port import Conflict, StoreUnavailable, Write

log = structlog.get_logger()

BATCH = 16
WAITING = 4_096
"""Events that may wait for a store that is away; what comes then is lost, and said so."""
ROOM = 64
"""How many more may wait that somebody waits for (`commit`): a flood of notes does not keep tools from acting."""
PATIENCE_S = 120.0
"""How long the store may be away before the call's events are given up (the call itself goes on)."""
_again = stamina.AsyncRetryingCaller(attempts=None, timeout=PATIENCE_S, wait_max=5.0).on(StoreUnavailable)


@dataclass(slots=True)
class _Entry:
    draft: Draft
    change: Mapping[str, Any]
    writes: Sequence[Write] = ()
    done: asyncio.Future[None] | None = field(default=None)


class Scribe:
    """One per call. `note` never waits; `commit` waits until its event and the effect that belongs to it are one
    commit in the store."""

    def __init__(
        self,
        journal: Journal,
        call_id: str,
        *,
        clock: Clock,
        wrote: Callable[[Call], None],
        fenced: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._call_id = call_id
        self._clock = clock
        self._wrote = wrote
        self._fenced = fenced
        self._entries: deque[_Entry] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._count = 0
        self._term = 0
        self._sealed = self._told = False

    def start(self, term: int) -> None:
        """The call is ours: write as its owner of this term."""
        self._term = term
        self._wake.set()

    def note(self, type_: EventType, data: Mapping[str, Any], *, change: Mapping[str, Any] | None = None) -> None:
        """Write this when its turn comes."""
        self._add(_Entry(self._draft(type_, data), change or {}))

    def lead(self, type_: EventType, data: Mapping[str, Any], *, change: Mapping[str, Any] | None = None) -> None:
        """Write this before all that was noted so far (nothing has been written yet: `start` comes after it)."""
        self._entries.appendleft(_Entry(self._draft(type_, data), change or {}))
        self._idle.clear()

    async def commit(self, type_: EventType, data: Mapping[str, Any], writes: Sequence[Write]) -> None:
        """Write this with its effect. Raises Conflict when the effect lost (nothing was written then), Fenced when the
        call is no longer ours, StoreUnavailable when the store stays away."""
        done = asyncio.get_running_loop().create_future()
        if not self._add(_Entry(self._draft(type_, data), {}, writes, done)):
            raise StoreUnavailable(f"call {self._call_id}: the journal takes nothing more")
        await done

    async def flush(self) -> None:
        """Wait until all that was noted is written or given up. Never returns before `start`, or after `run` ended."""
        await self._idle.wait()

    def seal(self) -> None:
        """The call's record is being closed: nothing may come after its last line."""
        self._sealed = True

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(0)  # what happens at once is one commit: a turn is followed by what it led to
            self._wake.clear()
            while self._term and self._entries:
                await self._write(self._take())
            if not self._entries:
                self._idle.set()

    def _draft(self, type_: EventType, data: Mapping[str, Any]) -> Draft:
        """Numbered in order; the owner's term goes before the number once it is known (`_keyed`), so that a commit
        whose answer was lost can be repeated harmlessly."""
        self._count += 1
        return Draft(type_, data, str(self._count), iso(self._clock()))

    def _add(self, entry: _Entry) -> bool:
        if self._sealed or len(self._entries) >= WAITING + (ROOM if entry.done else 0):
            if not self._told:  # once a call: what floods the journal must not flood the log
                self._told = True
                log.warning("event_not_kept", call_id=self._call_id, type=entry.draft.type.value, sealed=self._sealed)
            return False
        self._entries.append(entry)
        self._idle.clear()
        self._wake.set()
        return True

    def _take(self) -> list[_Entry]:
        """The next entries for one commit. One with an effect goes alone: it may lose without the others."""
        if self._entries[0].done:
            return [self._entries.popleft()]
        batch: list[_Entry] = []
        while self._entries and not self._entries[0].done and len(batch) < BATCH:
            batch.append(self._entries.popleft())
        return batch

    async def _write(self, batch: list[_Entry]) -> None:
        try:
            await self._append(batch)
        except (Conflict, Fenced, StoreUnavailable, UnknownCall) as problem:
            self._give_up(batch, problem)
        except Exception as problem:
            # What cannot be kept (not JSON, too large) must not take its neighbours with it, nor the call.
            if len(batch) == 1:
                self._give_up(batch, problem)
                return
            for entry in batch:
                await self._write([entry])

    async def _append(self, batch: list[_Entry]) -> None:
        first = batch[0]
        change: dict[str, Any] = {}
        for entry in batch:
            change.update(entry.change)
        drafts = [self._keyed(entry.draft) for entry in batch]

        async def append() -> Appended:
            return await self._journal.append(
                self._call_id, drafts, change=change, writes=first.writes, term=self._term
            )

        try:
            appended = await append()
        except StoreUnavailable:
            appended = await _again(append)
        self._wrote(appended.call)
        if first.done and not first.done.done():
            first.done.set_result(None)

    def _keyed(self, draft: Draft) -> Draft:
        return Draft(draft.type, draft.data, f"voice:{self._term}:{draft.idem}", draft.ts)

    def _give_up(self, batch: list[_Entry], problem: Exception) -> None:
        done = batch[0].done
        if done and not done.done():
            done.set_exception(problem)
        elif not isinstance(problem, Fenced):
            types = [entry.draft.type.value for entry in batch]
            log.error("events_lost", call_id=self._call_id, types=types, problem=type(problem).__name__)
        if isinstance(problem, Fenced | UnknownCall):
            self._fenced()
