"""Every door, one table: what a stranger, a forger or a broken client sends, the code that answers it, and that nothing
was written: no document, no commit, no message on the bus.

Doors are the webhooks of Twilio and ElevenLabs, the push endpoint, the schedules, the REST API and the sockets. Each
`Case` is a request that must not come in; the code of a socket is that of its refusal (HTTP) or of its close.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import jwt
import pytest
from starlette.routing import Route, WebSocketRoute
from twilio.request_validator import RequestValidator
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from functions import files, publisher, runtime
from media_gateway.auth import Principal, Tokens
from realtime.clock import utcnow
from tests.functions.apps import SECRET as WEBHOOK_SECRET
from tests.functions.apps import app_of, sign, transcription
from tests.media_gateway.harness import KEY, TOKEN, Running, gateway, media, start

VIEWER = Principal("ann", "default", "viewer")
FORM = {"CallSid": "CA" + "1" * 32, "From": "+15550001111", "To": "+15559990000", "CallStatus": "ringing"}
PUSH_TOKEN, PERSONALIZE_SECRET = "a-push-token", "a-personalize-secret"
BIG = 3 * 1024 * 1024
DEEP = b"[" * 100_000
HEADER = "ElevenLabs-Signature"


@dataclass
class Rig:
    """A running gateway and the functions, as the outside meets them."""

    url: str = ""
    base_url: str = ""
    host: str = ""
    port: int = 0
    database: Path = field(default_factory=Path)
    tokens: Tokens = field(default_factory=lambda: Tokens([("k1", KEY)]))
    running: Running | None = None
    apps: dict[str, Any] = field(default_factory=dict)

    def http(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        """The status of one request."""
        names = {"Host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        with httpx2.Client(base_url=self.url, trust_env=False, timeout=20) as client:
            return client.request(method, path, content=body, headers=names).status_code

    def twilio(self, path: str, form: dict[str, str] = FORM, **more: Any) -> int:
        """A webhook of Twilio, signed as `more` says: `token`, `signed_path`, `signed_form`, `signature`."""
        signed = self.base_url + more.get("signed_path", path)
        right = RequestValidator(more.get("token", TOKEN)).compute_signature(signed, more.get("signed_form", form))
        signature = more.get("signature", right)
        headers = {"Content_Type": more.get("content_type", "application/x-www-form-urlencoded")}
        if signature is not None:
            headers["X_Twilio_Signature"] = signature
        return self.http(more.get("method", "POST"), path, more.get("body", urlencode(form).encode()), **headers)

    def rest(self, method: str, path: str, body: Any = b"", *, token: str | None = None, **headers: str) -> int:
        """The REST API with a token (a good one of a viewer, unless given)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        credential = self.tokens.access(VIEWER) if token is None else token
        return self.http(method, path, data, Authorization=f"Bearer {credential}", **headers)

    def socket(self, path: str, *frames: str | bytes, **headers: str) -> int:
        """The status of a refusal, else the code of the close; 0 if it stays open."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        protocols: Any = ["callboard.v1"] if path.startswith("/ws/v1") else None
        try:
            with connect(
                f"ws://{self.host}{path}", sock=socket.create_connection(("127.0.0.1", self.port)),
                additional_headers=names, subprotocols=protocols, proxy=None, open_timeout=10, close_timeout=1,
            ) as ws:  # fmt: skip
                return self._said(ws, frames)
        except InvalidStatus as refused:
            return refused.response.status_code

    @staticmethod
    def _said(ws: Any, frames: tuple[str | bytes, ...]) -> int:
        try:
            for frame in frames:
                ws.send(frame)
            until = time.monotonic() + 8
            while time.monotonic() < until:
                ws.recv(timeout=8)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
        except TimeoutError:
            return 0
        return 0

    def media(self, *frames: str | bytes) -> int:
        """A signed media stream that then says this."""
        path = "/api/v1/voice/media-stream"
        url = self.base_url.replace("https", "wss") + path
        signature = RequestValidator(TOKEN).compute_signature(url, {})
        return self.socket(path, *frames, X_Twilio_Signature=signature)

    def function(self, name: str, body: bytes = b"", *, method: str = "POST", query: str = "", **headers: str) -> int:
        """The status of a function."""
        if name not in self.apps:
            self.apps[name] = app_of(name)
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        client = self.apps[name].test_client()
        status: int = client.open(f"/{query}", method=method, data=body, headers=names).status_code
        return status

    def written(self) -> tuple[Any, ...]:
        """What the store and the buses hold, and how many commits the store has made."""
        with sqlite3.connect(self.database) as db:
            tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            (commits,) = db.execute("SELECT n FROM counter").fetchone()
            counts = [
                db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]
                for name in ("docs", "bus_messages", "bus_dead_letters")
                if name in tables
            ]
        db.close()
        assert self.running is not None
        return commits, *counts, len(self.running.bus.messages), len(self.running.sessions)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("doors")
    here, ready, over = Rig(database=folder / "data" / "callboard.db"), threading.Event(), threading.Event()

    async def serve() -> None:
        async with gateway(folder) as one:
            here.running, here.url, here.base_url = one, str(one.http.base_url), one.settings.base_url
            here.host, here.port = one.settings.public_host, one.server.bound_port
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    patch = pytest.MonkeyPatch()
    for name in ("K_SERVICE", "CALLBOARD_PUSH_AUDIENCE", "CALLBOARD_PUSH_ACCOUNT", "CALLBOARD_AUDIO_BUCKET"):
        patch.delenv(name, raising=False)
    for name, value in {
        "CALLBOARD_STORE": "embedded",
        "CALLBOARD_BUS": "embedded",
        "CALLBOARD_DATA_DIR": str(here.database.parent),
        "CALLBOARD_PUSH_TOKEN": PUSH_TOKEN,
        "ELEVENLABS_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ELEVENLABS_PERSONALIZE_SECRET": PERSONALIZE_SECRET,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "PUBLIC_BASE_URL": "https://fallback.example.com",
    }.items():
        patch.setenv(name, value)
    thread.start()
    try:
        assert ready.wait(20)
        yield here
    finally:
        over.set()
        thread.join()
        runtime.close_all()
        publisher.close_all()
        files.close_all()
        patch.undo()


@dataclass(frozen=True)
class Case:
    """One attempt at one door, and the code it gets."""

    door: str
    what: str
    code: int
    do: Callable[[Rig], int]


CASES: list[Case] = []


def case(door: str, what: str, code: int, do: Callable[[Rig], int]) -> None:
    CASES.append(Case(door, what, code, do))


# -- Twilio's webhooks -----------------------------------------------------------------------------------------------

PATH = {"CallSid": "../x"}
VOICE = "/api/v1/voice"
TWILIO = [
    f"{VOICE}/{name}"
    for name in (
        "incoming",
        "outbound",
        "resume",
        "busy",
        "status",
        "amd",
        "handoff/brief",
        "handoff/key",
        "handoff/amd",
        "handoff/done",
    )
]
for _path in TWILIO:
    case(_path, "unsigned", 403, partial(lambda path, rig: rig.twilio(path, signature=None), _path))
    case(_path, "signed with another token", 403, partial(lambda path, rig: rig.twilio(path, token="another"), _path))
    case(_path, "read instead of posted", 405, partial(lambda path, rig: rig.twilio(path, method="GET"), _path))
INCOMING = f"{VOICE}/incoming"
case(INCOMING, "empty signature", 403, lambda rig: rig.twilio(INCOMING, signature=""))
case(INCOMING, "signature of strange characters", 403, lambda rig: rig.twilio(INCOMING, signature="%%%===\x7f"))
case(INCOMING, "signed for another route", 403, lambda rig: rig.twilio(INCOMING, signed_path=f"{VOICE}/status"))
case(INCOMING, "one field changed", 403, lambda rig: rig.twilio(INCOMING, signed_form={**FORM, "From": "+15550009999"}))
case(INCOMING, "one field more in the query", 403, lambda rig: rig.twilio(f"{INCOMING}?a=1", signed_path=INCOMING))
case(INCOMING, "a body that is too large", 413, lambda rig: rig.twilio(INCOMING, body=b"a=" + b"x" * BIG))
case(
    INCOMING,
    "JSON instead of a form",
    403,
    lambda rig: rig.twilio(INCOMING, body=b"{}", content_type="application/json"),
)
case(INCOMING, "signed, without a CallSid", 422, lambda rig: rig.twilio(INCOMING, {"From": "+15550001111"}))
case(
    INCOMING,
    "signed, with a CallSid that is a path",
    422,
    lambda rig: rig.twilio(INCOMING, {**FORM, "CallSid": "../x"}),
)
case(INCOMING, "another host", 403, lambda rig: rig.http("POST", INCOMING, b"", Host="evil.example.com"))


# -- the REST API ----------------------------------------------------------------------------------------------------

CALLS = "/api/v1/calls"


def forged(algorithm: str = "HS256", key: str = KEY, **changes: Any) -> str:
    claims = {"sub": "ann", "org": "default", "role": "admin", "aud": "callboard", "exp": 2**33} | changes
    return jwt.encode(claims, key if algorithm != "none" else "", algorithm=algorithm, headers={"kid": "k1"})


def expired() -> str:
    return Tokens([("k1", KEY)], clock=lambda: utcnow() - timedelta(days=1)).access(VIEWER)


case(CALLS, "nobody", 401, lambda rig: rig.http("GET", CALLS))
case(CALLS, "basic instead of bearer", 401, lambda rig: rig.http("GET", CALLS, Authorization="Basic YTpi"))
case(CALLS, "an empty token", 401, lambda rig: rig.http("GET", CALLS, Authorization="Bearer"))
case(CALLS, "nonsense", 401, lambda rig: rig.rest("GET", CALLS, token="x.y.z"))
case(CALLS, "an unsigned token", 401, lambda rig: rig.rest("GET", CALLS, token=forged("none")))
case(CALLS, "signed with another key", 401, lambda rig: rig.rest("GET", CALLS, token=forged(key="o" * 32)))
case(CALLS, "an expired token", 401, lambda rig: rig.rest("GET", CALLS, token=expired()))
case(CALLS, "a socket's ticket", 401, lambda rig: rig.rest("GET", CALLS, token=rig.tokens.ticket(VIEWER)))
case(
    CALLS, "a stream's token", 401,
    lambda rig: rig.rest("GET", CALLS, token=rig.tokens.stream(call_id="CA1", org="default")),
)  # fmt: skip
case(CALLS, "a role that there is not", 401, lambda rig: rig.rest("GET", CALLS, token=forged(role="root")))
case(CALLS, "a user who is no more", 401, lambda rig: rig.rest("GET", CALLS, token=forged(prf="user:0")))
case(CALLS, "another administrator's password", 401, lambda rig: rig.rest("GET", CALLS, token=forged(prf="env:0")))
case(CALLS, "a key that is none", 401, lambda rig: rig.http("GET", CALLS, X_API_Key="cbk_x"))
case(CALLS, "a key that nobody has", 401, lambda rig: rig.http("GET", CALLS, X_API_Key=f"cbk_{'0' * 12}_{'x' * 43}"))
case(CALLS, "a token as a key", 401, lambda rig: rig.http("GET", CALLS, X_API_Key=rig.tokens.access(VIEWER)))
case(CALLS, "a viewer calls somebody", 403, lambda rig: rig.rest("POST", CALLS, {"to": "+14155550123", "flow": "x"}))
case("/api/v1/users", "a viewer makes a user", 403, lambda rig: rig.rest("POST", "/api/v1/users", {"name": "eve"}))
case("/api/v1/keys", "a viewer makes a key", 403, lambda rig: rig.rest("POST", "/api/v1/keys", {"label": "x"}))
case("/api/v1/audit", "a viewer reads the audit log", 403, lambda rig: rig.rest("GET", "/api/v1/audit"))
case("/api/v1/erase", "a viewer erases", 403, lambda rig: rig.rest("POST", "/api/v1/erase", {"phone": "+14155550123"}))
case(f"{CALLS}/CA1", "a viewer deletes a call", 403, lambda rig: rig.rest("DELETE", f"{CALLS}/CA1"))
case(f"{CALLS}/CA1/hangup", "a viewer hangs up", 403, lambda rig: rig.rest("POST", f"{CALLS}/CA1/hangup"))
case(CALLS, "a call that there is not", 404, lambda rig: rig.rest("GET", f"{CALLS}/CA1"))
case(CALLS, "a call id that is a path", 404, lambda rig: rig.rest("GET", f"{CALLS}/..%2Fusers%2Fx"))
case(CALLS, "a call id of control characters", 404, lambda rig: rig.rest("GET", f"{CALLS}/%00%0a"))
case(CALLS, "a call id of 5,000 characters", 404, lambda rig: rig.rest("GET", f"{CALLS}/{'x' * 5_000}"))
case(CALLS, "a cursor that is none", 422, lambda rig: rig.rest("GET", f"{CALLS}?cursor=zzz"))
case(
    "/auth/login",
    "from another site's page",
    403,
    lambda rig: rig.http("POST", "/auth/login", b"{}", Origin="https://evil.com"),
)
case("/auth/login", "no JSON", 400, lambda rig: rig.http("POST", "/auth/login", b"\xff\xfe"))
case("/auth/login", "JSON without a bottom", 422, lambda rig: rig.http("POST", "/auth/login", DEEP[:60_000]))
case("/auth/login", "another shape", 422, lambda rig: rig.http("POST", "/auth/login", b'{"username": ["a"]}'))
case("/auth/login", "a body that is too large", 413, lambda rig: rig.http("POST", "/auth/login", b"x" * 70_000))
case(
    "/auth/login", "a wrong password", 401,
    lambda rig: rig.http("POST", "/auth/login", b'{"username": "admin", "password": "guess"}'),
)  # fmt: skip
case("/nowhere", "a path that there is not", 404, lambda rig: rig.http("GET", "/api/v1/nowhere"))
case("/static", "a path out of the static files", 404, lambda rig: rig.http("GET", "/static/..%2f..%2fsettings.py"))


# -- the sockets -----------------------------------------------------------------------------------------------------


def greeting(ticket: str) -> str:
    return json.dumps({"type": "auth", "ticket": ticket})


SUBSCRIBE = '{"type": "subscribe"}'
EVIL = "https://evil.com"
OLD_SOCKETS = ("/ws/calls/transcriptions", "/ws/events", f"{CALLS}/CA1/listen", f"{CALLS}/CA1/takeover", "/ws/voice")
for _path in (*OLD_SOCKETS, "/ws/v1"):
    case(
        _path,
        "from another site's page",
        403,
        partial(lambda path, rig: rig.socket(path, Origin=EVIL), _path),
    )
    case(_path, "another host", 403, partial(lambda path, rig: replace(rig, host="evil.com").socket(path), _path))
for _path in OLD_SOCKETS:
    case(_path, "a bad token in the URL", 401, partial(lambda path, rig: rig.socket(f"{path}?token=x.y.z"), _path))
    case(
        _path,
        "first words without a ticket",
        4401,
        partial(lambda path, rig: rig.socket(path, SUBSCRIBE), _path),
    )
    case(
        _path, "an access token as a ticket", 4401,
        partial(lambda path, rig: rig.socket(path, greeting(rig.tokens.access(VIEWER))), _path),
    )  # fmt: skip
EVENTS = "/ws/events"
case(EVENTS, "an expired token in the URL", 401, lambda rig: rig.socket(f"{EVENTS}?token={expired()}"))
case(EVENTS, "an API key in the URL", 401, lambda rig: rig.socket(f"{EVENTS}?token=cbk_{'0' * 12}_{'x' * 43}"))
case(EVENTS, "first words that are no JSON", 4401, lambda rig: rig.socket(EVENTS, "{"))
case(EVENTS, "first words in bytes", 4401, lambda rig: rig.socket(EVENTS, b"\x00"))
case(EVENTS, "first words without a bottom", 4401, lambda rig: rig.socket(EVENTS, (b"[" * 10_000).decode()))
V1 = "/ws/v1"
HELLO = {"id": 1, "type": "connect"}
case(V1, "first words that are no JSON", 4400, lambda rig: rig.socket(V1, "{"))
case(V1, "a token that is no ticket", 4401, lambda rig: rig.socket(V1, json.dumps({**HELLO, "token": "x"})))
case(
    V1, "an access token as a ticket", 4401,
    lambda rig: rig.socket(V1, json.dumps({**HELLO, "token": rig.tokens.access(VIEWER)})),
)  # fmt: skip
case(
    V1,
    "a command before the greeting",
    4401,
    lambda rig: rig.socket(V1, '{"id": 1, "type": "subscribe", "call_id": "*"}'),
)


def another_call(rig: Rig) -> str:
    return rig.tokens.stream(call_id="CA2", org="default")


STREAM = f"{VOICE}/media-stream"
case(STREAM, "unsigned", 403, lambda rig: rig.socket(STREAM))
case(STREAM, "signed with another token", 403, lambda rig: rig.socket(STREAM, X_Twilio_Signature="AAAA"))
case(STREAM, "start without a token", 1008, lambda rig: rig.media(start("CA1", None)))
case(
    STREAM,
    "a token of another call",
    1008,
    lambda rig: rig.media(start("CA1", rig.tokens.stream(call_id="CA2", org="default"))),
)
case(STREAM, "an access token", 1008, lambda rig: rig.media(start("CA1", rig.tokens.access(VIEWER))))
case(STREAM, "sound before start", 1002, lambda rig: rig.media(media()))
case(STREAM, "bytes", 1003, lambda rig: rig.media(b"\x00"))
case(STREAM, "no JSON", 1007, lambda rig: rig.media("{"))


# -- the functions ---------------------------------------------------------------------------------------------------

WEBHOOK = "elevenlabs_webhook"
BODY = json.dumps(transcription()).encode()


def webhook(rig: Rig, body: bytes = BODY, signature: str | None = None, **more: Any) -> int:
    headers = {"ElevenLabs_Signature": sign(body) if signature is None else signature}
    return rig.function(WEBHOOK, body, **headers, **more)


case(WEBHOOK, "unsigned", 401, lambda rig: rig.function(WEBHOOK, BODY))
case(WEBHOOK, "signed with another secret", 401, lambda rig: webhook(rig, signature=sign(BODY, secret="another")))
case(WEBHOOK, "one byte changed", 401, lambda rig: webhook(rig, BODY + b" ", sign(BODY)))
case(WEBHOOK, "31 minutes old", 401, lambda rig: webhook(rig, signature=sign(BODY, at=time.time() - 31 * 60)))
case(WEBHOOK, "two minutes ahead", 401, lambda rig: webhook(rig, signature=sign(BODY, at=time.time() + 120)))
case(WEBHOOK, "a header of nonsense", 401, lambda rig: webhook(rig, signature="t=now,v0=\x7f"))
case(WEBHOOK, "two times in the header", 401, lambda rig: webhook(rig, signature=f"t=1,{sign(BODY)}"))
case(WEBHOOK, "no signature but a time", 401, lambda rig: webhook(rig, signature=f"t={int(time.time())}"))
case(WEBHOOK, "signed, no JSON", 400, lambda rig: webhook(rig, b"\xff"))
case(WEBHOOK, "signed, JSON without a bottom", 400, lambda rig: webhook(rig, DEEP))
case(WEBHOOK, "signed, a list", 400, lambda rig: webhook(rig, b"[]"))
case(WEBHOOK, "signed, without a type", 400, lambda rig: webhook(rig, b'{"data": {}}'))
case(WEBHOOK, "signed, data that is none", 400, lambda rig: webhook(rig, b'{"type": "x", "data": 7}'))
case(WEBHOOK, "read instead of posted", 405, lambda rig: webhook(rig, method="GET"))
case(WEBHOOK, "larger than the platform takes", 413, lambda rig: webhook(rig, b" " * (33 * 1024 * 1024)))

FALLBACK = "voice_fallback"
TWILIO_FORM = urlencode(FORM).encode()
case(FALLBACK, "unsigned", 403, lambda rig: rig.function(FALLBACK, TWILIO_FORM))
case(FALLBACK, "signed with nonsense", 403, lambda rig: rig.function(FALLBACK, TWILIO_FORM, X_Twilio_Signature="AAAA"))
case(FALLBACK, "read instead of posted", 405, lambda rig: rig.function(FALLBACK, method="GET"))
case(FALLBACK, "a body that is too large", 413, lambda rig: rig.function(FALLBACK, b"x" * 70_000))

PERSONALIZE = "elevenlabs_personalize"
ASKED = json.dumps({"caller_id": "+14155550123"}).encode()
case(PERSONALIZE, "without the secret", 401, lambda rig: rig.function(PERSONALIZE, ASKED))
case(PERSONALIZE, "another secret", 401, lambda rig: rig.function(PERSONALIZE, ASKED, X_Callboard_Secret="x"))
case(PERSONALIZE, "an empty secret", 401, lambda rig: rig.function(PERSONALIZE, ASKED, X_Callboard_Secret=""))
case(PERSONALIZE, "read instead of posted", 405, lambda rig: rig.function(PERSONALIZE, method="GET"))

APPLY = "apply_call_event"
case(APPLY, "without a token", 401, lambda rig: rig.function(APPLY, b"{}"))
case(APPLY, "another token", 403, lambda rig: rig.function(APPLY, b"{}", Authorization="Bearer x"))
case(APPLY, "another token in the query", 403, lambda rig: rig.function(APPLY, b"{}", query="?token=x"))
case(APPLY, "read instead of posted", 405, lambda rig: rig.function(APPLY, method="GET"))
case(
    APPLY, "larger than any push", 413,
    lambda rig: rig.function(APPLY, b" " * (12 * 1024 * 1024), Authorization=f"Bearer {PUSH_TOKEN}"),
)  # fmt: skip
for _name in ("schedule_reminders", "reconcile_conversations"):
    case(_name, "read instead of posted", 405, partial(lambda name, rig: rig.function(name, method="GET"), _name))
case("schedule_reminders", "no JSON", 400, lambda rig: rig.function("schedule_reminders", b"{"))
case(
    "schedule_reminders",
    "an organisation that is a path",
    400,
    lambda rig: rig.function("schedule_reminders", b'{"org": "../x"}'),
)
case("reconcile_conversations", "a large body", 413, lambda rig: rig.function("reconcile_conversations", b"x" * 9_000))


@pytest.mark.parametrize("one", CASES, ids=[f"{one.door}: {one.what}" for one in CASES])
def test_what_must_not_come_in(rig: Rig, one: Case) -> None:
    before = rig.written()
    code = one.do(rig)
    assert code == one.code
    assert rig.written() == before


def test_the_table_covers_every_door(rig: Rig) -> None:
    assert len(CASES) >= 60
    assert len({(one.door, one.what) for one in CASES}) == len(CASES)
    assert rig.running is not None
    routes = rig.running.app.routes
    doors = {one.door.replace("/CA1", "/{call_id}") for one in CASES}
    assert {route.path for route in routes if isinstance(route, WebSocketRoute)} <= doors
    assert {route.path for route in routes if isinstance(route, Route) and route.path.startswith(VOICE)} <= doors
    from infra.local.functions_host import ENTRY_POINTS

    assert set(ENTRY_POINTS) <= doors


def test_the_right_ones_come_in(rig: Rig) -> None:
    """So that no case above is refused for a reason that has nothing to do with it."""
    assert rig.twilio(INCOMING) == 200
    assert rig.rest("GET", CALLS) == 200
    assert rig.rest("GET", CALLS, token=forged()) == 200
    assert webhook(rig) == 200
    assert rig.function(APPLY, b"{}", Authorization=f"Bearer {PUSH_TOKEN}") == 204
    assert rig.function(PERSONALIZE, ASKED, X_Callboard_Secret=PERSONALIZE_SECRET) == 200
    line = socket.create_connection(("127.0.0.1", rig.port))
    with connect(f"ws://{rig.host}{EVENTS}", sock=line, proxy=None) as ws:
        ws.send(greeting(rig.tokens.ticket(VIEWER)))
        assert json.loads(ws.recv(timeout=10))["type"] == "authenticated"
