"""The server's options, and what SIGTERM does to those who are connected, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from media_gateway.app import create_app
from media_gateway.auth import Tokens
from media_gateway.core import Core
from media_gateway.direct_socket import DirectSocket
from media_gateway.server import DRAIN_S, GRACEFUL_S, server
from media_gateway.settings import load
from media_gateway.voice.ports import ProviderFault, SessionFactory
from realtime.stores.port import StoreUnavailable
from tests.media_gateway.harness import VIEWER, closed, environ, gateway

pytestmark = pytest.mark.anyio

SERVE = """
import asyncio, sys
from pathlib import Path
from media_gateway import logs
from media_gateway.app import create_app
from media_gateway.server import server
from media_gateway.settings import load
from tests.media_gateway.harness import NotedSession, environ

settings = load(environ(Path(sys.argv[1])))
logs.configure("DEBUG")

async def build(core):
    return NotedSession

server(create_app(settings, build_sessions=build), settings, host="127.0.0.1", port=0).run()
"""


async def test_the_options(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        config = running.server.config
        assert config.ws is DirectSocket
        assert config.ws_max_size == 64 * 1024
        assert config.ws_per_message_deflate is False
        assert (config.ws_ping_interval, config.ws_ping_timeout) == (20.0, 300.0)
        assert config.access_log is False
        assert DRAIN_S + GRACEFUL_S <= 8
        async with running.socket(f"/ws/events?token={running.tokens.access(VIEWER)}") as ws:
            assert ws.response is not None
            assert "Sec-WebSocket-Extensions" not in ws.response.headers


async def test_an_upgrade_where_there_is_no_socket(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        with pytest.raises(InvalidStatus) as refused:
            await running.socket("/ws/nothing")
        assert refused.value.response.status_code == 403


async def test_sigterm_tells_everyone_and_ends_in_time(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, str(tmp_path)),
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert b"listening" in line, (line, await process.stderr.read())
        port = int(line.split(b'"port": ')[1].split(b",")[0])
        token = Tokens(load(environ(tmp_path)).jwt_keys).access(VIEWER)
        address = {"host": "127.0.0.1", "port": port}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert (await http.get("/readyz")).status_code == 200
        uri = f"ws://calls.example.com/ws/events?token={token}"
        async with connect(uri, host="127.0.0.1", port=address["port"], proxy=None) as ws:
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await closed(ws) == 1001
            assert time.monotonic() - began < 1
        rest, errors = await asyncio.wait_for(process.communicate(), 10)
        assert process.returncode in (0, -signal.SIGTERM)
        assert time.monotonic() - began < DRAIN_S + GRACEFUL_S
        assert b"draining" in rest
        assert token.encode() not in rest + errors, "URLs with tokens are kept out of every log"
        assert b"Traceback" not in errors
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_start_that_fails_lets_go_of_what_it_holds(tmp_path: Path) -> None:
    """Whoever runs the server starts the gateway before the lifespan does, which then never comes to its end."""
    let_go: list[str] = []

    async def build(core: Core) -> SessionFactory:
        async def close() -> None:
            let_go.append("engine")

        core.closing.push_async_callback(close)
        raise ProviderFault("openai", "unauthorized", "a wrong key")

    settings = load(environ(tmp_path))
    app = create_app(settings, build_sessions=build)
    with pytest.raises(ProviderFault):
        await server(app, settings, host="127.0.0.1", port=0).startup()
    assert let_go == ["engine"]
    with pytest.raises(StoreUnavailable):
        await app.state.gateway.core.store.get("calls/CA1")
