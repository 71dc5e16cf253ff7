"""Everything that dials, built on the settings: calls through Twilio, campaigns, hosted agents."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from media_gateway.core import Core
from media_gateway.dashboard.access import Guard
from media_gateway.settings import Settings
from media_gateway.telephony.call_price import call_price
from media_gateway.telephony.campaign_runner import Runner
from media_gateway.telephony.campaigns import Campaigns
from media_gateway.telephony.daily_cap import DailyCap
from media_gateway.telephony.elevenlabs_calls import HostedCalls, agents_of
from media_gateway.telephony.hosted_monitor import Monitors
from media_gateway.telephony.hosted_settling import Settling
from media_gateway.telephony.intents import Intents
from media_gateway.telephony.outbound import Outbound, twilio_of
from realtime.campaigns.book import Book

FLOWS = Path(__file__).parent / "conversation" / "flows"


def flow_names(settings: Settings) -> set[str]:
    """The flows that calls may ask for."""
    return {path.stem for path in (settings.callboard_flows_dir or FLOWS).glob("*.yaml")}


def campaigns_of(core: Core, guard: Guard, outbound: Outbound) -> Campaigns:
    settings = core.settings
    return Campaigns(
        store=core.store,
        guard=guard,
        flows=outbound.flows,
        countries=outbound.countries,
        per_day=settings.callboard_max_outbound_per_day,
        missing=outbound.missing,
        price=call_price(settings.callboard_stt, settings.callboard_tts),
        retention=outbound.retention,
    )


def runner_of(core: Core, outbound: Outbound) -> Runner:
    return Runner(
        book=Book(core.store),
        outbound=outbound,
        journal=core.journal,
        owner=core.instance,
        zone=core.settings.callboard_timezone,
    )


def outbound_of(core: Core, guard: Guard) -> Outbound:
    settings = core.settings
    twilio, missing = twilio_of(settings, core.closing)
    return Outbound(
        journal=core.journal,
        store=core.store,
        bus=core.bus,
        guard=guard,
        intents=Intents(
            core.store,
            zone=ZoneInfo(settings.callboard_timezone),
            per_day=settings.callboard_max_outbound_per_day,
        ),
        base_url=settings.base_url,
        countries=settings.call_countries,
        flows=lambda: flow_names(settings),
        twilio=twilio,
        from_number=settings.twilio_phone_number or "",
        missing=missing,
        retention=timedelta(days=settings.callboard_retention_days),
        noticed=core.notice,
    )


def hosted_calls_of(core: Core, guard: Guard) -> HostedCalls:
    settings = core.settings
    agents, missing = agents_of(settings, core.closing)
    monitors = Monitors(
        api_key=settings.elevenlabs_api_key.get_secret_value() if settings.elevenlabs_api_key else "",
        base_url=settings.elevenlabs_base_url,
        journal=core.journal,
        noticed=core.notice,
        live=core.hub.live,
    )
    core.closing.push_async_callback(monitors.aclose)
    return HostedCalls(
        settling=Settling(journal=core.journal, bus=core.bus, noticed=core.notice),
        store=core.store,
        guard=guard,
        countries=settings.call_countries,
        cap=DailyCap(core.store, ZoneInfo(settings.callboard_timezone), settings.callboard_max_outbound_per_day),
        agents=agents,
        missing=missing,
        agent_id=settings.elevenlabs_agent_id,
        retention=timedelta(days=settings.callboard_retention_days),
        watch=monitors.watch,
    )
