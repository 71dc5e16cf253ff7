"""Fan-out: one event to every socket of an instance, against two bare broadcasts of the same text by the same WebSocket
server: `bare` hands it to the server's `send` for each socket, `raw` writes one pre-encoded frame to each transport.

The server has one core and the clients, a process of their own, another. What is compared is the server's CPU per
delivery; the delay is from the beginning of a broadcast to a client's having the frame, on one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from websockets.frames import Frame, Opcode

from tests.bench.bare_socket import BareSocket

EVENTS = 60
SIZE = 250
"""Characters of text in an event: about what a sentence and its envelope are."""
PACE_S = 40e-6
"""Between two events, for each socket: a core is busy about half of the time."""
KINDS = ("bare", "raw", "callboard")
_TURN = re.compile(rb'"turn":(\d+)')
Tell = Callable[[int], Coroutine[Any, Any, None]]


def _core(number: int) -> None:
    """Stay on this core, if there are several."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {number})


def _files(sockets: int) -> None:
    """Room for as many sockets. Raises ValueError where the system allows no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(sockets + 500, soft), hard))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _lag(seen: list[float]) -> None:
    """How long the loop was held, ms."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.002)
        seen.append((time.perf_counter() - before - 0.002) * 1000)


class Pauses:
    """How long Python's garbage collector stops everything, ms."""

    def __init__(self) -> None:
        self.longest, self._began = 0.0, 0.0
        gc.callbacks.append(self._told)

    def _told(self, phase: str, _info: object) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        else:
            self.longest = max(self.longest, (now - self._began) * 1000)


async def _broadcasts(sockets: int, tell: Tell, told: Callable[[], bool]) -> dict[str, Any]:
    """All events, at their pace, until everything is written. `idle_lag_max_ms`: of a second without any.

    What opening so many sockets has left to Python's garbage collector is collected before; what is collected meanwhile
    is part of the lag, and told beside it."""
    idle, busy = list[float](), list[float]()
    at = time.perf_counter()
    gc.collect()
    full = (time.perf_counter() - at) * 1000
    pauses = Pauses()
    watch = asyncio.create_task(_lag(idle))
    await asyncio.sleep(1)
    watch.cancel()
    watch = asyncio.create_task(_lag(busy))
    cpu, began = _cpu(), list[float]()
    for n in range(EVENTS):
        at = time.perf_counter()
        began.append(at)
        await tell(n)
        await asyncio.sleep(max(0.0, at + sockets * PACE_S - time.perf_counter()))
    while not told():
        await asyncio.sleep(0.01)
    used = _cpu() - cpu
    watch.cancel()
    busy.sort()
    lag = {"lag_max_ms": busy[-1], "lag_p99_ms": busy[int(len(busy) * 0.99)], "idle_lag_max_ms": max(idle)}
    lag |= {"gc_lag_max_ms": pauses.longest, "gc_full_lag_ms": full}
    return {"cpu": used, "began": began, **lag}


class Bare:
    """The floor: accepts, and sends to everybody in slices."""

    def __init__(self) -> None:
        self.open: dict[Any, asyncio.Transport] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "callboard.v1"})
        self.open[send] = send.__self__.transport
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            self.open.pop(send, None)

    async def send(self, n: int) -> None:
        """By the server's own `send`."""
        text = _bare_text(n)
        for index, send in enumerate(list(self.open)):
            await send({"type": "websocket.send", "text": text})
            if index % 48 == 47:
                await asyncio.sleep(0)

    async def write(self, n: int) -> None:
        """One frame, to every transport."""
        frame = Frame(Opcode.TEXT, _bare_text(n).encode()).serialize(mask=False)
        for index, transport in enumerate(list(self.open.values())):
            transport.write(frame)
            if index % 48 == 47:
                await asyncio.sleep(0)


def _bare_text(n: int) -> str:
    return json.dumps({"type": "event", "turn": n, "text": "x" * (SIZE + 150)}, separators=(",", ":"))


async def _serve_bare(kind: str, sockets: int) -> dict[str, Any]:
    bare = Bare()
    config = uvicorn.Config(bare, port=0, loop="auto", ws="websockets-sansio", log_level="error", lifespan="off")
    config.ws_per_message_deflate = False
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    while len(bare.open) < sockets:
        await asyncio.sleep(0.05)
    report = await _broadcasts(sockets, bare.send if kind == "bare" else bare.write, lambda: True)
    await _end(server, task)
    return report


async def _serve_callboard(_kind: str, sockets: int) -> dict[str, Any]:
    from media_gateway.app import create_app
    from media_gateway.dashboard.v1.model import Limits
    from media_gateway.dashboard.v1.socket import V1Socket
    from media_gateway.garbage import Garbage
    from media_gateway.server import DrainingServer
    from media_gateway.server import server as server_of
    from media_gateway.settings import load
    from realtime.call import Call
    from realtime.clock import iso, utcnow
    from realtime.events import Draft, EventType
    from tests.media_gateway.harness import environ

    with tempfile.TemporaryDirectory() as folder:
        settings = load(environ(Path(folder), CALLBOARD_ROLE="dashboard", PUBLIC_BASE_URL="", PORT="0"))
        app = create_app(settings, build_sessions=None)  # type: ignore[arg-type]  # no calls are served
        app.state.gateway.connections._most = sockets + 10
        owners = [getattr(getattr(route, "endpoint", None), "__self__", None) for route in app.routes]
        endpoint = next(owner for owner in owners if isinstance(owner, V1Socket))
        endpoint._limits = Limits(per_user=sockets)
        server: DrainingServer = server_of(app, settings, host="127.0.0.1", port=0)
        server.config.limit_concurrency = sockets + 1000
        task = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.bound_port, flush=True)
        Garbage(lambda: True).begin()  # as `run` does
        core = app.state.gateway.core
        await core.journal.open(Call(call_id="CA1"))
        while core.hub.subscriptions.get("*", 0) < sockets:
            await asyncio.sleep(0.05)

        async def tell(n: int) -> None:
            data = {"turn": n, "speaker": "user", "text": "x" * SIZE, "confidence": None}
            draft = Draft(EventType.FINAL_TRANSCRIPT, data, f"said:{n}", iso(utcnow()))
            core.hub.notice((await core.journal.append("CA1", [draft])).call.to_dict())

        def told() -> bool:
            return not core.hub._slices.waiting and not any(len(peer.outbox) for peer in endpoint._peers)

        report = await _broadcasts(sockets, tell, told)
        await _end(server, task)
        return report


async def _end(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    await asyncio.sleep(1)
    server.should_exit = True
    await task


class Clients:
    """Sockets without a task of their own: every frame that comes is counted, with the moment it came."""

    def __init__(self, sockets: int, *, v1: bool) -> None:
        self.came: list[tuple[int, float]] = []
        self.all_came = asyncio.Event()
        self._sockets, self._v1 = sockets, v1
        self._open: list[BareSocket] = []

    async def open(self, port: int) -> None:
        """All of them, 50 at a time."""
        from media_gateway.auth import Principal, Tokens
        from tests.media_gateway.harness import KEY

        tokens, gate = Tokens([("k1", KEY)]), asyncio.Semaphore(50)

        async def one(number: int) -> None:
            async with gate:
                ready = asyncio.Event()
                box: list[BareSocket] = []
                socket = await BareSocket.connect(
                    f"ws://127.0.0.1:{port}/ws/v1",
                    {"Sec-WebSocket-Protocol": "callboard.v1"},
                    lambda data, _text: self._take(data, box, ready),
                )
                box.append(socket)
                self._open.append(socket)
                if self._v1:
                    ticket = tokens.ticket(Principal(f"u{number % 50}", "default", "viewer"))
                    socket.send_text(json.dumps({"id": 1, "type": "connect", "token": ticket}))
                    socket.send_text(json.dumps({"id": 2, "type": "subscribe", "call_id": "*"}))
                    await ready.wait()

        await asyncio.gather(*(one(number) for number in range(self._sockets)))

    def _take(self, data: bytes, box: list[BareSocket], ready: asyncio.Event) -> None:
        if data.startswith(b'{"type":"event"'):
            turn = _TURN.search(data)
            assert turn is not None
            self.came.append((int(turn[1]), time.perf_counter()))
            if len(self.came) == self._sockets * EVENTS:
                self.all_came.set()
        elif b'"heads"' in data:
            ready.set()
        elif data == b'{"type":"ping"}' or b'"ping"' in data[:20]:
            box[0].send_text('{"type":"pong"}')

    def close(self) -> None:
        """All of them."""
        for socket in self._open:
            if not socket.transport.is_closing():
                socket.close()


async def _run(kind: str, sockets: int) -> dict[str, Any]:
    """A server process, and this one as its clients."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.fanout",
        kind,
        str(sockets),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "LOG_LEVEL": "WARNING"},
    )
    assert server.stdout
    port = 0
    while not port:
        line = await server.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ({kind}) ended with {await server.wait()}")
        with suppress(ValueError):
            port = int(line)
    clients = Clients(sockets, v1=kind == "callboard")
    await clients.open(port)
    async with asyncio.timeout(120):
        await clients.all_came.wait()
        out = (await server.stdout.read()).decode().strip().splitlines()
        await server.wait()
    clients.close()
    report: dict[str, Any] = json.loads(out[-1])
    late = sorted(came - report["began"][turn] for turn, came in clients.came)
    deliveries = len(late)
    return {
        "us_per_delivery": round(report["cpu"] / deliveries * 1e6, 2),
        "deliveries_per_core_second": round(deliveries / report["cpu"]),
        "delay_p50_ms": round(late[deliveries // 2] * 1000, 1),
        "delay_p99_ms": round(late[int(deliveries * 0.99)] * 1000, 1),
        **{key: round(value, 2) for key, value in report.items() if "lag" in key},
    }


async def measure(sockets: int) -> dict[str, Any]:
    """`ratio_bare`, `ratio_raw`: our deliveries per second of a core over the floors' (at least 0.8 is wanted)."""
    _files(sockets)
    _core(1)
    results = {kind: await _run(kind, sockets) for kind in KINDS}
    ours = results["callboard"]["deliveries_per_core_second"]
    ratios = {f"ratio_{kind}": round(ours / results[kind]["deliveries_per_core_second"], 3) for kind in KINDS[:2]}
    return {"sockets": sockets, **results, **ratios}


async def serve(kind: str, sockets: int) -> dict[str, Any]:
    """The server's process."""
    _files(sockets)
    _core(0)
    return await (_serve_callboard if kind == "callboard" else _serve_bare)(kind, sockets)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("sockets", type=int)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(serve(given.kind, given.sockets))), flush=True)
