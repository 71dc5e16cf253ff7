"""The phone's HTTP side: signed form POSTs as Twilio makes them, and status callbacks one after the other."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Mapping
from email.utils import formatdate
from functools import cache

import httpx2

from infra.simulators import signing, twiml
from infra.simulators.config import PhoneConfig, StatusEvent, reached
from infra.simulators.log import CallLog
from infra.simulators.recorder import HTTP_RETRIEVAL, Violation
from infra.simulators.report import TwimlSeen

TWIML_TYPES = ("text/xml", "application/xml")
NO_ANSWER_STATUSES = ("busy", "no-answer", "failed", "canceled")


class WebhookFailed(Exception):
    """A webhook did not answer with TwiML that Twilio could use; the message says why."""


class Webhooks:
    """One call's requests. Use as an async context manager: leaving it waits for the status callbacks."""

    def __init__(self, config: PhoneConfig, *, call_sid: str, caller: str, log: CallLog) -> None:
        self._config = config
        self._log = log
        self._base = config.public_url.rstrip("/")
        self._client = httpx2.AsyncClient(
            timeout=config.http_timeout_s,
            trust_env=config.abroad,
            verify=_trust(secure=(config.via or config.public_url).startswith("https")),
            headers={"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"},
            # The front end that Twilio is connected to outlives the instances behind it: no request of a call is lost
            # because the connection of an earlier one has just died with its gateway.
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        self._statuses: asyncio.Queue[dict[str, str] | None] = asyncio.Queue(maxsize=16)
        self._poster: asyncio.Task[None] | None = None
        self._sequence = 0
        self._form = _form(config, call_sid, caller)
        self.call_status = "ringing"
        self.seen: list[TwimlSeen] = []

    async def __aenter__(self) -> Webhooks:
        self._poster = asyncio.create_task(self._post_statuses())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._poster is not None
        try:
            await self._statuses.put(None)
            await self._poster
        finally:
            self._poster.cancel()
            await self._client.aclose()

    async def incoming(self) -> twiml.Document:
        """Ring."""
        return await self.fetch(self._base + self._config.incoming_path)

    async def fetch(self, url: str, extra: Mapping[str, str] | None = None, *, method: str = "POST") -> twiml.Document:
        """The TwiML behind this URL, its faults recorded. Raises WebhookFailed when Twilio could not go on."""
        if len(self.seen) >= self._config.max_documents:
            raise WebhookFailed(f"{len(self.seen)} documents on one call: the TwiML goes in circles")
        form = self._form | {"CallStatus": self.call_status} | dict(extra or {})
        at_ms = self._log.now_ms()
        try:
            response = await self._request(method, url, form)
        except httpx2.HTTPError as error:
            raise self._failed(f"{method} {url}: {type(error).__name__} {error}") from error
        body = response.text
        self.seen.append(TwimlSeen(at_ms, url, response.status_code, body, self._log.now_ms() - at_ms))
        self._log.note("twiml", url=url, status=response.status_code)
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if response.status_code != 200:
            raise self._failed(f"{method} {url} answered {response.status_code}: {body[:120]!r}")
        if kind not in TWIML_TYPES:
            raise self._failed(f"{method} {url}: content type {kind or 'missing'}, not one of {', '.join(TWIML_TYPES)}")
        document = twiml.parse(body, base_url=url)
        for fault in document.faults:
            self._log.violation(fault)
        if not document.usable:
            raise WebhookFailed(document.faults[0].what)
        return document

    def status(self, event: StatusEvent, *, call_status: str, duration_s: float | None = None) -> None:
        """Queue a status callback, if this event is asked for. `duration_s` only with terminal ones."""
        if event not in self._config.status_events:
            return
        form = self._form | {
            "CallStatus": call_status,
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._sequence),
            "Timestamp": formatdate(usegmt=True),
        }
        if duration_s is not None:
            form |= {"CallDuration": str(math.ceil(duration_s)), "SipResponseCode": "200"}
            if call_status not in NO_ANSWER_STATUSES:
                form["Duration"] = str(max(1, math.ceil(duration_s / 60)))
        self._sequence += 1
        self._statuses.put_nowait(form)

    async def tell(self, url: str, extra: Mapping[str, str]) -> None:
        """Post news of this call; an answer other than success is a violation."""
        await self._deliver(url, self._form | {"CallStatus": self.call_status} | dict(extra))

    async def _post_statuses(self) -> None:
        url = self._config.status_path
        url = url if "://" in url else self._base + url
        held: list[dict[str, str]] = []
        while (form := await self._statuses.get()) is not None:
            if self._config.faults.statuses_reversed:
                held.append(form)
            else:
                await self._deliver(url, form)
        for form in reversed(held):
            await self._deliver(url, form)

    async def _deliver(self, url: str, form: Mapping[str, str]) -> None:
        try:
            response = await self._request("POST", url, form)
        except httpx2.HTTPError as error:
            self._log.violation(Violation(HTTP_RETRIEVAL, f"POST {url}: {type(error).__name__} {error}"))
            return
        self._log.note("status_callback", call_status=form["CallStatus"], answer=response.status_code)
        if not response.is_success:
            what = f"POST {url} ({form['CallStatus']}) answered {response.status_code}"
            self._log.violation(Violation(HTTP_RETRIEVAL, what))

    async def _request(self, method: str, url: str, form: Mapping[str, str]) -> httpx2.Response:
        if method == "GET":
            target = str(httpx2.URL(url).copy_merge_params(dict(form)))
            return await self._client.get(self._reached(target), headers=self._signed(target, None))
        return await self._client.post(self._reached(url), data=dict(form), headers=self._signed(url, form))

    def _reached(self, url: str) -> str:
        return reached(url, public=self._base, via=self._config.via)

    def _signed(self, url: str, form: Mapping[str, str] | None) -> dict[str, str]:
        return signature_headers(self._config.auth_token, url, form, how=self._config.faults.webhook_signature)

    def _failed(self, what: str) -> WebhookFailed:
        self._log.violation(Violation(HTTP_RETRIEVAL, what))
        return WebhookFailed(what)


@cache
def _trust(*, secure: bool) -> ssl.SSLContext:
    """Made once, and with no certificates when none are needed: reading them takes some 20 ms, which would make other
    calls' frames late. A context without certificates trusts nobody."""
    return ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def signature_headers(token: str, url: str, form: Mapping[str, str] | None, *, how: str) -> dict[str, str]:
    """The signature's header: good, of another token, or none at all."""
    if how == "none":
        return {}
    return {signing.HEADER: signing.sign(token if how == "good" else token + "-not", url, form)}


def _form(config: PhoneConfig, call_sid: str, caller: str) -> dict[str, str]:
    """What every webhook of a call has; the empty fields are sent, and signed, by Twilio too."""
    form = {
        "AccountSid": config.account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": call_sid,
        "CallStatus": "ringing",
        "Called": config.called,
        "Caller": caller,
        "Direction": config.direction,
        "From": caller,
        "To": config.called,
        "StirVerstat": "TN-Validation-Passed-A",
    }
    for side in ("From", "To", "Caller", "Called"):
        form |= {f"{side}City": "", f"{side}State": "CA", f"{side}Zip": "", f"{side}Country": "US"}
    return form
