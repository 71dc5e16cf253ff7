"""A gateway in this process, for tests that want many at once: as `dev` runs it (with its demo shop), on real sockets,
without functions. What it renders at its start can be shared with others, so that only the first one has to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

from argon2 import PasswordHasher

from infra.local.gateway import ready_sessions
from infra.local.simulate import Target
from infra.local.system import free_port
from media_gateway.app import create_app
from media_gateway.conversation.flow import load_flows
from media_gateway.opening import database
from media_gateway.server import DrainingServer, server
from media_gateway.settings import load
from tests.media_gateway.harness import environ

START_S, STOP_S = 120.0, 60.0
_hasher = partial(PasswordHasher, time_cost=1, memory_cost=64)
"""In earnest it takes 64 MiB and a good part of a second, for each of many gateways."""


@contextmanager
def flows_read_once() -> Iterator[None]:
    """It takes most of a second, in which the calls of the other gateways here would stand still."""
    with patch("media_gateway.wiring.load_flows", cache(load_flows)):
        yield


@asynccontextmanager
async def own_gateway(folder: Path, lines: Path, more: Mapping[str, str]) -> AsyncIterator[Target]:
    """Its data are in `folder`, the lines that it rendered in `lines`; `more` is its environment."""
    port = free_port()
    address = {"PORT": str(port), "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}"}
    settings = load(environ(folder, **address, **more))
    settings.callboard_data_dir.mkdir(parents=True)
    (settings.callboard_data_dir / "lines").symlink_to(lines)
    with patch("media_gateway.auth.passwords.PasswordHasher", _hasher):
        app = create_app(settings, build_sessions=ready_sessions)
    running: DrainingServer = server(app, settings, host="127.0.0.1", port=port)
    serving = asyncio.create_task(running._serve())  # without its signal handlers
    try:
        async with asyncio.timeout(START_S):
            while not running.started and not serving.done():
                await asyncio.sleep(0.02)
        if serving.done():
            serving.result()
            raise AssertionError("the gateway has stopped while it started")
        yield Target(
            url=settings.base_url,
            username=settings.admin_username,
            password=settings.admin_password.get_secret_value(),
            auth_token=settings.twilio_auth_token.get_secret_value(),
            zone=ZoneInfo(settings.callboard_timezone),
            database=database(settings),
        )
    finally:
        running.should_exit = True
        await asyncio.wait_for(serving, STOP_S)
