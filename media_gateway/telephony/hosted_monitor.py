"""Live transcripts of a hosted call, where the account offers them: ElevenLabs' monitor socket, into the journal.

The socket is there once the conversation is active, and only on some plans. A call says `transcripts: webhook` until
the first event has come; then `monitor`, and `webhook` again when the socket breaks off. The webhook brings the whole
record in any case: nothing that goes wrong here is told to anybody but the log.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException

from media_gateway.telephony.monitor_words import Line, Words, end, step
from realtime.append import UnknownCall
from realtime.call import Call, Status
from realtime.clock import Clock, iso, utcnow
from realtime.events import Draft, EventType, LiveType
from realtime.journal import Journal
from realtime.plan import Plan
from realtime.stores.port import StoreUnavailable

BY_WEBHOOK = {"transcripts": "webhook", "monitor": "with the webhook"}
LIVE = {"transcripts": "monitor", "monitor": "live"}
NOT_OFFERED = (401, 402, 403)
OPEN_S = 5.0
TRIES = 40
"""Attempts to connect, `PAUSE_S` apart: a phone rings for a minute at most."""
PAUSE_S = 2.0
LONGEST_S = 3 * 3600.0
MOST = 200
"""Calls that are followed at once."""
Live = Callable[[str, LiveType, Mapping[str, Any], str], None]
_quiet = logging.getLogger("callboard.monitor")
_quiet.setLevel(logging.WARNING)  # the library shows headers at DEBUG, and ours hold the key
_log = structlog.get_logger()


class Monitors:
    """One per process; follows each call in a task of its own."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str,
        journal: Journal,
        noticed: Callable[[Call], None],
        live: Live,
        pause_s: float = PAUSE_S,
        clock: Clock = utcnow,
    ) -> None:
        self._key, self._base = api_key, base_url.rstrip("/").replace("http", "ws", 1)
        self._journal, self._noticed, self._live = journal, noticed, live
        self._pause_s, self._clock = pause_s, clock
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, call: Call) -> None:
        """Follow this call, if it has a conversation and there is room."""
        if call.conversation_id is None or call.status.terminal or len(self._tasks) >= MOST:
            return
        task = asyncio.create_task(self._follow(call.call_id, call.conversation_id), name=f"monitor {call.call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Stop following."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, call_id: str, conversation_id: str) -> None:
        try:
            async with asyncio.timeout(LONGEST_S):
                socket = await self._connected(call_id, conversation_id)
                if socket is not None:
                    async with socket:
                        await self._listen(call_id, socket)
        except (TimeoutError, StoreUnavailable, UnknownCall):
            _log.exception("monitor_ended", call_id=call_id)

    async def _connected(self, call_id: str, conversation_id: str) -> ClientConnection | None:
        """The socket, once the conversation is active; None when it is not offered, or never came."""
        uri = f"{self._base}/v1/convai/conversations/{conversation_id}/monitor"
        for _ in range(TRIES):
            try:
                return await connect(
                    uri, additional_headers={"xi-api-key": self._key}, open_timeout=OPEN_S, logger=_quiet
                )
            except InvalidStatus as error:
                if error.response.status_code in NOT_OFFERED:
                    _log.info("monitor_not_offered", call_id=call_id, status=error.response.status_code)
                    return None
            except (OSError, TimeoutError, WebSocketException) as error:
                _log.info("monitor_not_reached", call_id=call_id, why=type(error).__name__)
            await asyncio.sleep(self._pause_s)
            call = await self._journal.find(call_id)
            if call is None or call.status.terminal:
                return None
        return None

    async def _listen(self, call_id: str, socket: ClientConnection) -> None:
        words, began = Words(), False
        try:
            while True:
                event = _event(await socket.recv())
                if event is None:
                    continue
                if not began:
                    await self._keep(call_id, (), in_progress=True, shown=LIVE)
                    began = True
                words, lines = step(words, event)
                await self._keep(call_id, lines)
                if event.get("type") == "agent_response" and words.held:
                    data = {"turn": words.turn, "offset": 0, "text": words.held[0]}
                    self._live(call_id, LiveType.AI_RESPONSE_CHUNK, data, iso(self._clock()))
        except ConnectionClosedOK:
            await self._keep(call_id, end(words)[1])
        except ConnectionClosed:
            _log.warning("monitor_broke_off", call_id=call_id)
            await self._keep(call_id, end(words)[1], shown=BY_WEBHOOK if began else None)

    async def _keep(
        self,
        call_id: str,
        lines: tuple[Line, ...],
        *,
        in_progress: bool = False,
        shown: Mapping[str, str] | None = None,
    ) -> None:
        """Into the journal, unless the call is complete: the record that completed it has it all."""
        if not lines and not in_progress and shown is None:
            return
        now = iso(self._clock())
        drafts = [_draft(line, now) for line in lines]
        if in_progress:
            data = {"status": Status.IN_PROGRESS.value, "call_end_time": None, "reason": None}
            drafts.append(Draft(EventType.CALL_STATUS, data, "status:in_progress", now))

        def decide(call: Call) -> Plan | None:
            if call.status.terminal:
                return None
            return Plan(drafts, None if shown is None else {"metadata": {**call.metadata, **shown}})

        self._noticed((await self._journal.update(call_id, decide)).call)


def _draft(line: Line, now: str) -> Draft:
    if line.speaker == "user":
        data: dict[str, Any] = {"turn": line.turn, "speaker": "user", "text": line.text, "confidence": None}
        return Draft(EventType.FINAL_TRANSCRIPT, data, line.key, now)
    data = {
        "turn": line.turn,
        "speaker": "assistant",
        "text": line.text,
        "full_text": line.full_text,
        "interrupted": line.text != line.full_text,
        "heard_ms": None,
    }
    return Draft(EventType.AI_RESPONSE_COMPLETE, data, line.key, now)


def _event(message: str | bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(message)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
