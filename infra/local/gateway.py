"""The gateway as `dev` runs it: with demo calls, the one-time login, and a demo shop in the store.

python -m infra.local.gateway        listens on 127.0.0.1:$PORT
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress

import structlog

from infra.local.child import Child, exit_with_parent
from infra.simulators.config import new_sid
from infra.simulators.fields import ScenarioError
from infra.simulators.scenario import load_scenario
from media_gateway import logs
from media_gateway.app import Core, create_app
from media_gateway.auth.login import DemoLogin
from media_gateway.conversation.flow import FlowError
from media_gateway.providers.catalog import build_engines
from media_gateway.server import server
from media_gateway.settings import Settings, SettingsError, load
from media_gateway.telephony.sessions import Sessions
from media_gateway.voice.ports import ProviderFault, SessionFactory
from media_gateway.wiring import build_sessions
from realtime.records.demo import seed

log = structlog.get_logger()

TYPED = "typed"
"""The scenario of a caller who says nothing: the words are typed."""
MAX_CALLERS = 8
FIRST_LINE_S = 20.0


class DemoCalls:
    """Simulated callers, each a process of its own, so that they cost the gateway's loop nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sessions: Sessions | None = None
        self._callers: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def place(self, scenario: str | None, text: str | None) -> str:
        """Ring this gateway; the call id. Raises ValueError for an unknown scenario or too many callers."""
        name = scenario or TYPED
        try:
            load_scenario(name)
        except ScenarioError as problem:
            raise ValueError(str(problem)) from problem
        if len(self._callers) >= MAX_CALLERS:
            raise ValueError(f"{MAX_CALLERS} demo calls are running; wait for one to end")
        call_sid = new_sid("CA")
        url = f"http://127.0.0.1:{self._settings.port}"
        environment = {**os.environ, "TWILIO_AUTH_TOKEN": self._settings.twilio_auth_token.get_secret_value()}
        arguments = ["infra.local.caller", "--url", url, "--scenario", name, "--call-sid", call_sid]
        caller = await Child.start("caller", arguments, environment)
        self._callers[call_sid] = caller
        self._later(self._gone(call_sid, caller))
        if text:
            self._later(self._type(call_sid, text))
        return call_sid

    async def _type(self, call_sid: str, text: str) -> None:
        """The caller's first line, as soon as the call is there."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LINE_S):
                while self.sessions and not (session := self.sessions.get(call_sid)):  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.05)
                if self.sessions and session:
                    session.on_text(text)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gone(self, call_sid: str, caller: Child) -> None:
        code = await caller.process.wait()
        self._callers.pop(call_sid, None)
        if code:
            log.warning("demo_caller_failed", call_id=call_sid, code=code)


async def seeded_sessions(core: Core) -> SessionFactory:
    """The demo shop first, then what every gateway does."""
    await seed(core.store)
    return await build_sessions(core)


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
    app = create_app(settings, build_sessions=seeded_sessions, demo_login=demo_login, demo_call=calls.place)
    calls.sessions = app.state.gateway.sessions
    try:
        server(app, settings).run()
    except (FlowError, ProviderFault, OSError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
