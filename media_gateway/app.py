"""The composition root: settings in, a Starlette application out. Nothing else in the gateway reads the environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from media_gateway.analyst import Analyst
from media_gateway.auth.doors import Doors
from media_gateway.auth.gate import Bootstrap, Gate
from media_gateway.auth.login import DemoLogin, Login
from media_gateway.auth.passwords import Passwords
from media_gateway.auth.tokens import Tokens
from media_gateway.browser_voice.socket import VoiceSocket
from media_gateway.calling_out import FLOWS, campaigns_of, flow_names, hosted_calls_of, outbound_of, runner_of
from media_gateway.conversation.flow import load_flows
from media_gateway.core import BuildSessions, Core
from media_gateway.dashboard import openapi
from media_gateway.dashboard.about import about
from media_gateway.dashboard.access import AccessRoutes, Guard
from media_gateway.dashboard.api import Api
from media_gateway.dashboard.audit import Audit
from media_gateway.dashboard.commands import Commands
from media_gateway.dashboard.connection import Connections
from media_gateway.dashboard.connections import Setup
from media_gateway.dashboard.do_not_call import DoNotCall
from media_gateway.dashboard.erasing import Erasing
from media_gateway.dashboard.export import Export
from media_gateway.dashboard.listen import ListenSocket
from media_gateway.dashboard.messages import Messages
from media_gateway.dashboard.numbers import Numbers
from media_gateway.dashboard.page import Page
from media_gateway.dashboard.people import People
from media_gateway.dashboard.ports import DemoCall
from media_gateway.dashboard.sockets import EventsSocket, TranscriptionsSocket
from media_gateway.dashboard.takeover import TakeoverSocket
from media_gateway.dashboard.v1.cursor import Cursors
from media_gateway.dashboard.v1.socket import V1Socket
from media_gateway.http_errors import ApiError, on_api_error, on_failure, on_http_exception, on_poisoned, on_unavailable
from media_gateway.last_seen import LastSeen, SeenBlobs, SeenBus
from media_gateway.letters import places
from media_gateway.middleware import BodyDeadline, HostCheck, SecurityHeaders, TooLarge
from media_gateway.opening import blobs_of, open_bus, open_store
from media_gateway.providers.analysers import build_analyser
from media_gateway.settings import Settings
from media_gateway.telephony import media_stream, posts
from media_gateway.telephony.busy import BusyLine
from media_gateway.telephony.campaign_runner import Runner
from media_gateway.telephony.directory import person_of
from media_gateway.telephony.handoff_routes import Handoffs
from media_gateway.telephony.outbound import Outbound
from media_gateway.telephony.sessions import Sessions
from media_gateway.telephony.signature import Signatures
from media_gateway.telephony.webhooks import Webhooks
from media_gateway.voice.ports import Line, Session, SessionFactory, StartedStream
from realtime.abandoned import end_abandoned
from realtime.accounts import Accounts
from realtime.blobs import BlobsUnavailable
from realtime.bus.port import Bus
from realtime.call import PoisonedHead
from realtime.clock import utcnow
from realtime.commands import expire
from realtime.dead_letters import Letters
from realtime.erasure import Eraser
from realtime.hub import Hub
from realtime.journal import Journal
from realtime.keeping import Job
from realtime.live_lane import LiveLane
from realtime.numbers.ledger import Ledger
from realtime.retention import SWEEP_EVERY_S, sweep
from realtime.stores.port import DocumentStore, StoreUnavailable

MAX_BODY = 2 * 1024 * 1024
RETIRE_EVERY_S = 30.0
PROBE_S = 2.0
FEED_LOST_S = 120.0
"""How long the feed of heads may be lost before this instance is not ready any more."""
_log = structlog.get_logger()


class Gateway:
    """The parts of one application, for its server, its tests and the commands that run it in process
    (`app.state.gateway`)."""

    def __init__(self, core: Core, sessions: Sessions, connections: Connections, build: BuildSessions) -> None:
        self.core, self.sessions, self.connections = core, sessions, connections
        analyser = build_analyser(core.settings)
        self.analyst = Analyst(core.journal, analyser)
        sessions.ended.append(self.analyst.ended)
        core.closing.push_async_callback(analyser.aclose)
        self.campaigns: Runner | None = None
        """None where no calls can be placed."""
        self._build = build
        self._factory: SessionFactory | None = None

    async def start(self) -> None:
        """Make the engines ready, unless they are or this instance serves no calls. Raises what their making raises.

        The lifespan does it too; whoever runs the server may do it before, to meet what is wrong as an exception.
        """
        if self.core.settings.callboard_role == "dashboard":
            flows = load_flows(self.core.settings.callboard_flows_dir or FLOWS)
            self.core.people.update({name: person_of(flow) for name, flow in flows.items()})
        elif self._factory is None:
            try:
                self._factory = await self._build(self.core)
            except BaseException:
                await self.aclose()  # who starts it before the lifespan does, never comes to its end
                raise

    async def aclose(self) -> None:
        """Let go of what the parts hold; safe to call twice."""
        await self.core.closing.aclose()
        await self.core.bus.aclose()
        await self.core.store.aclose()

    def session(self, started: StartedStream, line: Line) -> Session:
        """A new call. The server takes no request before `start` is done."""
        if self._factory is None:
            raise RuntimeError("a media stream came in before the engines were ready")
        return self._factory(started, line)

    async def drain(self) -> None:
        """This instance goes away: calls move, dashboards are sent elsewhere. Returns when both have been told."""
        self.sessions.drain()
        await self.connections.drain()


def create_app(
    settings: Settings,
    *,
    build_sessions: BuildSessions,
    store: DocumentStore | None = None,
    bus: Bus | None = None,
    demo_login: DemoLogin | None = None,
    demo_call: DemoCall | None = None,
    limits: media_stream.Limits | None = None,
) -> Starlette:
    """`store` and `bus` are opened as the settings say unless given; the application closes them in any case.
    `demo_login` and `demo_call` are for `dev`."""
    store = store or open_store(settings)
    bus = bus or open_bus(settings)
    journal = Journal(store, retention_days=settings.callboard_retention_days)
    seen = LastSeen()
    hub = Hub(journal, store.feed())
    place = blobs_of(settings)
    blobs = place and SeenBlobs(place, seen)
    core = Core(settings, store, journal, SeenBus(bus, seen), hub, blobs=blobs, seen=seen)
    tokens = Tokens(settings.jwt_keys)
    doors = Doors(settings.public_host, settings.dev, settings.generated, settings.on_cloud_run)
    accounts = Accounts(store)
    root = Bootstrap(settings.admin_username, settings.admin_password.get_secret_value())
    gate = Gate(tokens, accounts, root if root.username else None)
    connections = Connections(gate=gate, journal=journal, doors=doors)
    sessions = Sessions(max_calls=settings.callboard_max_calls, lag=core.lag, max_lag_ms=settings.callboard_max_lag_ms)
    gateway = Gateway(core, sessions, connections, build_sessions)
    routes: list[BaseRoute] = [
        Route("/livez", _livez, methods=["GET"]),
        Route("/readyz", _readyz, methods=["GET"]),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]
    outbound = outbound_of(core, Guard(gate))
    gateway.campaigns = None if outbound.missing else runner_of(core, outbound)
    if settings.callboard_role in ("all", "media"):
        routes += _media_routes(gateway, tokens, outbound, limits or media_stream.Limits())
    if settings.callboard_role in ("all", "dashboard"):
        routes += [*outbound.routes()]
        routes += _dashboard_routes(gateway, gate, accounts, doors, outbound, demo_login, demo_call)
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders, https=settings.base_url.startswith("https:")),
            Middleware(HostCheck, doors=doors),
            Middleware(BodyDeadline),
            Middleware(TooLarge),
            Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY),
        ],
        exception_handlers={
            ApiError: on_api_error,
            HTTPException: on_http_exception,
            StoreUnavailable: on_unavailable,
            PoisonedHead: on_poisoned,
            Exception: on_failure,
        },
        lifespan=lambda _app: _lifespan(gateway),
    )
    app.state.gateway = gateway
    app.state.openapi = openapi.document(routes, base_url=settings.base_url, version=gateway_version())
    return app


def _media_routes(gateway: Gateway, tokens: Tokens, outbound: Outbound, limits: media_stream.Limits) -> list[BaseRoute]:
    core = gateway.core
    token = core.settings.twilio_auth_token.get_secret_value()

    def noted(fits: bool) -> None:
        if fits:
            core.seen.ok("twilio")
        else:
            core.seen.wrong("twilio", "A request came whose signature does not fit.")

    signatures = Signatures(token, core.settings.base_url, noted)

    handoffs = Handoffs(
        signatures=signatures,
        tokens=tokens,
        journal=core.journal,
        base_url=core.settings.base_url,
        socket_base_url=core.settings.socket_base_url,
        directory=core.directory,
        noticed=core.notice,
    )
    busy = BusyLine(
        signatures=signatures,
        store=core.store,
        journal=core.journal,
        retention=timedelta(days=core.settings.callboard_retention_days),
    )
    webhooks = Webhooks(
        signatures=signatures,
        tokens=tokens,
        journal=core.journal,
        bus=core.bus,
        sessions=gateway.sessions,
        socket_base_url=core.settings.socket_base_url,
        handoffs=handoffs,
        busy=busy,
        handoff_number=core.settings.handoff_number,
        noticed=core.notice,
        appeared=outbound.appeared,
    )
    stream = media_stream.MediaStream(
        signatures=signatures,
        tokens=tokens,
        journal=core.journal,
        sessions=gateway.sessions,
        factory=gateway.session,
        limits=limits,
    )
    voice = VoiceSocket(
        connections=gateway.connections,
        journal=core.journal,
        hub=core.hub,
        sessions=gateway.sessions,
        factory=gateway.session,
        flows=lambda: flow_names(core.settings),
    )
    return [
        *webhooks.routes(),
        *busy.routes(),
        *handoffs.routes(),
        WebSocketRoute(media_stream.PATH, stream.serve),
        WebSocketRoute("/ws/voice", voice.serve),
    ]


def _dashboard_routes(
    gateway: Gateway,
    gate: Gate,
    accounts: Accounts,
    doors: Doors,
    outbound: Outbound,
    demo_login: DemoLogin | None,
    demo_call: DemoCall | None,
) -> list[BaseRoute]:
    core, connections = gateway.core, gateway.connections
    settings, guard, passwords = core.settings, Guard(gate), Passwords()
    login = Login(gate, accounts, passwords=passwords)
    access = AccessRoutes(gate=gate, login=login, doors=doors, guard=guard, demo=demo_login)
    ledger = Ledger(core.journal, core.store, ZoneInfo(settings.callboard_timezone))
    api = Api(
        journal=core.journal,
        ledger=ledger,
        guard=guard,
        sessions=gateway.sessions,
        about={**about(settings, demo=demo_call is not None), "flows": sorted(flow_names(settings))},
        demo_call=demo_call,
    )
    transcriptions = TranscriptionsSocket(connections, core.hub, core.journal)
    events = EventsSocket(connections, core.hub, core.journal, browser_voice=settings.enable_webrtc_broadcast)
    v1 = V1Socket(connections, core.hub, core.journal, gate, Cursors(settings.jwt_keys))
    listen = ListenSocket(connections, core.journal, gateway.sessions, core.store)
    takeover = TakeoverSocket(connections, core.journal, gateway.sessions)
    commands = Commands(
        journal=core.journal,
        guard=guard,
        sessions=gateway.sessions,
        directory=core.directory,
        end=outbound.hangup,
        noticed=core.notice,
    )
    return [
        *access.routes(),
        *People(access=access, accounts=accounts, passwords=passwords).routes(),
        *api.routes(),
        *Export(journal=core.journal, store=core.store, guard=guard, blobs=core.blobs).routes(),
        *Numbers(ledger=ledger, guard=guard).routes(),
        *commands.routes(),
        *DoNotCall(store=core.store, guard=guard).routes(),
        *Messages(store=core.store, guard=guard).routes(),
        *Audit(store=core.store, guard=guard).routes(),
        *_erasing(core, guard).routes(),
        *Setup(
            settings=settings,
            store=core.store,
            journal=core.journal,
            hub=core.hub,
            seen=core.seen,
            guard=guard,
            files=core.blobs is not None,
        ).routes(),
        *campaigns_of(core, guard, outbound).routes(),
        *hosted_calls_of(core, guard).routes(),
        WebSocketRoute("/ws/calls/transcriptions", transcriptions.serve),
        WebSocketRoute("/ws/events", events.serve),
        WebSocketRoute("/ws/v1", v1.serve),
        WebSocketRoute("/api/v1/calls/{call_id}/listen", listen.serve),
        WebSocketRoute("/api/v1/calls/{call_id}/takeover", takeover.serve),
        *Page(base_url=settings.base_url).routes(),
    ]


def _erasing(core: Core, guard: Guard) -> Erasing:
    days = core.settings.callboard_retention_days
    eraser = Eraser(core.store, core.blobs, Letters(places(core.settings, core.store)), days=days)
    return Erasing(journal=core.journal, guard=guard, eraser=eraser)


@asynccontextmanager
async def _lifespan(gateway: Gateway) -> AsyncIterator[None]:
    core = gateway.core
    try:
        await gateway.start()
        lane = LiveLane(core.store, core.hub.show, core.hub.watched)
        core.hub.on_live.append(lane.offer)
        jobs: dict[str, Job] = {
            "hub": core.hub.run,
            "live_lane": lane.run,
            "analyst": gateway.analyst.run,
            "analyst_patrol": lambda: gateway.analyst.patrol(RETIRE_EVERY_S),
            "retire": lambda: core.keeper.each("retire", RETIRE_EVERY_S, *_retiring(core, gateway.analyst)),
            "sweep": lambda: _sweep(core),
            "loop_lag": core.lag.run,
            "posts": lambda: posts.watch(core.store, gateway.sessions, core.instance),
        }
        if gateway.campaigns is not None:
            jobs["campaigns"] = gateway.campaigns.run
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(core.keeper.keep(name, job), name=name) for name, job in jobs.items()]
            yield
            for task in tasks:
                task.cancel()
    finally:
        await gateway.aclose()


def _retiring(core: Core, analyst: Analyst) -> tuple[Job, ...]:
    """Calls that ended a while ago leave the active ones, commands that nobody took are refused, and calls that nobody
    will end are ended; whichever instance gets there first does it."""

    async def retire() -> None:
        await core.journal.retire(stays=analyst.waits)

    async def refuse() -> None:
        await expire(core.journal, core.store, utcnow())

    async def end() -> None:
        for call in await end_abandoned(core.journal):
            _log.warning("call_abandoned", call_id=call.call_id, status=call.status.value)

    return retire, refuse, end


async def _sweep(core: Core) -> None:
    """What has expired goes: on a laptop by us, in the cloud by Google."""
    if core.settings.callboard_store != "embedded":
        return
    while True:
        try:
            await sweep(core.store, core.blobs, days=core.settings.callboard_retention_days, now=utcnow())
        except (StoreUnavailable, BlobsUnavailable):
            _log.exception("sweep_failed")
        await asyncio.sleep(SWEEP_EVERY_S)


async def _livez(_request: Request) -> Response:
    """This process answers."""
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> Response:
    """This instance can take calls: the store answers, and it is not going away."""
    gateway: Gateway = request.app.state.gateway
    heard_at = gateway.core.hub.feeding.heard_at
    body: dict[str, Any] = {
        "status": "ready",
        "store": "ok",
        "feed": gateway.core.hub.state.value,
        "feed_heard_s": None if heard_at is None else round(asyncio.get_running_loop().time() - heard_at, 1),
        "calls": len(gateway.sessions),
        "dashboards": len(gateway.connections),
        "loop_lag_ms": round(gateway.core.lag.ms(), 1),
        "job_faults": gateway.core.keeper.faults.total(),
    }
    if gateway.sessions.draining:
        body["status"] = "draining"
    try:
        async with asyncio.timeout(PROBE_S):
            await gateway.core.store.get("probes/ready")
    except (StoreUnavailable, TimeoutError):
        body |= {"status": "unavailable", "store": "unreachable"}
    lost_at = gateway.core.hub.degraded_at
    if lost_at is not None and asyncio.get_running_loop().time() - lost_at > FEED_LOST_S:
        body["status"] = "unavailable"  # dashboards are better served by another instance
    return JSONResponse(body, 200 if body["status"] == "ready" else 503)


async def _openapi(request: Request) -> Response:
    """This document."""
    return JSONResponse(request.app.state.openapi)


def gateway_version() -> str:
    """Of the package."""
    try:
        return version("callboard")
    except PackageNotFoundError:
        return "0.1.0"
