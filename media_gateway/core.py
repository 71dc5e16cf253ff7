"""What the parts of a gateway are built on, put together once by the composition root."""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from media_gateway.last_seen import LastSeen
from media_gateway.loop_lag import LoopLag
from media_gateway.settings import Settings
from media_gateway.telephony.directory import Directory
from media_gateway.telephony.handoff import Person
from media_gateway.voice.ports import SessionFactory
from realtime.blobs import Blobs
from realtime.bus.port import Bus
from realtime.call import Call
from realtime.hub import Hub
from realtime.journal import Journal
from realtime.keeping import Keeper
from realtime.stores.port import DocumentStore


@dataclass(frozen=True, slots=True)
class Core:
    """What the call loop is built on."""

    settings: Settings
    store: DocumentStore
    journal: Journal
    bus: Bus
    hub: Hub
    blobs: Blobs | None = None
    """Where the sound of calls is kept."""
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What is to be closed when the application ends, before the bus and the store."""
    people: dict[str, Person] = field(default_factory=dict)
    """Who takes a flow's callers over, by the flow's name; filled when the flows are read."""
    lag: LoopLag = field(default_factory=LoopLag)
    keeper: Keeper = field(default_factory=Keeper)
    seen: LastSeen = field(default_factory=LastSeen)
    """What this instance has seen of what is outside of it."""
    instance: str = field(default_factory=lambda: f"{os.environ.get('K_REVISION', 'local')}-{secrets.token_hex(4)}")
    """This process, as the heads of its calls name it."""

    @property
    def directory(self) -> Directory:
        """Whom callers can be put through to."""
        settings = self.settings
        return Directory(people=self.people, number=settings.handoff_number, supervisors=settings.supervisors)

    def notice(self, call: Call) -> None:
        """A head was written here: dashboards need not wait for the feed."""
        self.hub.notice(call.to_dict())


BuildSessions = Callable[[Core], Awaitable[SessionFactory]]
"""Makes the engines ready; awaited once, before the first request. Raises what should stop the start."""
