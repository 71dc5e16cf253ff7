"""`/api/v1/connections`: everything outside that this installation needs, what this instance has last seen of it, and
what would put right what is wrong. No value of a secret is in any answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from media_gateway.auth.model import Principal
from media_gateway.dashboard.access import Guard
from media_gateway.dashboard.signed_webhook import send
from media_gateway.http_errors import ApiError
from media_gateway.last_seen import LastSeen, Seen
from media_gateway.settings import Settings
from media_gateway.settings_rules import NO_PLACE
from realtime import audit
from realtime.clock import Clock, iso, utcnow
from realtime.hub import Hub
from realtime.journal import Journal
from realtime.stores.port import DocumentStore, FeedState, StoreUnavailable

PROBE_S = 2.0
LOOK_BACK = 50
"""The newest calls among which one is looked for that ElevenLabs held."""
State = Literal["ok", "unknown", "wrong", "off"]
_VENDORS = {
    "deepgram": ("Deepgram", "Deepgram's console, under API keys", "DEEPGRAM_API_KEY"),
    "openai": ("OpenAI", "OpenAI's platform, under API keys", "OPENAI_API_KEY"),
    "elevenlabs": ("ElevenLabs", "ElevenLabs' settings, under API keys", "ELEVENLABS_API_KEY"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`demo`: something of this machine stands in for it. `last_seen` is ISO 8601, None: not since this instance
    started. `off`: not configured. `problem` and `fix` are for people, "" where there is none."""

    name: str
    title: str
    what: str
    configured: bool
    demo: bool = False
    last_seen: str | None = None
    state: State = "unknown"
    problem: str = ""
    problem_at: str | None = None
    fix: str = ""


def vendor(settings: Settings, name: str, seen: Seen) -> Connection:
    """Of a vendor of engines."""
    title, where, key = _VENDORS[name]
    stages = {"hears": settings.callboard_stt, "thinks": settings.callboard_llm, "speaks": settings.callboard_tts}
    does = [stage for stage, choice in stages.items() if choice == name]
    configured = getattr(settings, f"{name}_api_key") is not None
    if configured and name != "openai" and settings.callboard_tts not in ("embedded", name):
        does.append("stands in as the voice")
    what = f"{' and '.join(does)} in calls" if does else "not used in calls"
    if not configured:
        fix = f"Make a key in {where}, set {key} and start again."
        return Connection(
            name=name, title=title, what=what, configured=False, demo=_stands_in(stages, name), state="off", fix=fix
        )
    fix = f"Check {key} in {where}, the account's credit and the vendor's status page." if seen.problem else ""
    return _seen(Connection(name=name, title=title, what=what, configured=True, fix=fix), seen)


def _stands_in(stages: Mapping[str, str], name: str) -> bool:
    able = {"deepgram": ("hears", "speaks"), "openai": ("thinks",), "elevenlabs": ("speaks",)}[name]
    return any(stages[stage] in ("embedded", "scripted") for stage in able)


def twilio(settings: Settings, seen: Seen) -> Connection:
    """Webhooks and media streams that came in, and whether calls can be placed."""
    made_up = "TWILIO_AUTH_TOKEN" in settings.generated
    lacking = [name for name in ("TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER") if not getattr(settings, name.lower())]
    problem, fix = "", ""
    if made_up:
        fix = (
            "Set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_PHONE_NUMBER from Twilio's console, and start again."
        )
    elif seen.problem:
        fix = "If it was Twilio: TWILIO_AUTH_TOKEN and PUBLIC_BASE_URL must be those that Twilio uses for this number."
    elif lacking:
        problem = f"Calls are answered, but none can be placed: {' and '.join(lacking)} not set."
        fix = f"Set {' and '.join(lacking)} from Twilio's console, and start again."
    elif not seen.at:
        fix = (
            f"Enter {settings.base_url}/api/v1/voice/incoming at Twilio as what your number does when a call comes in,"
            " then call it."
        )
    line = Connection(name="twilio", title="Twilio", what="telephone calls", configured=not made_up, fix=fix)
    if made_up:
        return _but(line, demo=True, state="off", last_seen=seen.at)
    line = _seen(line, seen)
    return _but(line, problem=line.problem or problem)


def _seen(line: Connection, seen: Seen) -> Connection:
    state: State = "wrong" if seen.problem else "ok" if seen.at else "unknown"
    return _but(line, state=state, problem=seen.problem, problem_at=seen.problem_at, last_seen=seen.at)


def _but(line: Connection, **change: Any) -> Connection:
    return Connection(**{**asdict(line), **change})


def bus(settings: Settings, seen: Seen) -> Connection:
    """News on the way to the functions."""
    own = settings.callboard_bus == "embedded"
    fix = ""
    if seen.problem:
        fix = (
            "Is CALLBOARD_DATA_DIR writable, with room on its disk?"
            if own
            else (f"Check the topic {settings.callboard_topic} and this service's role pubsub.publisher.")
        )
    what = "the embedded bus" if own else f"Pub/Sub, topic {settings.callboard_topic}"
    return _seen(
        Connection(name="bus", title="Bus to the functions", what=what, configured=True, demo=own, fix=fix), seen
    )


def recordings(settings: Settings, seen: Seen, *, place: bool) -> Connection:
    """The sound of our own calls. `place`: there is somewhere to keep it."""
    line = Connection(name="files", title="Recordings", what="the sound of our own calls", configured=True)
    if not settings.callboard_record:
        fix = "Set CALLBOARD_RECORD=true and start again, if calls are to be recorded."
        return _but(line, configured=False, state="off", fix=fix)
    if not place:
        problem = "Calls are to be recorded, and there is no place for their sound: nothing is kept."
        return _but(line, configured=False, state="wrong", problem=problem, fix=NO_PLACE)
    bucket = settings.callboard_audio_bucket
    where = f"the bucket {bucket}" if bucket else "a folder of this machine"
    fix = ""
    if seen.problem:
        fix = (
            f"Does the bucket {bucket} exist, and has this service's account the role storage.objectUser on it?"
            if bucket
            else "Is CALLBOARD_DATA_DIR writable, with room on its disk?"
        )
    return _seen(_but(line, what=f"{line.what}, in {where}", demo=not bucket, fix=fix), seen)


def feed(state: FeedState) -> Connection:
    """What tells dashboards of calls on other instances."""
    line = Connection(name="feed", title="Live feed", what="calls of every instance, as they change", configured=True)
    if state is FeedState.LIVE:
        return _but(line, state="ok", last_seen=iso(utcnow()))
    if state is FeedState.DEGRADED:
        return _but(
            line, state="wrong", problem="The feed is lost; it is started again by itself.", fix="Look at the store."
        )
    return line


def addresses(settings: Settings) -> list[dict[str, Any]]:
    """What is to be entered at the vendors: `{name, title, where, url, note}`; `url` is None where it is not known."""
    voice = f"{settings.base_url}/api/v1/voice"
    number = "Twilio, Phone Numbers, your number, Voice"
    loopback = "http://127.0.0.1" in settings.base_url or "http://localhost" in settings.base_url
    local = "This machine only: set PUBLIC_BASE_URL to where Twilio reaches it (a tunnel will do)." if loopback else ""
    found: list[dict[str, Any]] = [
        {"name": "incoming", "title": "A call comes in", "where": number, "url": f"{voice}/incoming", "note": local},
        {"name": "status", "title": "Call status changes", "where": number, "url": f"{voice}/status", "note": local},
    ]
    for name, title, where, function in (
        ("webhook", "Post-call webhook", "ElevenLabs, Settings, Webhooks", "elevenlabs_webhook"),
        ("personalize", "Who is calling", "ElevenLabs, Agents, Settings", "elevenlabs_personalize"),
    ):
        url = getattr(settings, f"elevenlabs_{name}_url") or settings.function_url(function)
        variable = f"ELEVENLABS_{name.upper()}_URL"
        note = f"Not known here: set {variable} to the address of the function {function}." if not url else ""
        if url.startswith("http://127.0.0.1"):
            note = f"This machine only: ElevenLabs needs one that it reaches; then set {variable}."
        found.append({"name": name, "title": title, "where": where, "url": url or None, "note": note})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """For administrators."""

    settings: Settings
    store: DocumentStore
    journal: Journal
    hub: Hub
    seen: LastSeen
    guard: Guard
    files: bool
    """There is a place for what is too large for the store."""
    clock: Clock = utcnow
    testing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def routes(self) -> list[Route]:
        """For the application."""
        base = "/api/v1/connections"
        return [
            Route(base, self.guard(self.show, "admin"), methods=["GET"]),
            Route(f"{base}/elevenlabs/test", self.guard(self.test, "admin"), methods=["POST"]),
        ]

    async def show(self, _request: Request, principal: Principal) -> Response:
        """Every connection with what was last seen of it, and the addresses for the vendors."""
        store = await self._store()
        lines = [
            twilio(self.settings, self.seen["twilio"]),
            *(vendor(self.settings, name, self.seen[name]) for name in _VENDORS),
            await self._hosted(principal.org, there=store.state == "ok"),
            store,
            bus(self.settings, self.seen["bus"]),
            recordings(self.settings, self.seen["files"], place=self.files),
            feed(self.hub.state),
        ]
        body = {"connections": [asdict(line) for line in lines], "addresses": addresses(self.settings)}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def _store(self) -> Connection:
        own = self.settings.callboard_store == "embedded"
        what = "the embedded store" if own else f"Firestore, database {self.settings.callboard_database}"
        line = Connection(name="store", title="Store", what=what, configured=True, demo=own)
        try:
            async with asyncio.timeout(PROBE_S):
                await self.store.get("probes/ready")
        except (StoreUnavailable, TimeoutError):
            fix = (
                "Is CALLBOARD_DATA_DIR readable?" if own else "Check GOOGLE_CLOUD_PROJECT and the role datastore.user."
            )
            return _but(line, state="wrong", problem="It does not answer.", fix=fix)
        return _but(line, state="ok", last_seen=iso(self.clock()))

    async def _hosted(self, org: str, *, there: bool) -> Connection:
        """ElevenLabs' post-call news, as far as calls show that it came."""
        title, what = "ElevenLabs webhooks", "records of calls that ElevenLabs held"
        made_up = "ELEVENLABS_WEBHOOK_SECRET" in self.settings.generated
        configured = self.settings.elevenlabs_webhook_secret is not None and not made_up
        line = Connection(name="elevenlabs_webhook", title=title, what=what, configured=configured, demo=made_up)
        if not configured:
            fix = "Make a post-call webhook in ElevenLabs' settings, and set its secret as ELEVENLABS_WEBHOOK_SECRET."
            return _but(line, state="off", fix=fix)
        tried = self.seen["elevenlabs_webhook"]
        if tried.problem:
            fix = "Put that right and send the signed test again, on the dashboard's page Set up."
            return _but(_seen(line, tried), fix=fix)
        fix = 'Place a hosted call, or press "Send a signed test webhook" on the dashboard\'s page Set up.'
        try:
            async with asyncio.timeout(PROBE_S if there else 0):
                calls, _ = await self.journal.calls(org=org, limit=LOOK_BACK)
        except (StoreUnavailable, TimeoutError):
            return _but(line, problem="Unknown: the store does not answer.", fix="Look at the store first.")
        came = [call.ended_at for call in calls if call.hosted and call.status.terminal and call.ended_at]
        came += [tried.at] if tried.at else []
        return _but(line, state="ok", last_seen=max(came)) if came else _but(line, fix=fix)

    async def test(self, _request: Request, principal: Principal) -> Response:
        """Send a signed post-call webhook to the functions, as ElevenLabs would; what they answered."""
        settings = self.settings
        url = settings.elevenlabs_webhook_url or settings.function_url("elevenlabs_webhook")
        if not url:
            fix = "Set ELEVENLABS_WEBHOOK_URL to the address of the function elevenlabs_webhook."
            raise ApiError(409, "Where the webhooks go is not known here.", fix=fix)
        secret = settings.elevenlabs_webhook_secret
        if secret is None:
            raise ApiError(409, "There is nothing to sign with.", fix="Set ELEVENLABS_WEBHOOK_SECRET and start again.")
        if self.testing.locked():
            raise ApiError(409, "A test is on its way already.", fix="Wait for its answer.")
        async with self.testing:
            conversation = f"callboard-test-{secrets.token_hex(8)}"
            now = self.clock()
            await audit.record(self.store, principal.org, principal.user, "elevenlabs.test", conversation, now)
            result = await send(url, secret.get_secret_value(), conversation, now)
        if result.ok:
            self.seen.ok("elevenlabs_webhook")
        else:
            self.seen.wrong("elevenlabs_webhook", f"The signed test: {result.message} {result.fix}")
        return JSONResponse({**asdict(result), "conversation_id": conversation}, headers={"Cache-Control": "no-store"})
