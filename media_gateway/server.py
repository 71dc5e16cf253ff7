"""Uvicorn, set up for sockets that carry calls, with a drain on SIGTERM.

The WebSocket implementation is named (`direct_socket`): an image without its library then fails at the start. Left to
itself, uvicorn would start, serve HTTP, and answer every upgrade with 404.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from types import FrameType
from typing import TypeVar

import structlog
import uvicorn
from starlette.applications import Starlette

from media_gateway.app import Gateway
from media_gateway.dashboard.connection import MOST_SOCKETS
from media_gateway.direct_socket import DirectSocket
from media_gateway.garbage import Garbage
from media_gateway.settings import Settings
from media_gateway.telephony.media_protocol import MAX_FRAME

DRAIN_S = 6.0
GRACEFUL_S = 2
"""Cloud Run kills 10 s after SIGTERM: 6 s for calls to move, 2 s for what is left, 2 s to spare."""
PING_INTERVAL_S = 20.0
"""Keeps proxies and load balancers from taking a quiet dashboard for a dead one."""
PING_TIMEOUT_S = 300.0
"""Long, because a phone that sleeps or a laptop whose lid is closed for a moment answers late and should not lose its
socket. A call does not wait for this: its timers notice silence in seconds."""
UNACKNOWLEDGED_S = 60.0
"""How long a peer's machine may leave unacknowledged what it was sent. One that sleeps for a while wakes up for it."""
SPARE = 500
"""Connections beside calls and dashboards: webhooks, pages, probes, and what is being refused."""
_log = structlog.get_logger()


def config(app: Starlette, settings: Settings, *, host: str | None = None, port: int | None = None) -> uvicorn.Config:
    """`host` defaults to every interface, in `dev` to loopback; `port` to PORT."""
    return uvicorn.Config(
        app,
        host=host or ("127.0.0.1" if settings.dev else "0.0.0.0"),  # noqa: S104 - a container's own network
        port=settings.port if port is None else port,
        # uvicorn counts every connection, sockets too, and turns away (503) requests only: a flood of requests ends
        # here, calls and dashboards have limits of their own.
        limit_concurrency=settings.callboard_max_calls + MOST_SOCKETS + SPARE,
        loop="auto",  # uvloop where it is installed
        http="h11",  # strict about what is no HTTP; the sockets that are many are ours anyhow
        ws=DirectSocket,
        ws_max_size=MAX_FRAME,  # Twilio's frames are about 400 bytes, a dashboard's commands less than 16 KiB
        ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_TIMEOUT_S,
        ws_per_message_deflate=False,  # mu-law does not shrink, and every frame would pay for the attempt
        lifespan="on",
        log_config=None,
        access_log=False,  # URLs may carry a dashboard's token
        proxy_headers=False,  # nothing here trusts what a proxy says; PUBLIC_BASE_URL says where we are
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_S,
    )


class DrainingServer(uvicorn.Server):
    """On the first SIGTERM or SIGINT: no new streams, dashboards told (1001), calls moved; when none is left, or after
    `drain_s`, uvicorn shuts down as usual. A second signal skips the wait."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, *, drain_s: float = DRAIN_S) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None
        self._garbage: Garbage | None = None
        self._collecting: asyncio.Task[None] | None = None

    def run(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Serve until a signal: this process is ours, and so is when its garbage is collected."""
        self._garbage = Garbage(lambda: bool(len(self._gateway.sessions) or len(self._gateway.connections)))
        super().run(sockets=sockets)  # type: ignore[arg-type]

    @property
    def bound_port(self) -> int:
        """The port that is listened on, once `started`."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Says where it listens, when it does. Raises what keeps the engines from being ready, so that `run` does."""
        self._loop = asyncio.get_running_loop()
        await self._gateway.start()
        await super().startup(sockets=sockets)  # type: ignore[arg-type]
        if self.started:
            for one in self.servers[0].sockets:
                _give_up_on_the_dead(one)
            if self._garbage is not None:
                self._garbage.begin()
                self._collecting = self._loop.create_task(self._garbage.run())
            _log.info("listening", port=self.bound_port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by Python's signal handling, between two instructions of whatever runs."""
        if self._loop is None or self._gateway.sessions.draining:
            super().handle_exit(sig, frame)
            return
        self._gateway.sessions.draining = True
        self._loop.call_soon_threadsafe(self._begin_drain, sig, frame)

    def _begin_drain(self, sig: int, frame: FrameType | None) -> None:
        self._draining = asyncio.get_running_loop().create_task(self._drain(sig, frame))

    async def _drain(self, sig: int, frame: FrameType | None) -> None:
        _log.info("draining", signal=signal.Signals(sig).name, calls=len(self._gateway.sessions))
        try:
            async with asyncio.timeout(self._drain_s):
                await self._gateway.drain()
                await self._gateway.sessions.empty()
        except TimeoutError:
            _log.warning("drain_incomplete", calls=len(self._gateway.sessions))
        finally:
            super().handle_exit(sig, frame)


def _give_up_on_the_dead(listening: socket.socket) -> None:
    """A peer that takes nothing any more is given up by the kernel, with what waits for it; else a socket that was
    closed in vain would stay for ever. Accepted sockets inherit it (Linux)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED_S * 1000))


Kind = TypeVar("Kind", bound=DrainingServer)


def server(
    app: Starlette,
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    kind: type[Kind] = DrainingServer,  # type: ignore[assignment]
) -> Kind:
    """The server of an application made by `create_app`; `run()` or `await serve()` it."""
    return kind(config(app, settings, host=host, port=port), app.state.gateway)
