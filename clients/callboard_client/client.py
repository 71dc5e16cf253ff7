"""The client: sockets, their commands, and REST while there is none. See the folder's `__init__`."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from .machine import Event, Gap, Heads, Item, Known, Moment, Progress, Refused, Since, Snapshot, State, delay, verdict

SUBPROTOCOL = "callboard.v1"
SPREAD_S, TOO_MANY_S = 5.0, 30.0
SILENCE_S = 40.0
POLL_AFTER = 2
"""Failed attempts before the journal is polled meanwhile."""
AT_ONCE = 8
COMMAND_S = 0.06
"""Between two commands: under 20 a second."""
HTTP_S = 15.0
WAITING = 10_000
"""Items that may wait to be read; then nothing is read from the socket."""
TERMINAL = frozenset(("completed", "failed", "busy", "no_answer", "canceled"))
Answered = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class _Line:
    """What belongs to one connection."""

    ws: ClientConnection
    ids: int = 0
    replies: dict[int, Answered] = field(default_factory=dict)
    queue: asyncio.Queue[tuple[Mapping[str, Any], Answered]] = field(default_factory=asyncio.Queue)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    subscribed: set[str] = field(default_factory=set)
    mending: set[str] = field(default_factory=set)
    landing: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """Calls that are told again only to fill a hole: up to where, and whether they are over then."""


class CallboardClient:
    """See the folder's `__init__`."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        live: bool = True,
        poll_s: float = 2.0,
        rand: Callable[[], float] = random.random,
        dial: Callable[..., connect] = connect,
    ) -> None:
        """`base_url`: of the gateway, http or https. `live`: also moments that are kept nowhere."""
        self._base = base_url.rstrip("/")
        self._token, self._poll_s, self._rand, self._dial = token, poll_s, rand, dial
        self._lanes = ["durable", "live"] if live else ["durable"]
        self.progress = Progress()
        self.state = State("connecting")
        self._wanted: dict[str, Since | None] = {}
        self._all = False
        self._cursor: str | None = None
        self._began = False
        """True once it was told, by whatever way, which calls go on: others are new."""
        self._items: asyncio.Queue[Item | None] = asyncio.Queue(WAITING)
        self._told: list[Item] = []
        self._line: _Line | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        with suppress(asyncio.QueueFull):
            self._items.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        item = await self._items.get()
        if item is None:
            raise StopAsyncIteration
        return item

    def watch_all(self) -> None:
        """Every call of the organisation, from now on."""
        self._all = True
        if self._line is not None:
            self._subscribe_all(self._line)

    def watch(self, id: str, since: Since | None = None) -> None:
        """One call, by any of its ids; from its first event, or after `since`."""
        if id in self._wanted:
            return
        self._wanted[id] = since
        self.progress.calls.pop(id, None)
        if since is not None and since.epoch is not None:
            self.progress.calls[id] = Known(since.epoch, since.seq)
        if self._line is not None:
            self._subscribe(self._line, id)

    def unwatch(self, id: str) -> None:
        """No more of it."""
        self._wanted.pop(id, None)
        if self._line is not None and id in self._line.subscribed:
            self._unsubscribe(self._line, id)

    # -- the line ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = bad_tickets = 0
        polling: asyncio.Task[None] | None = None
        try:
            while True:
                code, lived = await self._attempt(polling)
                failures = 0 if lived else failures
                bad_tickets = bad_tickets + 1 if code == 4401 else 0 if lived else bad_tickets
                what = verdict(code)
                if what == "stop" or bad_tickets > 1:
                    await self._say(State("stopped", code))
                    return
                pause = delay(failures, self._rand)
                if what == "later":
                    pause = TOO_MANY_S + self._rand() * SPREAD_S
                elif what == "spread" and not failures:
                    pause = self._rand() * SPREAD_S
                failures += 1
                if polling is not None and polling.done():
                    polling = None
                if failures > POLL_AFTER and polling is None:
                    polling = asyncio.create_task(self._poll())
                await self._say(State("polling" if polling else "waiting", code))
                await asyncio.sleep(pause)
        finally:
            if polling is not None:
                polling.cancel()
                await asyncio.gather(polling, return_exceptions=True)
            with suppress(asyncio.QueueFull):
                self._items.put_nowait(None)

    async def _attempt(self, polling: asyncio.Task[None] | None) -> tuple[int, bool]:
        """One connection, to its end: the close code (0: there was none) and whether it was live."""
        if polling is None:
            await self._say(State("connecting"))
        lived = False
        try:
            ticket = (await self._http("POST", "/ws-ticket"))["ticket"]
            url = f"{self._base.replace('http', 'ws', 1)}/ws/v1"
            async with self._dial(url, subprotocols=[SUBPROTOCOL], open_timeout=HTTP_S, ping_interval=None) as ws:
                hello = {"id": 1, "type": "connect", "token": ticket, "client": "callboard_client/1"}
                await ws.send(json.dumps(hello))
                async with asyncio.timeout(HTTP_S):
                    await ws.recv()
                if polling is not None:
                    polling.cancel()
                    await asyncio.gather(polling, return_exceptions=True)
                lived = True
                await self._say(State("live"))
                await self._live(_Line(ws, ids=1))
        except ConnectionClosed as closed:
            return (closed.rcvd.code if closed.rcvd else 1006), lived
        except urllib.error.HTTPError as error:
            return (4401 if error.code in (401, 403) else 0), lived
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError, ValueError, KeyError):
            return 0, lived
        return 0, lived

    async def _live(self, line: _Line) -> None:
        self._line = line
        sending = asyncio.create_task(self._send(line))
        try:
            if self._all:
                self._subscribe_all(line)
            for id in list(self._wanted):
                self._subscribe(line, id)
            while True:
                async with asyncio.timeout(SILENCE_S):
                    text = await line.ws.recv()
                await self._take(line, json.loads(text))
        finally:
            self._line = None
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, line: _Line) -> None:
        """Commands in order, few at a time and not too fast: the server refuses floods."""
        while True:
            command, answered = await line.queue.get()
            await line.room.acquire()
            line.ids += 1
            line.replies[line.ids] = answered
            await line.ws.send(json.dumps({"id": line.ids, **command}))
            await asyncio.sleep(COMMAND_S)

    async def _say(self, state: State) -> None:
        self.state = state
        await self._items.put(state)

    async def _http(self, method: str, path: str) -> Any:
        def ask() -> Any:
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
            request = urllib.request.Request(self._base + path, method=method, headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=HTTP_S) as answer:  # noqa: S310 - the caller's own address
                return json.load(answer)

        return await asyncio.to_thread(ask)

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def _command(self, line: _Line, answered: Answered, **command: Any) -> None:
        line.queue.put_nowait((command, answered))

    def _unsubscribe(self, line: _Line, id: str) -> None:
        line.subscribed.discard(id)
        self._command(line, lambda _: None, type="unsubscribe", call_id=id)

    def _subscribe_all(self, line: _Line) -> None:
        resumed = self._began
        since = {"since": {"cursor": self._cursor}} if self._cursor is not None else {}

        def answered(reply: Mapping[str, Any]) -> None:
            if reply["ok"]:
                self._heads(line, reply["result"], resumed=resumed)
            else:
                self._refused(line, "*", reply["error"], lambda: self._subscribe_all(line))

        self._command(line, answered, type="subscribe", call_id="*", lanes=self._lanes, **since)

    def _heads(self, line: _Line, result: Mapping[str, Any], *, resumed: bool) -> None:
        self._cursor, self._began = result["cursor"], True
        before = dict(self.progress.calls)
        for head in result["heads"]:
            call_id, known = head["call_id"], before.get(head["call_id"])
            if known is not None and known.epoch == head["epoch"] and known.seq >= head["seq"]:
                continue
            if known is None and resumed:
                self.progress.calls[call_id] = Known(head["epoch"], 0)
            if known is not None or resumed:
                self._mend(line, call_id)
            else:
                self._begin(head)
        # Calls that went on when the line broke, and are over since too long to be among the heads.
        named = {head["call_id"] for head in result["heads"]}
        for id, known in before.items():
            if resumed and not known.done and id not in named:
                self._mend(line, id)
        self._told.append(Heads(tuple(result["heads"]), resumed))

    def _begin(self, head: Mapping[str, Any]) -> None:
        """A call that goes on already is told from now on, unless it is watched for itself."""
        if not {head["call_id"], head.get("call_sid"), head.get("conversation_id")} & set(self._wanted):
            self.progress.calls[head["call_id"]] = Known(head["epoch"], head["seq"])

    def _subscribe(self, line: _Line, id: str) -> None:
        if id in line.subscribed:
            return
        line.subscribed.add(id)
        line.mending.add(id)  # what `*` brings meanwhile is told by the answer to this
        wanted = self._wanted.get(id)
        since = self.progress.since(id) or {"seq": wanted.seq if wanted else 0}

        def answered(reply: Mapping[str, Any]) -> None:
            line.mending.discard(id)
            if not reply["ok"]:
                line.subscribed.discard(id)
                again = lambda: self._subscribe(line, id) if id in self._wanted else None  # noqa: E731
                self._refused(line, id, reply["error"], again)
                return
            result = reply["result"]
            call_id = result["call_id"]
            if call_id != id:
                self._named(line, id, call_id)
            self.progress.calls.setdefault(call_id, Known(result["epoch"], since["seq"]))
            if result["done"] and not result["replayed"]:
                self._over(line, call_id)

        self._command(line, answered, type="subscribe", call_id=id, lanes=self._lanes, since=since)

    def _named(self, line: _Line | None, id: str, call_id: str) -> None:
        """Another of a call's ids was used: from now on it goes by its call id."""
        if id in self._wanted:
            self._wanted[call_id] = self._wanted.pop(id)
        known = self.progress.calls.pop(id, None)
        if known is not None:
            self.progress.calls.setdefault(call_id, known)
        if line is not None:
            line.subscribed.discard(id)
            line.subscribed.add(call_id)

    def _refused(self, line: _Line, id: str, error: Mapping[str, Any], again: Callable[[], object]) -> None:
        self._told.append(Refused(id, error["code"], error["retry"]))
        if error["retry"]:
            asyncio.get_running_loop().call_later(self._poll_s, lambda: line is self._line and again())

    def _mend(self, line: _Line, call_id: str) -> None:
        """Have a call told again from where it stands."""
        if call_id in line.mending:
            return
        line.mending.add(call_id)
        if call_id in line.subscribed:
            self._unsubscribe(line, call_id)

        def answered(reply: Mapping[str, Any]) -> None:
            line.mending.discard(call_id)
            if not reply["ok"]:
                self._refused(line, call_id, reply["error"], lambda: self._mend(line, call_id))
                return
            result = reply["result"]
            self.progress.calls.setdefault(call_id, Known(result["epoch"], 0))
            line.subscribed.add(call_id)
            line.landing[call_id] = (result["head"], result["done"])
            self._land(line, call_id)

        since = self.progress.since(call_id) or {"seq": 0}
        self._command(line, answered, type="subscribe", call_id=call_id, lanes=self._lanes, since=since)

    def _land(self, line: _Line, call_id: str) -> None:
        """Mended: `*` tells the rest, and the place among the subscriptions is free again."""
        known, landing = self.progress.calls.get(call_id), line.landing.get(call_id)
        if known is None or landing is None or known.seq < landing[0]:
            return
        del line.landing[call_id]
        if landing[1]:
            self._over(line, call_id)
        elif self._all and call_id not in self._wanted and call_id in line.subscribed:
            self._unsubscribe(line, call_id)

    def _over(self, line: _Line | None, call_id: str) -> None:
        """A call has been told to its end: the server has let it go, too."""
        self._wanted.pop(call_id, None)
        if line is not None:
            line.subscribed.discard(call_id)
        if call_id in self.progress.calls:
            self.progress.calls[call_id].done = True

    # -- frames ------------------------------------------------------------------------------------------------------

    async def _take(self, line: _Line | None, frame: Mapping[str, Any]) -> None:
        match frame["type"]:
            case "event":
                self._event(line, frame)
            case "live":
                fields = ("call_id", "live_epoch", "n", "event", "ts", "data")
                self._told.append(Moment(*(frame[name] for name in fields)))
            case "gap":
                self._told.append(Gap(frame["call_id"], frame["from"], frame["to"]))
            case "snapshot":
                self._snapshot(line, frame)
            case "reply" if line is not None:
                line.room.release()
                line.replies.pop(frame["id"])(frame)
            case "ping" if line is not None:
                self._cursor = frame.get("cursor", self._cursor)
                await line.ws.send('{"type":"pong"}')
            case "degraded" | "restored":
                self._told.append(State("live", degraded=frame["type"] == "degraded"))
        told, self._told = self._told, []
        for item in told:
            await self._items.put(item)

    def _event(self, line: _Line | None, frame: Mapping[str, Any]) -> None:
        event = Event(*(frame[name] for name in ("call_id", "epoch", "seq", "event", "ts", "data")))
        found = self.progress.take(event.call_id, event.epoch, event.seq, event.event)
        if found == "hole":
            if line is not None:
                self._mend(line, event.call_id)
            return
        if found == "new":
            self._told.append(event)
            if event.event == "call_completed":
                self._over(line, event.call_id)
        if line is not None:
            self._land(line, event.call_id)

    def _snapshot(self, line: _Line | None, frame: Mapping[str, Any]) -> None:
        call_id = frame["call_id"]
        self.progress.calls[call_id] = Known(frame["epoch"], frame["seq"])
        self._told.append(Snapshot(call_id, frame["epoch"], frame["seq"], frame["state"]))
        if frame["state"].get("status") in TERMINAL:
            self._over(line, call_id)
        if line is not None:
            self._land(line, call_id)

    # -- without a socket --------------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        """Read the journal after what is known, until there is a socket again."""
        while True:
            with suppress(OSError, TimeoutError, ValueError, KeyError):
                await self._poll_once()
            await asyncio.sleep(self._poll_s)

    async def _poll_once(self) -> None:
        if self._all:
            heads = (await self._http("GET", "/api/v1/calls?limit=200"))["calls"]
            first, self._began = not self._began, True
            await self._items.put(Heads(tuple(heads), not first))
            for head in heads:
                known = self.progress.calls.get(head["call_id"])
                if first:
                    self._begin(head)
                elif known is None and head["status"] in TERMINAL:
                    continue
                elif known is None or known.epoch != head["epoch"] or known.seq < head["seq"]:
                    await self._read_on(head["call_id"])
        for id in list(self._wanted):
            await self._read_on(id)

    async def _read_on(self, id: str) -> None:
        while True:
            known, wanted = self.progress.calls.get(id), self._wanted.get(id)
            after = known.seq if known else wanted.seq if wanted else 0
            page = await self._http("GET", f"/api/v1/calls/{quote(id, safe='')}/events?after={after}")
            if known is not None and known.epoch != page["epoch"]:
                state = await self._http("GET", f"/api/v1/calls/{quote(id, safe='')}")
                place = {name: state[name] for name in ("call_id", "epoch", "seq")}
                await self._take(None, {"type": "snapshot", **place, "state": state})
                return
            events = page["events"]
            if not events:
                return
            call_id = events[0]["call_id"]
            if known is None and after:
                self.progress.calls[call_id] = Known(page["epoch"], after)
            for event in events:
                name = "metrics_updated" if event["type"] == "turn_metrics" else event["type"]
                await self._take(None, {**event, "type": "event", "event": name})
            if call_id != id:
                self._named(None, id, call_id)
            if events[-1]["seq"] >= page["seq"]:
                return
            id = call_id
