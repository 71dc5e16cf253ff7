"""Twilio's REST API on loopback, as far as calls and messages go: the real SDK talks to it, and simulated telephones
ring. Nothing of the product is imported.

    async with TwilioApi(auth_token="...") as twilio:
        twilio.phones["+14155550123"] = Callee(scenario=..., verdict="machine_end_beep")
        ...                                     # the product is told TWILIO_API_BASE_URL=twilio.url
        report = await twilio.finished(call_sid)

On its own, for `dev` and for looking (TWILIO_AUTH_TOKEN is read from the environment):
`python -m infra.simulators.twilio_api --port 8090 --scenario infra/simulators/callees/confirms.yaml`.
Source of the shapes: Twilio's "Call resource" and "Messages resource", and the SDK's own parsing of them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import os
import re
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal, Self, get_args
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.simulators.callee import EVENTS, STAYS, CalledPhone, Callee, Order, Outcome, Verdict, called
from infra.simulators.config import new_sid
from infra.simulators.report import CallReport
from infra.simulators.scenario import load_scenario

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
ACCOUNT_SID = "AC" + "0" * 31 + "1"
PAGE = 50

_Work = Callable[[Request, Mapping[str, str]], Awaitable[Response]]
_Endpoint = Callable[[Request], Awaitable[Response]]
Trouble = Literal["429", "500", "hang", "500_after", "hang_after"]
"""What goes wrong with the next creation: refused because of too many requests; a server error, or no answer at all,
before or after it was done."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came in. `form` holds repeated names joined by a space."""

    method: str
    path: str
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """An SMS that was taken."""

    sid: str
    to: str
    from_: str
    body: str
    created: datetime


@dataclass(slots=True)
class PlacedCall:
    """A call that was created."""

    phone: CalledPhone
    created: datetime
    task: asyncio.Task[CallReport] | None = None


class Refused(Exception):
    """An error answer in Twilio's shape."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(slots=True, kw_only=True)
class TwilioApi:
    """`phones` are the telephones by number, `anyone` all others. `blocked` are prefixes of countries that the account
    may not call (21215); `unsubscribed` numbers have answered STOP (21610). `troubles` befall the next creations, one
    each, in order. `hang_s` is how long a hanging answer takes."""

    auth_token: str
    account_sid: str = ACCOUNT_SID
    phones: dict[str, Callee] = field(default_factory=dict)
    anyone: Callee = field(default_factory=Callee)
    blocked: tuple[str, ...] = ()
    unsubscribed: frozenset[str] = frozenset()
    troubles: deque[Trouble] = field(default_factory=deque)
    hang_s: float = 60.0
    port: int = 0
    calls: dict[str, PlacedCall] = field(default_factory=dict)
    messages: list[SentMessage] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    _server: _Server | None = None
    _serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """TWILIO_API_BASE_URL."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app(), lifespan="off", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self  # connections wait in the socket's queue until it serves

    async def __aexit__(self, *_: object) -> None:
        for call in self.calls.values():
            if call.task and not call.task.done():
                call.phone.update(status="completed")
        tasks = [call.task for call in self.calls.values() if call.task]
        late = (await asyncio.wait(tasks, timeout=5.0))[1] if tasks else set()
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = True
        await self._serving
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def finished(self, call_sid: str) -> CallReport:
        """The report of this call, once it is over. Raises what went wrong with the telephone itself."""
        task = self.calls[call_sid].task
        assert task is not None
        return await task

    # --- HTTP ---

    def _app(self) -> Starlette:
        account = "/2010-04-01/Accounts/{account}"
        handlers = [
            (f"{account}/Calls.json", "POST", self._create_call),
            (f"{account}/Calls.json", "GET", self._list_calls),
            (f"{account}/Calls/{{sid}}.json", "GET", self._fetch_call),
            (f"{account}/Calls/{{sid}}.json", "POST", self._update_call),
            (f"{account}/Messages.json", "POST", self._create_message),
            (f"{account}/Messages.json", "GET", self._list_messages),
        ]
        return Starlette(routes=[Route(path, self._guarded(work), methods=[verb]) for path, verb, work in handlers])

    def _guarded(self, work: _Work) -> _Endpoint:
        async def endpoint(request: Request) -> Response:
            pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True)
            form: dict[str, str] = {}
            for name, value in pairs:
                form[name] = f"{form[name]} {value}" if name in form else value
            self.seen.append(Seen(request.method, request.url.path, form))
            try:
                self._authenticate(request)
                answer = await work(request, form)
            except Refused as error:
                answer = _error(error)
            return answer

        return endpoint

    def _authenticate(self, request: Request) -> None:
        wanted = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        if not hmac.compare_digest(given, wanted) or request.path_params["account"] != self.account_sid:
            raise Refused(401, 20003, "Authenticate")

    async def _before(self) -> Trouble | None:
        """The trouble of this creation; those before it was done happen here."""
        trouble = self.troubles.popleft() if self.troubles else None
        match trouble:
            case "429":
                raise Refused(429, 20429, "Too Many Requests")
            case "500":
                raise Refused(500, 20500, "Internal Server Error")
            case "hang":
                await asyncio.sleep(self.hang_s)
                raise Refused(500, 20500, "Nothing was done")
        return trouble

    async def _after(self, trouble: Trouble | None) -> None:
        if trouble == "500_after":
            raise Refused(500, 20500, "Internal Server Error")
        if trouble == "hang_after":
            await asyncio.sleep(self.hang_s)

    # --- calls ---

    async def _create_call(self, request: Request, form: Mapping[str, str]) -> Response:
        trouble = await self._before()
        to, from_ = self._numbers(form)
        if "Url" not in form and "Twiml" not in form:
            raise Refused(400, 21205, "Url parameter is required.")
        order = Order(
            call_sid=new_sid("CA"),
            account_sid=self.account_sid,
            auth_token=self.auth_token,
            to=to,
            from_=from_,
            parameters=dict(form),
            status_events=self._events(form),
        )
        phone = await called(order, self.phones.get(to, self.anyone))
        placed = PlacedCall(phone, datetime.now(UTC))
        self.calls[order.call_sid] = placed
        answer = JSONResponse(self._resource(placed), 201)
        placed.task = asyncio.create_task(phone.run(), name=order.call_sid)
        await self._after(trouble)
        return answer

    def _numbers(self, form: Mapping[str, str]) -> tuple[str, str]:
        to, from_ = form.get("To", ""), form.get("From", "")
        if not to:
            raise Refused(400, 21201, "No 'To' number is specified")
        if not from_:
            raise Refused(400, 21213, "Caller phone number is required")
        if not E164.fullmatch(to):
            raise Refused(400, 21211, f"The phone number you are attempting to call, {to}, is not valid.")
        if not E164.fullmatch(from_):
            raise Refused(400, 21212, f"The From phone number {from_} is not valid.")
        if to.startswith(self.blocked):
            raise Refused(400, 21215, f"Account not authorized to call {to}.")
        return to, from_

    def _events(self, form: Mapping[str, str]) -> tuple[str, ...]:
        events = tuple(form.get("StatusCallbackEvent", "completed").split())
        unknown = set(events) - set(EVENTS)
        if unknown:
            raise Refused(400, 21626, f"StatusCallbackEvents {', '.join(sorted(unknown))} are not known")
        return events

    async def _list_calls(self, request: Request, _form: Mapping[str, str]) -> Response:
        """Newest first; filters To, From, Status and StartTime> (`StartTime>=` in the API's spelling, a day)."""
        query = request.query_params
        found = [
            call
            for call in reversed(self.calls.values())
            if query.get("To") in (None, call.phone.order.to)
            and query.get("From") in (None, call.phone.order.from_)
            and query.get("Status") in (None, call.phone.status)
        ]
        size = int(query.get("PageSize", PAGE))
        return JSONResponse(self._page("calls", [self._resource(call) for call in found[:size]], request, size))

    async def _fetch_call(self, request: Request, _form: Mapping[str, str]) -> Response:
        return JSONResponse(self._resource(self._known(request)))

    async def _update_call(self, request: Request, form: Mapping[str, str]) -> Response:
        placed = self._known(request)
        if placed.phone.over:
            raise Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.get("Status") not in (None, "completed", "canceled"):
            raise Refused(400, 21218, f"Invalid Status: {form['Status']}")
        if form.get("Status") == "canceled" and placed.phone.status == "in-progress":
            return JSONResponse(self._resource(placed))  # Twilio ignores it
        placed.phone.update(status=form.get("Status"), url=form.get("Url"), text=form.get("Twiml"))
        return JSONResponse(self._resource(placed))

    def _known(self, request: Request) -> PlacedCall:
        placed = self.calls.get(request.path_params["sid"])
        if placed is None:
            raise Refused(404, 20404, f"The requested resource {request.url.path} was not found")
        return placed

    def _resource(self, placed: PlacedCall) -> dict[str, object]:
        phone, order = placed.phone, placed.phone.order
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Calls/{order.call_sid}"
        created = format_datetime(placed.created)
        duration = phone.duration_s
        return {
            "sid": order.call_sid,
            "account_sid": self.account_sid,
            "to": order.to,
            "to_formatted": order.to,
            "from": order.from_,
            "from_formatted": order.from_,
            "status": phone.status,
            "direction": "outbound-api",
            "answered_by": phone.answered_by,
            "date_created": created,
            "date_updated": created,
            "start_time": created,
            "end_time": None,
            "duration": None if duration is None else str(round(duration)),
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "parent_call_sid": None,
            "forwarded_from": None,
            "caller_name": None,
            "group_sid": None,
            "trunk_sid": None,
            "phone_number_sid": "",
            "queue_time": "0",
            "annotation": None,
            "uri": f"{uri}.json",
            "subresource_uris": {"notifications": f"{uri}/Notifications.json"},
        }

    # --- messages ---

    async def _create_message(self, _request: Request, form: Mapping[str, str]) -> Response:
        trouble = await self._before()
        to, from_ = self._numbers(form)
        if not form.get("Body"):
            raise Refused(400, 21602, "Message body is required.")
        if to in self.unsubscribed:
            raise Refused(400, 21610, "Attempt to send to unsubscribed recipient")
        message = SentMessage(sid=new_sid("SM"), to=to, from_=from_, body=form["Body"], created=datetime.now(UTC))
        self.messages.append(message)
        await self._after(trouble)
        return JSONResponse(self._message(message), 201)

    async def _list_messages(self, request: Request, _form: Mapping[str, str]) -> Response:
        query = request.query_params
        found = [
            message
            for message in reversed(self.messages)
            if query.get("To") in (None, message.to) and query.get("From") in (None, message.from_)
        ]
        size = int(query.get("PageSize", PAGE))
        return JSONResponse(self._page("messages", [self._message(item) for item in found[:size]], request, size))

    def _message(self, message: SentMessage) -> dict[str, object]:
        created = format_datetime(message.created)
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{message.sid}"
        return {
            "sid": message.sid,
            "account_sid": self.account_sid,
            "to": message.to,
            "from": message.from_,
            "body": message.body,
            "status": "queued",
            "direction": "outbound-api",
            "num_segments": str(1 + (len(message.body) - 1) // 153),
            "num_media": "0",
            "error_code": None,
            "error_message": None,
            "messaging_service_sid": None,
            "price": None,
            "price_unit": "USD",
            "api_version": "2010-04-01",
            "date_created": created,
            "date_updated": created,
            "date_sent": None,
            "uri": f"{uri}.json",
            "subresource_uris": {"media": f"{uri}/Media.json"},
        }

    def _page(self, name: str, items: list[dict[str, object]], request: Request, size: int) -> dict[str, object]:
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return {
            name: items,
            "page": 0,
            "page_size": size,
            "start": 0,
            "end": max(0, len(items) - 1),
            "uri": here,
            "first_page_uri": here,
            "next_page_uri": None,
            "previous_page_uri": None,
        }


class _Server(uvicorn.Server):
    """Signals belong to whoever runs the simulator."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _error(error: Refused) -> JSONResponse:
    more = f"https://www.twilio.com/docs/errors/{error.code}"
    body = {"code": error.code, "message": str(error), "more_info": more, "status": error.status}
    return JSONResponse(body, error.status)


async def _serve(port: int, anyone: Callee) -> None:
    token = os.environ.get("TWILIO_AUTH_TOKEN", "")
    sid = os.environ.get("TWILIO_ACCOUNT_SID") or ACCOUNT_SID
    async with TwilioApi(auth_token=token, account_sid=sid, port=port, anyone=anyone) as api:
        print(f"TWILIO_API_BASE_URL={api.url} TWILIO_ACCOUNT_SID={sid}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Twilio's REST API on this machine.")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--scenario", help="what whoever is rung does: a scenario's name, or a YAML file")
    parser.add_argument("--outcome", choices=get_args(Outcome), default="answers")
    parser.add_argument("--verdict", choices=get_args(Verdict), default="human")
    options = parser.parse_args()
    scenario = load_scenario(options.scenario) if options.scenario else STAYS
    anyone = Callee(scenario=scenario, outcome=options.outcome, verdict=options.verdict, ring_s=2.0)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, anyone))


if __name__ == "__main__":
    main()
