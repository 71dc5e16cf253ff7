"""The estimate: pure arithmetic on a profile, the minutes of a month, and assumptions that are written down."""

from __future__ import annotations

import math
from dataclasses import dataclass

from infra.cost.prices import usd
from infra.gcloud.profiles import Profile
from infra.gcloud.resources import SCHEDULE, SECRETS

MONTH_S = 730 * 3600
FUNCTION_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What a minute of a call is taken to be. Replace them with your own figures once there are some."""

    minutes: int = 1000
    """Of calls in a month."""
    call_minutes: float = 3.0
    full: float = 0.25
    """How full a busy instance is of calls, on average: fewer calls at once cost more each."""
    viewers: int = 1
    turns: int = 6
    """Of the caller in a minute; each is about five events of the journal."""
    events_a_turn: int = 5
    characters: int = 300
    """That the assistant speaks in a minute."""
    tokens_in: int = 6000
    """That the model reads in a minute; most of it the same beginning again."""
    tokens_out: int = 150


@dataclass(frozen=True, slots=True)
class Line:
    """One item of the bill, dollars a month. `fixed` is due without a single call."""

    name: str
    dollars: float
    fixed: bool = False
    vendor: bool = False


def estimate(profile: Profile, given: Assumptions | None = None) -> list[Line]:
    """Google's lines, then the vendors'."""
    given = given or Assumptions()
    return [*_google(profile, given), *_vendors(given)]


def total(lines: list[Line], *, vendor: bool, fixed: bool | None = None) -> float:
    """Of Google's lines or of the vendors', all of them or only what is (not) fixed."""
    return sum(line.dollars for line in lines if line.vendor == vendor and fixed in (None, line.fixed))


def _google(profile: Profile, given: Assumptions) -> list[Line]:
    calls = given.minutes / given.call_minutes
    events = given.minutes * given.turns * given.events_a_turn + calls * 8
    news = calls * 4
    warm, busy = _gateway(profile, given)
    requests = news * 2 + MONTH_S / 300 * len(SCHEDULE)
    functions = requests * (
        FUNCTION_S * (usd("run_cpu_request") + 0.5 * usd("run_memory_request")) + usd("run_request")
    )
    memory = (
        events * 2 * usd("firestore_write")  # an event and the head
        + events * given.viewers * usd("firestore_read")
        + events * usd("firestore_delete")
    )
    audio = given.minutes * 60 * 8000 * 4 / 3 / 2**30  # what is said to the caller, in base64
    return [
        Line("gateway, warm", warm, fixed=True),
        Line("gateway, calls", busy),
        Line("functions", functions + _idle(profile.personalize_minimum, 1, 0.5), fixed=False),
        Line("Firestore", memory),
        Line("Pub/Sub and Tasks", news * 2000 * 2 * usd("pubsub") + calls * usd("tasks")),
        Line("sound to the Internet", audio * usd("egress")),
        Line("logs", events * 600 / 2**30 * usd("logs")),
        Line("schedule", len(SCHEDULE) * usd("scheduler"), fixed=True),
        Line("secrets", len(SECRETS) * usd("secret"), fixed=True),
        Line("images (3 GB)", 3 * usd("registry"), fixed=True),
    ]


def _gateway(profile: Profile, given: Assumptions) -> tuple[float, float]:
    """(always, on top of it while calls run), dollars a month."""
    memory = float(profile.memory.removesuffix("Gi"))
    busy_s = given.minutes * 60 / max(1.0, profile.calls * given.full)
    if profile.always_cpu:
        second = profile.cpu * usd("run_cpu_instance") + memory * usd("run_memory_instance")
        desk = min(profile.minimum, 1) if profile.split else 0
        floor_s = (profile.minimum + desk) * MONTH_S
        more_s = max(0.0, busy_s - profile.minimum * MONTH_S)
        return floor_s * second, more_s * second
    second = profile.cpu * usd("run_cpu_request") + memory * usd("run_memory_request")
    warm = _idle(profile.minimum, profile.cpu, memory)
    calls = given.minutes / given.call_minutes
    return warm, busy_s * second + calls * 6 * usd("run_request")


def _idle(instances: int, cpu: float, memory: float) -> float:
    return instances * MONTH_S * (cpu + memory) * usd("run_idle")


def _vendors(given: Assumptions) -> list[Line]:
    minutes = given.minutes
    thinking = given.tokens_in * usd("openai_in") + given.tokens_out * usd("openai_out")
    return [
        Line("Twilio, one number", usd("twilio_number"), fixed=True, vendor=True),
        Line("Twilio, calls", minutes * (usd("twilio_inbound") + usd("twilio_stream")), vendor=True),
        Line("hearing (Deepgram)", minutes * usd("deepgram_listen"), vendor=True),
        Line("speaking (Deepgram)", minutes * given.characters * usd("deepgram_speak"), vendor=True),
        Line("thinking (OpenAI)", minutes * thinking, vendor=True),
    ]


def money(dollars: float) -> str:
    """$0.04, $12.30, $1,204"""
    return f"${dollars:,.2f}" if math.fabs(dollars) < 1000 else f"${dollars:,.0f}"
