"""From the settings to a factory of calls: engines, flows, tools and rendered lines, put together once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import structlog

from media_gateway.app import gateway_version
from media_gateway.conversation.flow import Flow, choose_flow, load_flows
from media_gateway.conversation.manager import Manager
from media_gateway.conversation.model import ConversationState, Input, ListeningProfile, Started, Step
from media_gateway.conversation.shipped import FLOWS, check_tools
from media_gateway.core import Core
from media_gateway.providers.catalog import build_engines
from media_gateway.providers.nhtsa import Nhtsa
from media_gateway.providers.seen_engines import SeenEngines
from media_gateway.telephony.directory import person_of
from media_gateway.telephony.outbound import twilio_of
from media_gateway.telephony.sms import TextAlert, TwilioTexts
from media_gateway.tools.alerts import Alerter, log_only
from media_gateway.tools.customers import CachedLookup, caller_lookup
from media_gateway.tools.router import Router
from media_gateway.tools.services import Services
from media_gateway.voice.audience import Contained
from media_gateway.voice.clauses import Clauser
from media_gateway.voice.parts import Parts, Patience
from media_gateway.voice.ports import (
    Engines,
    Line,
    ProviderFault,
    Rendering,
    Session,
    SessionFactory,
    StartedStream,
    Voice,
    Warmable,
)
from media_gateway.voice.recording import Recorder
from media_gateway.voice.session import CallSession
from media_gateway.voice.spoken_form import to_spoken
from media_gateway.voice.telemetry import Nobody, Telemetry
from realtime.clock import utcnow

log = structlog.get_logger()

RENDERS_AT_ONCE = 2
OPENER = "Hello!"


@dataclass(frozen=True, slots=True)
class Desk:
    """A flow's manager as a call sees it (`voice.parts.Conversing`)."""

    flow: Flow
    manager: Manager
    tools: frozenset[str]
    """What there is: a flow may name a tool that this installation has not got."""

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.flow.name

    @property
    def listening(self) -> ListeningProfile:
        """Before the first directive: anything may be said."""
        return self.flow.profiles["free"]

    @property
    def approval(self) -> Collection[str]:
        """As the flow's file has it."""
        return self.flow.spec.approval

    @property
    def recorded(self) -> bool:
        """As the flow's file has it."""
        return self.flow.spec.record

    def begin(self) -> ConversationState:
        """The state before `Started`."""
        return self.manager.start()

    def step(self, state: ConversationState, event: Input) -> Step:
        """Pure."""
        step = self.manager.step(state, event)
        allowed = tuple(name for name in step.directive.allowed_tools if name in self.tools)
        if len(allowed) == len(step.directive.allowed_tools):
            return step
        return replace(step, directive=replace(step.directive, allowed_tools=allowed))


async def build_sessions(core: Core) -> SessionFactory:
    """Raises FlowError for a flow file that is wrong, ProviderFault for an engine that cannot be had."""
    settings = core.settings
    flows = load_flows(settings.callboard_flows_dir or FLOWS)
    check_tools(flows, Router().names)
    engines = build_engines(settings)
    for engine in (engines.ears, engines.mind, engines.voice):
        if isinstance(engine, Warmable):
            core.closing.push_async_callback(engine.aclose)
            await engine.warm()
    tools = Router(services=build_services(core))
    desks = {name: Desk(flow, Manager(flow), frozenset(tools.names)) for name, flow in flows.items()}
    core.people.update({name: person_of(flow) for name, flow in flows.items()})
    find = CachedLookup(caller_lookup(core.store))

    def choose(wanted: str | None, started: Started) -> Desk:
        return desks[wanted if wanted in desks else choose_flow(flows, started)]

    async def lookup(org: str, phone: str) -> Mapping[str, Any] | None:
        try:
            return await find(org, phone)
        except (KeyError, ValueError, TypeError):
            log.exception("customer_record_broken", org=org)
            return None

    draft = Parts(
        journal=core.journal,
        store=core.store,
        audience=Contained(core.hub),
        engines=engines,
        choose=choose,
        tools=tools,
        instance=core.instance,
        zone=next(iter(flows.values())).zone,
        lookup=lookup,
        opener=OPENER if settings.callboard_tts != "embedded" else "",  # that voice takes no time
        patience=Patience(longest=settings.callboard_max_call_minutes * 60.0),
        telemetry=SeenEngines(engines, core.seen, build_telemetry(core, engines)),
        recorder=build_recorder(core),
    )
    lines = [*draft.lines, *greetings(desks)]
    parts = replace(draft, prerendered=await render(engines.voice, lines))

    def session(started: StartedStream, line: Line) -> Session:
        return CallSession(parts, started, line)

    return session


def build_recorder(core: Core) -> Recorder | None:
    """None where calls are not recorded, or there is no place for their sound."""
    if not core.settings.callboard_record or core.blobs is None:
        return None
    return Recorder(
        blobs=core.blobs,
        journal=core.journal,
        store=core.store,
        clock=utcnow,
        monotonic=time.monotonic,
        noticed=core.notice,
    )


def build_telemetry(core: Core, engines: Engines) -> Telemetry:
    """Nobody, unless there is a collector; the SDK is imported only then."""
    if not core.settings.otel_exporter_otlp_endpoint:
        return Nobody()
    from media_gateway.providers.otel import OpenTelemetry

    model = core.settings.openai_model if core.settings.callboard_llm == "openai" else core.settings.callboard_llm
    telemetry = OpenTelemetry(engines, version=gateway_version(), model=model, lag_ms=core.lag.ms)

    async def close() -> None:
        await asyncio.to_thread(telemetry.close)

    core.closing.push_async_callback(close)
    return telemetry


def build_services(core: Core) -> Services:
    """What tools need from outside; closed with the application. Text messages need a whole Twilio account."""
    settings, closing = core.settings, core.closing
    twilio, _ = twilio_of(settings, closing)
    messenger = TwilioTexts(twilio, settings.twilio_phone_number or "") if twilio else None
    vins = Nhtsa(settings.nhtsa_base_url)
    closing.push_async_callback(vins.aclose)
    owner = settings.callboard_alert_phone
    alerts = Alerter(core.store, TextAlert(messenger, owner) if messenger and owner else log_only)
    telling = asyncio.create_task(alerts.run(), name="alerts")

    async def stop() -> None:
        telling.cancel()
        await asyncio.wait({telling})

    closing.push_async_callback(stop)
    return Services(messenger=messenger, vins=vins, alerts=alerts, retention_days=settings.callboard_retention_days)


def greetings(desks: Mapping[str, Desk]) -> list[str]:
    """What each flow says first to a caller nobody knows, clause by clause as the voice will be given it."""
    clauses: list[str] = []
    for desk in desks.values():
        now = utcnow().astimezone(desk.flow.zone)
        for moment in (now, now.replace(hour=3)):  # by day and by night: the shop may be closed
            clauser = Clauser()
            clauses += clauser.feed(desk.step(desk.begin(), Started(moment.isoformat())).directive.say)
            clauses += clauser.flush()
    return list(dict.fromkeys(clauses))


async def render(voice: Voice, lines: list[str]) -> dict[str, bytes]:
    """Lines that must be there at once, rendered before the first call. One that cannot be rendered is left to the
    voice, and a voice that renders nothing is a start that fails."""
    limit = asyncio.Semaphore(RENDERS_AT_ONCE)
    rendered: dict[str, bytes] = {}
    faults: list[ProviderFault] = []

    async def one(line: str) -> None:
        async with limit:
            try:
                rendered[line] = await voice.render(to_spoken(line).text)
            except ProviderFault as fault:
                faults.append(fault)

    async with voice.rendering() if isinstance(voice, Rendering) else nullcontext():
        await asyncio.gather(*(one(line) for line in lines))
    if not rendered:
        raise faults[0]
    if faults:
        log.warning("not_rendered", lines=len(faults), kind=faults[0].kind)
    return rendered
