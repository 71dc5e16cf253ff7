"""Fan-out: one event to every socket of an instance, against a bare broadcast of the same pre-encoded frames by the
same WebSocket server. Server and clients are processes of their own; what is compared is the server's CPU per delivery.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvicorn
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

EVENTS = 60
SIZE = 250
"""Characters of text in an event: about what a sentence and its envelope are."""


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _lag(worst: list[float]) -> None:
    """How long the loop was held, seconds."""
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(0.002)
        worst.append(loop.time() - before - 0.002)


class Bare:
    """The floor: accepts, and sends a frame to everybody in slices."""

    def __init__(self) -> None:
        self.open: set[Any] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "callboard.v1"})
        self.open.add(send)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            self.open.discard(send)

    async def broadcast(self, text: str) -> None:
        for n, send in enumerate(list(self.open)):
            await send({"type": "websocket.send", "text": text})
            if n % 48 == 47:
                await asyncio.sleep(0)


async def _serve_bare(sockets: int) -> dict[str, float]:
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
    await asyncio.sleep(1)
    text = json.dumps({"type": "event", "text": "x" * (SIZE + 150)})
    worst: list[float] = []
    lag = asyncio.create_task(_lag(worst))
    cpu = _cpu()
    for _ in range(EVENTS):
        await bare.broadcast(text)
        await asyncio.sleep(0.02)
    used = _cpu() - cpu
    lag.cancel()
    await asyncio.sleep(1)
    server.should_exit = True
    await task
    return {"cpu": used, "lag_max_ms": max(worst) * 1000}


async def _serve_callboard(sockets: int) -> dict[str, float]:
    from media_gateway.app import create_app
    from media_gateway.dashboard.v1.model import Limits
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
        gateway = app.state.gateway
        gateway.connections._most = sockets + 10
        from media_gateway.dashboard.v1.socket import V1Socket

        for route in app.routes:
            socket_ = getattr(getattr(route, "endpoint", None), "__self__", None)
            if isinstance(socket_, V1Socket):
                socket_._limits = Limits(per_user=sockets)
        server: DrainingServer = server_of(app, settings, host="127.0.0.1", port=0)
        server.config.limit_concurrency = sockets + 1000
        task = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.bound_port, flush=True)
        core = gateway.core
        call = await core.journal.open(Call(call_id="CA1"))
        while core.hub.subscriptions.get("*", 0) < sockets:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        worst: list[float] = []
        lag = asyncio.create_task(_lag(worst))
        cpu = _cpu()
        for n in range(EVENTS):
            data = {"turn": n, "speaker": "user", "text": "x" * SIZE, "confidence": None}
            done = await core.journal.append(
                call.call_id, [Draft(EventType.FINAL_TRANSCRIPT, data, f"said:{n}", iso(utcnow()))]
            )
            core.hub.notice(done.call.to_dict())
            await asyncio.sleep(0.02)
        await asyncio.sleep(1)
        while any(len(peer.outbox) for peer in _peers(app, V1Socket)):
            await asyncio.sleep(0.01)
        used = _cpu() - cpu
        lag.cancel()
        server.should_exit = True
        await task
        return {"cpu": used, "lag_max_ms": max(worst) * 1000}


def _peers(app: Any, kind: Any) -> list[Any]:
    for route in app.routes:
        socket_ = getattr(getattr(route, "endpoint", None), "__self__", None)
        if isinstance(socket_, kind):
            return list(socket_._peers)
    return []


async def _clients(port: int, sockets: int, *, v1: bool) -> dict[str, float]:
    """Open them all, and count what comes."""
    from media_gateway.auth import Principal, Tokens
    from tests.media_gateway.harness import KEY

    tokens = Tokens([("k1", KEY)])
    got = 0
    first: dict[int, float] = {}
    late: list[float] = []

    async def one(n: int, gate: asyncio.Semaphore) -> None:
        nonlocal got
        async with gate:
            url = f"ws://127.0.0.1:{port}/ws/v1"
            ws = await connect(
                url, subprotocols=[Subprotocol("callboard.v1")], proxy=None, ping_interval=None, compression=None
            )
            if v1:
                ticket = tokens.ticket(Principal(f"u{n % 50}", "default", "viewer"))
                await ws.send(json.dumps({"id": 1, "type": "connect", "token": ticket}))
                await ws.recv()
                await ws.send(json.dumps({"id": 2, "type": "subscribe", "call_id": "*"}))
                await ws.recv()
        mine = 0
        while mine < EVENTS:
            text = await ws.recv()
            if '"event"' not in str(text):
                await ws.send('{"type":"pong"}')
                continue
            now = time.perf_counter()
            late.append(now - first.setdefault(mine, now))
            mine += 1
            got += 1
        await ws.close()

    gate = asyncio.Semaphore(50)
    await asyncio.gather(*(one(n, gate) for n in range(sockets)))
    late.sort()
    return {"deliveries": got, "spread_p99_ms": late[int(len(late) * 0.99)] * 1000}


async def _run(kind: str, sockets: int) -> dict[str, float]:
    """A server process and this one as its clients."""
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
        line = (await server.stdout.readline()).decode().strip()
        port = int(line) if line.isdigit() else 0
    client = await _clients(port, sockets, v1=kind == "callboard")
    out = (await server.stdout.read()).decode().strip().splitlines()
    await server.wait()
    report: dict[str, float] = json.loads(out[-1])
    return {
        "us_per_delivery": report["cpu"] / client["deliveries"] * 1e6,
        "deliveries_per_core_second": client["deliveries"] / report["cpu"],
        "lag_max_ms": report["lag_max_ms"],
        "spread_p99_ms": client["spread_p99_ms"],
    }


async def measure(sockets: int) -> dict[str, Any]:
    """`ratio`: our deliveries per second of a core over the floor's (at least 0.8 is wanted)."""
    bare, ours = await _run("bare", sockets), await _run("callboard", sockets)
    ratio = ours["deliveries_per_core_second"] / bare["deliveries_per_core_second"]
    return {"sockets": sockets, "bare": bare, "callboard": ours, "ratio": round(ratio, 3)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["bare", "callboard"])
    parser.add_argument("sockets", type=int)
    given = parser.parse_args()
    serve = _serve_bare if given.kind == "bare" else _serve_callboard

    def run() -> dict[str, float]:
        import uvloop

        return uvloop.run(serve(given.sockets))

    print(json.dumps(run()), flush=True)
