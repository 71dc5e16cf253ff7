"""What supervisors want of a call, carried out by the session that owns it. See docs/supervising.md.

Commands are taken from the store when `wake` says that there may be some, each by itself: a line that waits for its
turn does not keep a hang-up from being one. What became of each is written to the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal

import stamina
import structlog

from media_gateway.voice import turns as machine
from media_gateway.voice.approvals import Approvals
from media_gateway.voice.floor import Floor
from media_gateway.voice.microphone import Microphone
from media_gateway.voice.parts import Parts
from media_gateway.voice.scribe import Scribe
from realtime import commands
from realtime.backoff import delay
from realtime.call import Call
from realtime.clock import iso
from realtime.commands import Command
from realtime.events import EventType
from realtime.journal import Fenced, Plan, UnknownCall
from realtime.stores.port import StoreUnavailable

log = structlog.get_logger()

PATIENCE_S = 30.0
"""How long the store may be away before the outcome of a command is given up."""
UNREAD_S = 30.0
"""The longest pause between two looks for commands that fail for no known reason."""
_TALKING = (machine.Phase.LISTENING, machine.Phase.THINKING, machine.Phase.SPEAKING, machine.Phase.HELD)


class Refused(Exception):
    """It cannot be done; the text says why."""


class Supervising:
    """One per call. `run` belongs to the call's TaskGroup."""

    def __init__(self, parts: Parts, call_id: str, floor: Floor, scribe: Scribe) -> None:
        self.approvals = Approvals(
            lambda line: scribe.note(EventType.COMMAND, line), clock=parts.clock, seconds=parts.patience.approval
        )
        self._parts, self._call_id, self._floor, self._scribe = parts, call_id, floor, scribe
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._holder: str | None = None
        self._microphone: Microphone | None = None
        self._unattended: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """There may be commands for this call."""
        self._wake.set()

    async def run(self, owned: Call) -> None:
        """Carry commands out until cancelled. `owned` is the head since which the call is ours."""
        term = owned.owner_term
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._inherit(owned)
            self._wake.set()  # what was wanted before anybody owned the call
            failures = 0
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    taken = await commands.take(self._parts.journal, self._parts.store, self._call_id, term)
                except StoreUnavailable:
                    log.warning("commands_wait", call_id=self._call_id)
                    await asyncio.sleep(self._parts.patience.look)
                    self._wake.set()
                    continue
                except (Fenced, UnknownCall):
                    return
                except Exception:  # the caller's conversation does not end because nobody can supervise it
                    failures += 1
                    log.exception("commands_unread", call_id=self._call_id, attempt=failures)
                    await asyncio.sleep(delay(failures, base=self._parts.patience.look, cap=UNREAD_S))
                    self._wake.set()
                    continue
                failures = 0
                for command in taken:
                    task = group.create_task(self._carry_out(command))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)

    async def rest(self) -> None:
        """Wait for what is being carried out; the end of the call has decided it all."""
        if self._running:
            await asyncio.wait(self._running)

    def close(self) -> None:
        """The call is over."""
        if self._unattended:
            self._unattended.cancel()
        if self._microphone:
            self._microphone.close()

    def microphone(self, user: str) -> Microphone | None:
        """The way to the caller's ear for the supervisor who has taken the caller over; one at a time."""
        taken = self._floor.turns.phase is machine.Phase.SUPERVISED
        if not taken or user != self._holder or self._microphone or not self._group:
            return None
        if self._unattended:
            self._unattended.cancel()
        self._microphone = Microphone(self._parts, self._floor, closed=lambda: self._gone(user))
        listening = self._group.create_task(self._microphone.listen())
        self._running.add(listening)
        listening.add_done_callback(self._running.discard)
        return self._microphone

    # --- one command ---

    async def _carry_out(self, command: Command) -> None:
        change: Callable[[Call], Mapping[str, Any]] = lambda _: {}  # noqa: E731 - one of two
        try:
            if command.expires < iso(self._parts.clock()):
                raise Refused("it came too late")
            detail = await self._do(command)
            ok = True
            change = self._change(command)
        except Refused as problem:
            ok, detail = False, str(problem)
        except StoreUnavailable:
            ok, detail = False, "the store could not be reached"
        except Exception as problem:
            log.exception("command_failed", call_id=self._call_id, kind=command.kind)
            ok, detail = False, f"it failed: {type(problem).__name__}"
        log.info("command", call_id=self._call_id, kind=command.kind, ok=ok)
        try:
            async for attempt in stamina.retry_context(on=StoreUnavailable, attempts=None, timeout=PATIENCE_S):
                with attempt:
                    settled = await commands.settle(
                        self._parts.journal, command, self._parts.clock(), ok=ok, detail=detail, change=change
                    )
            self._parts.audience.notice(settled.call.to_dict())
        except (StoreUnavailable, UnknownCall):
            log.error("command_unwritten", call_id=self._call_id, kind=command.kind, ok=ok)

    async def _do(self, command: Command) -> str:
        """Carry it out; what there is to say of it. Raises Refused."""
        text = str(command.args.get("text") or "")
        match command.kind:
            case "hangup":
                self._floor.end("hangup")
                return ""
            case "say":
                return await self._say(command, text)
            case "whisper":
                if self._floor.answering is None:
                    raise Refused("the conversation has not begun")
                self._floor.answering.guide(self._floor.turns.turn, text)
                return ""
            case "transfer":
                return await self._transfer(command)
            case "takeover":
                return (
                    self._take_over(command) if command.args.get("by") == "browser" else await self._transfer(command)
                )
            case "release":
                if not self._release(command.actor):
                    raise Refused("nobody has taken this caller over")
                return ""
            case "approve" | "refuse":
                tool = self.approvals.decide(command.args.get("request_id"), approved=command.kind == "approve")
                if tool is None:
                    raise Refused("no such request waits")
                return tool

    async def _say(self, command: Command, text: str) -> str:
        if self._floor.turns.phase is machine.Phase.SUPERVISED:
            raise Refused(f"{self._holder} has the caller")
        heard = await self._floor.announce(text, by=command.actor)
        if heard is None:
            raise Refused("it did not come to that before the call ended")
        return "" if heard.whole else "the caller interrupted it"

    async def _transfer(self, command: Command) -> str:
        """The handoff, to whom the command names (None: whoever takes this flow's callers)."""
        number, name = command.args.get("number"), str(command.args.get("to") or "")
        to = {"number": number, "mode": command.args.get("mode") or "warm"} if number else None

        def decide(call: Call) -> Plan:
            return Plan(change={"metadata": {**call.metadata, "transfer": to}})

        await self._parts.journal.update(self._call_id, decide)
        if self._floor.over.is_set():
            raise Refused("the call is over")
        self._let_go()
        heard = await self._floor.announce(self._parts.transfer, now=True, after="handoff", by=command.actor)
        if heard is None or self._floor.ending != "handoff":
            raise Refused("the caller has hung up")
        return name

    # --- a supervisor on the line ---

    def _take_over(self, command: Command) -> str:
        if self._floor.turns.phase is machine.Phase.SUPERVISED:
            raise Refused(f"{self._holder} has the caller")
        if self._floor.turns.phase not in _TALKING:
            raise Refused("nobody can take this caller over now")
        self._holder = command.actor
        self._floor.tell(machine.TakenOver())
        self._floor.bridge()
        self._unattended = asyncio.get_running_loop().call_later(
            self._parts.patience.microphone, self._gone, command.actor, "no microphone came"
        )
        return "browser"

    def _release(self, actor: str) -> bool:
        """The assistant goes on, if it was not its turn; whether it was so."""
        if self._floor.turns.phase is not machine.Phase.SUPERVISED:
            return False
        self._let_go()
        self._floor.tell(machine.Released())
        return True

    def _let_go(self) -> None:
        """No supervisor speaks any more."""
        self._holder = None
        if self._unattended:
            self._unattended.cancel()
            self._unattended = None
        microphone, self._microphone = self._microphone, None
        if microphone:
            microphone.close()

    def _gone(self, user: str, why: str = "the microphone was closed") -> None:
        """The supervisor's sound has ended, or never came: the caller is not left alone."""
        if self._holder == user and self._release(user):
            line = {"command_id": None, "kind": "release", "actor": user, "ok": True, "detail": why}
            self._scribe.note(EventType.COMMAND, line, change={"supervisor": None})

    def _change(self, command: Command) -> Callable[[Call], Mapping[str, Any]]:
        """What the head says of who holds the call, once this was done."""
        if command.kind == "release":
            return lambda _: {"supervisor": None}
        if command.kind != "takeover":
            return lambda _: {}
        by: Literal["browser", "phone"] = "browser" if command.args.get("by") == "browser" else "phone"
        now = self._parts.clock()
        claim = {"user": command.actor, "since": iso(now), "until": iso(now + commands.HELD), "by": by}
        # It may have been released since.
        return lambda _: {"supervisor": claim} if by == "phone" or self._holder == command.actor else {}

    async def _inherit(self, owned: Call) -> None:
        """What the instance before us has left: commands that it did not get done, a supervisor whose sound it had."""
        now, term = self._parts.clock(), owned.owner_term
        try:
            for command in await commands.left(self._parts.journal, self._parts.store, owned, lambda by: bool(by)):
                if not owned.commands[command.command_id].startswith(f"{term}."):
                    detail = "the instance that took it has gone away; whether it was done is not known"
                    await commands.settle(self._parts.journal, command, now, ok=False, detail=detail)
            if owned.supervisor and owned.supervisor.get("by"):
                line = {"command_id": None, "kind": "release", "actor": "session", "ok": True, "detail": "new stream"}
                self._scribe.note(EventType.COMMAND, line, change={"supervisor": None})
        except (StoreUnavailable, UnknownCall) as problem:
            log.warning("commands_not_inherited", call_id=self._call_id, problem=type(problem).__name__)
        except Exception:
            log.exception("commands_not_inherited", call_id=self._call_id)
