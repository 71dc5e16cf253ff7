"""How the phone is set up, and how it can misbehave."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from infra.simulators.clips import Clip

StatusEvent = Literal["initiated", "ringing", "in-progress", "completed"]
DoAside = Callable[[str, str], Awaitable[None]]
"""Does something off the line: `type` or `meanwhile`, and its detail (see `scenario.Aside`)."""
ALL_STATUS_EVENTS: tuple[StatusEvent, ...] = ("initiated", "ringing", "in-progress", "completed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What this peer does otherwise than Twilio on a good day.

    `mark_delay_ms` + up to `mark_jitter_ms` (uniform; may reorder echoes) hold every mark back.
    `echo_cleared_marks=False`: marks of a clear never come back. `start_delay_ms`: between `connected` and `start`.
    `webhook_signature`, `socket_signature`: `bad` is signed with another token, `none` sends no header.
    `parameters` replaces the stream's own (a reused token, a token of another call); `second_start` sends `start`
    again. `seed` makes the jitter the same each time. `statuses_reversed`: the status callbacks come when the call is
    over, the last one first (Twilio does not promise their order)."""

    mark_delay_ms: float = 0.0
    mark_jitter_ms: float = 0.0
    echo_cleared_marks: bool = True
    start_delay_ms: float = 0.0
    webhook_signature: Literal["good", "bad", "none"] = "good"
    socket_signature: Literal["good", "bad", "none"] = "good"
    parameters: Mapping[str, str] | None = None
    second_start: bool = False
    seed: int = 0
    statuses_reversed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DialResult:
    """What becomes of `<Dial>`: Twilio's DialCallStatus, after `after_s` on this side (rung, or talked). When the two
    have talked, the caller hangs up, which ends the call; with `caller_hangs_up=False` the other side does, and the
    TwiML goes on, as it does when nobody answered."""

    status: Literal["completed", "answered", "busy", "no-answer", "failed", "canceled"] = "completed"
    after_s: float = 0.0
    caller_hangs_up: bool = True

    @property
    def talked(self) -> bool:
        return self.status in ("completed", "answered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whoever is behind a number that `<Dial>` rings: a second telephone with its own leg of the call (`person.py`).

    It rings `ring_s`, then `outcome`. `keys` are what is pressed at each question of the TwiML they hear first, `key_s`
    after it began; "-" is no key, and none are left when they are used up. `hangs_up_s`: so long after they answered
    they hang up, unless joined by then. `verdict` is Twilio's AnsweredBy, told `verdict_s` after the answer. Once
    joined they say `says`, and the two talk for `talk_s`, after which one of them hangs up. `dismissed` is the
    DialCallStatus of somebody who answered and was not joined."""

    outcome: Literal["answers", "busy", "no-answer", "failed"] = "answers"
    ring_s: float = 0.1
    keys: str = "1"
    key_s: float = 0.1
    hangs_up_s: float | None = None
    verdict: str = "human"
    verdict_s: float = 0.05
    says: str | None = None
    talk_s: float = 0.5
    caller_hangs_up: bool = False
    dismissed: Literal["completed", "no-answer"] = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneConfig:
    """`public_url` is the gateway's PUBLIC_BASE_URL (webhooks are signed over it and sent to it); `auth_token` is
    TWILIO_AUTH_TOKEN. `status_events` are posted to `status_path`, which may be a whole URL (a number's own status
    callback reports `completed` only; a busy or failed end is reported as such). With `wav_dir` both sides are
    recorded to `<CallSid>.wav` there. `clips` are lines of the test's own, by name, before those of the folder."""

    public_url: str
    auth_token: str
    account_sid: str = "AC" + "0" * 31 + "1"
    called: str = "+14155550100"
    caller: str | None = None
    call_sid: str | None = None
    direction: Literal["inbound", "outbound-api", "outbound-dial"] = "inbound"
    status_events: tuple[StatusEvent, ...] = ("completed",)
    wav_dir: Path | None = None
    clips: Mapping[str, Clip] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    dial: DialResult = field(default_factory=DialResult)
    people: Mapping[str, Person] = field(default_factory=dict)
    """By number (E.164); a number that is not here is dialled without a second leg, with `dial` as its result."""
    joined_says: str | None = None
    """What the caller says to a person they were joined with: a clip."""
    via: str | None = None
    """Where requests really go instead of to `public_url`, over which they are signed: a revision's tag."""
    pace: float = 1.0
    """Seconds that pass for each second of Twilio's own: its announcements, and how long it waits for keys and
    answers. Tests have no ten seconds for every brief."""
    incoming_path: str = "/api/v1/voice/incoming"
    status_path: str = "/api/v1/voice/status"
    http_timeout_s: float = 15.0
    aside: DoAside | None = None
    """Does what a scenario's `type` and `meanwhile` steps ask for."""
    max_documents: int = 12

    @property
    def abroad(self) -> bool:
        """The gateway is not on this machine: a proxy of the environment may stand between."""
        host = urlsplit(self.via or self.public_url).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host != "localhost"


class Line:
    """A hand on the receiver, for whoever started the call: hang up at any moment, whatever the scenario is doing."""

    def __init__(self) -> None:
        self.hung_up = asyncio.Event()

    def hang_up(self) -> None:
        """The caller hangs up now."""
        self.hung_up.set()


def new_sid(prefix: str) -> str:
    """`CA`, `MZ`, ... and 32 hex digits."""
    return prefix + secrets.token_hex(16)


def reached(url: str, *, public: str, via: str | None) -> str:
    """The address that is really asked for `url`: with `via`, the same path there; sockets by a socket's scheme."""
    if via is None:
        return url
    for ours, theirs in ((public, via), (public.replace("http", "ws", 1), via.replace("http", "ws", 1))):
        if url.startswith(ours.rstrip("/")):
            return theirs.rstrip("/") + url[len(ours.rstrip("/")) :]
    return url
