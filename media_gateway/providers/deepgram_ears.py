"""Hearing with Deepgram: the port `Ears` over `listen` v1 (nova-3) and v2 (Flux).

A frame of the caller's sound is one write to the vendor's socket, as it came: not gathered, not decoded. The last
seconds of it are kept: when the connection breaks, another is opened (a few times, with jitter), and what the vendor
has not made into words for good is sent again, somewhat faster than real time and never faster than the vendor takes
it. What words mean for turns is decided by the pure machines in `deepgram_v1` and `deepgram_v2`.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Collection
from typing import Literal
from urllib.parse import urlsplit

import structlog
from websockets.exceptions import WebSocketException

from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers import deepgram_messages as wire
from media_gateway.providers.client_socket import ClientSocket, Refused
from media_gateway.providers.deepgram_hearing import DeepgramHearing
from media_gateway.providers.deepgram_link import Hopeless, Link
from media_gateway.voice.ports import Heard, Hearing, ProviderFault

NAME = "deepgram"
OPEN_S = 2.0
"""To open a stream. Opened twice it is still within the sound that a call keeps for its ears."""
HEDGE_S = 0.7
"""An attempt that takes longer than this gets a second one beside it: usually it is one connection that hangs, and not
the vendor."""
Api = Literal["v1", "v2"]
log = structlog.get_logger(__name__)


class DeepgramEars:
    """`base_url` is an origin, `ws://` or `wss://`. `model` None: the vendor's newest for telephone calls of that API.
    `language`: a BCP-47 tag, or `multi`."""

    name = NAME

    def __init__(
        self,
        key: str,
        *,
        base_url: str = "wss://api.deepgram.com",
        api: Api = "v1",
        model: str | None = None,
        language: str = "en",
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._key = key
        self._base = base_url.rstrip("/")
        self._api: Api = api
        self._model = listen_model(api, model, language)
        self._language = language
        self._jitter = jitter
        self._context: ssl.SSLContext | None = None

    async def warm(self) -> None:
        """One stream is opened and closed: a wrong key or model is found now and not by the first caller. Raises
        ProviderFault for those; a vendor that is not there for the moment is reported, and every call tries again."""
        try:
            link = await self.connect(ListeningProfile(), lambda _message: None, lambda _code, _reason: None)
        except ProviderFault as fault:
            if not isinstance(fault, Hopeless):
                log.warning("provider_fault", stage="hearing", provider=NAME, kind=fault.kind, detail=fault.detail)
                return
            raise ProviderFault(NAME, fault.kind, f"{fault.detail}; {_remedy(fault, self._base)}") from None
        await link.aclose(OPEN_S)

    async def aclose(self) -> None:
        """Nothing is held between calls."""

    async def open(self, profile: ListeningProfile, on_heard: Callable[[Heard], None]) -> Hearing:
        """Raises ProviderFault."""
        hearing = DeepgramHearing(self._api, self.connect, profile, on_heard, self._jitter)
        try:
            await hearing.start()
        except BaseException:
            await hearing.aclose()
            raise
        return hearing

    async def connect(
        self,
        profile: ListeningProfile,
        on_message: Callable[[wire.Message], None],
        on_lost: Callable[[str, str], None],
    ) -> Link:
        """One stream, ready to be spoken to: the first of at most two attempts. Raises ProviderFault, and Hopeless
        where trying again cannot help."""
        attempts = [asyncio.create_task(self._connect(profile, on_message, on_lost, OPEN_S), name="deepgram")]
        won: Link | None = None
        try:
            if not (await asyncio.wait(attempts, timeout=HEDGE_S))[0]:
                second = self._connect(profile, on_message, on_lost, OPEN_S - HEDGE_S)
                attempts.append(asyncio.create_task(second, name="deepgram too"))
            waiting = set(attempts)
            while won is None:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                won = next((attempt.result() for attempt in done if not attempt.exception()), None)
                if won is None and not waiting:
                    raise next(fault for attempt in done if (fault := attempt.exception()))
            return won
        finally:
            await _let_go(attempts, won)

    async def _connect(
        self,
        profile: ListeningProfile,
        on_message: Callable[[wire.Message], None],
        on_lost: Callable[[str, str], None],
        seconds: float,
    ) -> Link:
        if self._context is None and urlsplit(self._base).scheme == "wss":
            self._context = ssl.create_default_context()
        query = wire.query_v1 if self._api == "v1" else wire.query_v2
        url = f"{self._base}/{self._api}/listen?{query(profile, model=self._model, language=self._language)}"
        link = Link(self._api, on_message, on_lost)
        try:
            async with asyncio.timeout(seconds):
                socket = await ClientSocket.connect(
                    url,
                    headers={"Authorization": f"Token {self._key}"},
                    on_message=link.received,
                    on_lost=link.lost,
                    context=self._context,
                )
                await link.ready(socket)
        except Refused as answer:
            raise _refusal(answer) from None
        except TimeoutError:
            link.abort()
            raise ProviderFault(NAME, "timeout", f"no answer within {OPEN_S:.0f} s") from None
        except ConnectionRefusedError:
            raise ProviderFault(NAME, "refused", "nobody listens there") from None
        except (OSError, WebSocketException) as problem:
            link.abort()
            raise ProviderFault(NAME, "broken", type(problem).__name__) from None
        except BaseException:
            link.abort()
            raise
        return link


async def _let_go(attempts: Collection[asyncio.Task[Link]], won: Link | None) -> None:
    """Of those that were not needed."""
    for attempt in attempts:
        attempt.cancel()
    await asyncio.wait(attempts)
    for attempt in attempts:
        if not attempt.cancelled() and attempt.exception() is None and attempt.result() is not won:
            attempt.result().abort()


def listen_model(api: Api, model: str | None, language: str) -> str:
    """The model that is meant where none is named."""
    if model or api == "v1":
        return model or "nova-3"
    return "flux-general-en" if language.partition("-")[0] == "en" else "flux-general-multi"


def _refusal(answer: Refused) -> ProviderFault:
    said = "".join(letter for letter in answer.headers.get("dg-error", "")[:160] if letter.isprintable())
    detail = f"HTTP {answer.status}" + (f": {said}" if said else "")
    if answer.status in (401, 403):
        return Hopeless(NAME, "unauthorized", detail)
    if answer.status == 429:
        return ProviderFault(NAME, "busy", detail)
    if 400 <= answer.status < 500:
        return Hopeless(NAME, "refused", detail)
    return ProviderFault(NAME, "broken", detail)


def _remedy(fault: ProviderFault, base: str) -> str:
    if fault.kind == "unauthorized":
        return f"DEEPGRAM_API_KEY is not accepted by {base}: make one at console.deepgram.com (role Member or higher)"
    return "look at DEEPGRAM_LISTEN (v1 or v2), DEEPGRAM_LISTEN_MODEL and DEEPGRAM_LANGUAGE, which must fit together"
