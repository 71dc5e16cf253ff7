"""List prices in US dollars, each with where it was read and when. Change a price here and docs/costs.md is stale (a
test says so): `python -m infra.cost > docs/costs.md`.

What the vendors of a call's parts charge is kept in `media_gateway.voice.prices`. Google's are those of us-central1
without the free quotas. Prices marked `unchecked` were not read at their source on that day: look before you rely on
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from media_gateway.voice import prices as vendors


@dataclass(frozen=True, slots=True)
class Price:
    """`usd` for one `unit`."""

    usd: float
    unit: str
    source: str
    checked: str
    """When it was read there ("stored copy": in an archived copy of that page, whose own date is not known), or
    "unchecked"."""


COPY = "2026-11-26, stored copy"
RUN = "cloud.google.com/run/pricing"
PRICES = {
    "run_cpu_instance": Price(0.000018, "vCPU-second, instance-based", RUN, "2026-11-20, stored copy"),
    "run_memory_instance": Price(0.000002, "GiB-second, instance-based", RUN, "unchecked"),
    "run_cpu_request": Price(0.000024, "vCPU-second, request-based", RUN, "2026-11-20, stored copy"),
    "run_memory_request": Price(0.0000025, "GiB-second, request-based", RUN, "2026-11-20, stored copy"),
    "run_idle": Price(0.0000025, "vCPU- or GiB-second of an idle minimum instance", RUN, "unchecked"),
    "run_request": Price(0.40e-6, "request, request-based", RUN, "2026-11-20, stored copy"),
    "firestore_read": Price(0.03 / 100_000, "document read", "cloud.google.com/firestore/pricing", "2026-10-08"),
    "firestore_write": Price(0.09 / 100_000, "document write", "cloud.google.com/firestore/pricing", "2026-10-08"),
    "firestore_delete": Price(0.01 / 100_000, "document deleted", "cloud.google.com/firestore/pricing", "2026-10-08"),
    "pubsub": Price(40 / 2**40, "byte, 1 kB a message at least", "cloud.google.com/pubsub/pricing", "2026-09-20"),
    "tasks": Price(0.40e-6, "task", "cloud.google.com/tasks/pricing", COPY),
    "scheduler": Price(0.10, "job a month", "cloud.google.com/scheduler/pricing", COPY),
    "secret": Price(0.06, "secret version a month", "cloud.google.com/secret-manager/pricing", COPY),
    "registry": Price(0.10, "GB a month", "cloud.google.com/artifact-registry/pricing", COPY),
    "logs": Price(0.50, "GiB of logs", "cloud.google.com/stackdriver/pricing", COPY),
    "egress": Price(0.12, "GiB to the Internet", "cloud.google.com/vpc/network-pricing", "unchecked"),
    "twilio_inbound": Price(
        vendors.INBOUND,
        "minute, United States, local number",
        "support.twilio.com/hc/en-us/articles/223183328",
        COPY,
    ),
    "twilio_stream": Price(vendors.STREAM, "minute of media stream", "twilio.com/voice/pricing", "unchecked"),
    "twilio_number": Price(1.15, "local number a month", "support.twilio.com/hc/en-us/articles/223182908", COPY),
    "deepgram_listen": Price(vendors.HEARING["deepgram"], "minute heard", "deepgram.com/pricing", "unchecked"),
    "deepgram_speak": Price(
        vendors.SPEAKING["deepgram"] / 1000, "character spoken", "deepgram.com/pricing", "unchecked"
    ),
    "openai_in": Price(vendors.THINKING["openai"].prompt / 1e6, "token read", "openai.com/api/pricing", "unchecked"),
    "openai_out": Price(
        vendors.THINKING["openai"].completion / 1e6, "token written", "openai.com/api/pricing", "unchecked"
    ),
}


def usd(name: str) -> float:
    """Of one unit."""
    return PRICES[name].usd
