"""The gateway as `dev` runs it: with demo calls, the one-time login, and a demo shop in the store.

python -m infra.local.gateway        listens on 127.0.0.1:$PORT
"""

from __future__ import annotations

import asyncio
import os
import sys
from types import FrameType

import structlog

from infra.local.child import exit_with_parent
from infra.local.demo_calls import DemoCalls
from media_gateway import logs
from media_gateway.app import create_app
from media_gateway.auth.login import DemoLogin
from media_gateway.conversation.flow import FlowError
from media_gateway.core import Core
from media_gateway.providers.catalog import build_engines
from media_gateway.server import DrainingServer, server
from media_gateway.settings import SettingsError, load
from media_gateway.voice.ports import ProviderFault, SessionFactory
from media_gateway.wiring import build_sessions
from realtime.call import Status
from realtime.clock import iso, utcnow
from realtime.events import Event
from realtime.record import own_record
from realtime.records.demo import seed

log = structlog.get_logger()
ORG = "default"


async def ready_sessions(core: Core) -> SessionFactory:
    """The demo shop first, and no call left over from a start that was cut short; then what every gateway does."""
    await seed(core.store)
    if core.settings.callboard_store == "embedded":
        await end_orphans(core)
    return await build_sessions(core)


async def end_orphans(core: Core) -> None:
    """This process is the only gateway on this store, and it has just started: a call that is still open has lost its
    gateway (the machine was switched off, say) and cannot end by itself."""
    for call in await core.journal.active(org=ORG):
        if call.status.terminal or call.hosted:
            continue
        events: list[Event] = []
        while page := await core.journal.events(call.call_id, after=len(events)):
            events += page
        ended_at = events[-1].ts if events else iso(utcnow())
        record = own_record(call, events, status=Status.FAILED, ended_at=ended_at)
        await core.journal.complete(call.call_id, Status.FAILED, call_data=record, key="orphan", ts=iso(utcnow()))
        log.info("call_ended", call_id=call.call_id, ending="orphan")


class DevServer(DrainingServer):
    """Before the drain the simulated callers hang up: an ordinary stop is no fault."""

    demo: DemoCalls
    _hanging_up: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal; a second one goes straight on."""
        if self._loop is None or self._hanging_up is not None:
            super().handle_exit(sig, frame)
            return
        self._loop.call_soon_threadsafe(self._begin, sig, frame)

    def _begin(self, sig: int, frame: FrameType | None) -> None:
        self._hanging_up = asyncio.get_running_loop().create_task(self._hang_up(sig, frame))

    async def _hang_up(self, sig: int, frame: FrameType | None) -> None:
        await self.demo.hang_up()
        super().handle_exit(sig, frame)


def main() -> int:
    """Serve until SIGTERM."""
    try:
        settings = load(dev=True)
        build_engines(settings)
    except (SettingsError, ProviderFault) as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return 2
    exit_with_parent()
    logs.configure(settings.log_level, people=sys.stdout.isatty())
    demo_login = DemoLogin(settings.admin_username, code=os.environ.get("CALLBOARD_DEMO_CODE"))
    calls = DemoCalls(settings)
    app = create_app(settings, build_sessions=ready_sessions, demo_login=demo_login, demo_call=calls.place)
    calls.sessions = app.state.gateway.sessions
    running = server(app, settings, kind=DevServer)
    running.demo = calls
    try:
        running.run()
    except (FlowError, ProviderFault, OSError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
