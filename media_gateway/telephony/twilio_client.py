"""Twilio's REST API through its SDK, off the event loop: place a call, look calls up, end one, send a message.

A request is made once. What comes back is a result, or one of three exceptions that say what is known of it: `Refused`
(Twilio said no, nothing happened), `NotReached` (nothing was sent), `OutcomeUnknown` (it may have happened). The SDK's
asynchronous client has no timeouts (9.13), so the synchronous one runs in a few threads of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.exceptions import ConnectTimeout, RequestException
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import NewConnectionError

TIMEOUT_S = 10.0
SPARE_S = 3.0
"""Past the SDK's own timeouts, before the thread is left to itself."""
THREADS = 4
T = TypeVar("T")


class Refused(Exception):
    """Twilio answered no: nothing happened. `code` is one of its error codes, `status` the HTTP status."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def passing(self) -> bool:
        """The same request may be taken later: too many requests, or wrong credentials that can be put right."""
        return self.status in (401, 403, 429) or self.code in (20003, 20429)


class NotReached(Exception):
    """There was no connection: nothing was sent."""


class OutcomeUnknown(Exception):
    """It was sent, and no usable answer came: it may have been done. Look it up; never just repeat it."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A text message as Twilio knows it."""

    sid: str
    body: str
    created: datetime | None


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call as Twilio knows it. `status` in Twilio's words (`no-answer`, ...)."""

    sid: str
    status: str
    created: datetime | None


class _Rebased(TwilioHttpClient):  # type: ignore[misc]
    """The SDK knows no base URL; this sends its requests to ours."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        super().__init__(timeout=timeout_s)
        self._base = urlsplit(base_url)
        if self._base.hostname in ("127.0.0.1", "::1", "localhost"):
            self.session.trust_env = False  # no proxy stands between this machine and itself

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """The path and query are the SDK's, the rest is ours."""
        wanted = urlsplit(url)
        target = urlunsplit((self._base.scheme, self._base.netloc, wanted.path, wanted.query, ""))
        return super().request(method, target, *args, **kwargs)


class TwilioRest:
    """One account. `aclose` when done; requests under way are left to end by themselves."""

    def __init__(self, account_sid: str, auth_token: str, base_url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = _Rebased(base_url, timeout_s)
        self._client = Client(account_sid, auth_token, http_client=self._http)
        self._deadline_s = 2 * timeout_s + SPARE_S  # to connect, and to read
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="twilio")

    async def create_call(self, parameters: Mapping[str, Any]) -> str:
        """The SID of the new call. `parameters` are those of the SDK's `calls.create`."""
        created = await self._ask(partial(self._client.calls.create, **parameters))
        return str(created.sid)

    async def calls(self, *, to: str, from_: str, limit: int = 20) -> list[PlacedCall]:
        """The newest calls from one number to another."""
        found = await self._ask(partial(self._client.calls.list, to=to, from_=from_, limit=limit))
        return [PlacedCall(call.sid, call.status, call.date_created) for call in found]

    async def update_call(self, sid: str, **changes: Any) -> None:
        """End a call (`status="completed"`), or give it another document (`url`, `twiml`)."""
        await self._ask(partial(self._client.calls(sid).update, **changes))

    async def send_message(self, *, to: str, from_: str, body: str) -> str:
        """The SID of the SMS."""
        sent = await self._ask(partial(self._client.messages.create, to=to, from_=from_, body=body))
        return str(sent.sid)

    async def messages(self, *, to: str, from_: str, limit: int = 20) -> list[SentMessage]:
        """The newest messages from one number to another."""
        found = await self._ask(partial(self._client.messages.list, to=to, from_=from_, limit=limit))
        return [SentMessage(one.sid, one.body, one.date_created) for one in found]

    async def aclose(self) -> None:
        """Safe to call twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.session.close()

    async def _ask(self, work: Callable[[], T]) -> T:
        """Raises Refused, NotReached, OutcomeUnknown."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TwilioRestException as error:
            raise _meaning(error) from error
        except (RequestException, TwilioException, TimeoutError) as error:
            raise NotReached(_short(error)) if _unsent(error) else OutcomeUnknown(_short(error)) from error


def _meaning(error: TwilioRestException) -> Exception:
    """A server error says nothing of what had been done by then."""
    if error.status >= 500:
        return OutcomeUnknown(f"Twilio answered {error.status}")
    return Refused(error.status, int(error.code or 0), str(error.msg))


def _unsent(error: Exception) -> bool:
    if isinstance(error, ConnectTimeout):
        return True
    if not isinstance(error, requests.exceptions.ConnectionError) or not error.args:
        return False
    return isinstance(getattr(error.args[0], "reason", None), NewConnectionError)


def _short(error: Exception) -> str:
    return type(error).__name__
