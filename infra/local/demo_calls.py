"""Simulated callers that the dashboard's button starts, each a process of its own: they cost the gateway's loop
nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress

import structlog

from infra.local.child import Child
from infra.simulators.config import new_sid
from infra.simulators.fields import ScenarioError
from infra.simulators.scenario import load_scenario
from media_gateway.settings import Settings
from media_gateway.telephony.sessions import Sessions
from media_gateway.voice.session import CallSession
from media_gateway.voice.turns import Phase

log = structlog.get_logger()

TYPED = "typed"
"""The scenario of a caller who says nothing: the words are typed."""
MAX_CALLERS = 8
FIRST_LINE_S = 30.0
HANG_UP_S = 4.0


class DemoCalls:
    """The callers of one gateway. `sessions` is that gateway's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sessions = Sessions()
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

    async def hang_up(self) -> None:
        """Every caller hangs up as people do, and is waited for: their calls end in order."""
        callers = list(self._callers.values())
        for caller in callers:
            if caller.running:
                caller.process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_S):
                await asyncio.gather(*(caller.process.wait() for caller in callers))
                await self.sessions.empty()

    async def _type(self, call_sid: str, text: str) -> None:
        """The caller's first line, when the greeting has been heard: it says that this is a machine."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LINE_S):
                while not self._listening(call_sid):  # noqa: ASYNC110 - a session tells nobody of its phases
                    await asyncio.sleep(0.05)
        session = self.sessions.get(call_sid)
        if session is not None:
            session.on_text(text)

    def _listening(self, call_sid: str) -> bool:
        session = self.sessions.get(call_sid)
        return isinstance(session, CallSession) and session.turns.phase is Phase.LISTENING

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gone(self, call_sid: str, caller: Child) -> None:
        code = await caller.process.wait()
        self._callers.pop(call_sid, None)
        if code:
            log.warning("demo_caller_failed", call_id=call_sid, code=code)
