"""A caller and a simulated Deepgram in virtual time: the real ears, the simulator's own streams, no socket between
them. A minute of speech takes milliseconds, and a connection can break at any of its moments."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from infra.simulators.deepgram_listen_rules import check_query
from infra.simulators.deepgram_listen_talk import Stream, StreamV1, StreamV2
from infra.simulators.deepgram_listen_words import Legible
from infra.simulators.vendor_socket import VendorSocket
from media_gateway.conversation.model import ListeningProfile
from media_gateway.providers import deepgram_messages as wire
from media_gateway.providers.client_socket import ClientSocket
from media_gateway.providers.deepgram_hearing import DeepgramHearing
from media_gateway.providers.deepgram_link import Link
from media_gateway.voice.ports import Heard, ProviderFault
from tests.media_gateway.providers.deepgram import WORDS, Api


class _Selector(selectors.SelectSelector):
    """Instead of waiting, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it on a loop whose clock is not the world's."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(main())


class _Wire:
    """Both ends of one connection."""

    empty = False
    pongs = 0

    def __init__(self, link: Link, latency: float) -> None:
        self.link = link
        self.latency = latency
        self.cut = False
        self.stream: Stream | None = None
        self._loop = asyncio.get_running_loop()

    # the client's end
    def send_binary(self, mulaw: bytes) -> None:
        if not self.cut and self.stream:
            self.stream.binary(mulaw)

    def send_text(self, text: str) -> None:
        if not self.cut and self.stream:
            self.stream.text(text)

    def ping(self) -> None:
        self.pongs += not self.cut

    def abort(self) -> None:
        self.cut = True

    async def aclose(self, _patience: float) -> None:
        self.cut = True

    # the vendor's end
    def send(self, message: str) -> None:
        self._loop.call_later(self.latency, self._arrive, message)

    def close(self, _code: int | None = 1000, _reason: str = "") -> None:
        pass

    def _arrive(self, message: str) -> None:
        if not self.cut:
            self.link.received(message.encode(), True)

    def break_(self) -> None:
        if not self.cut:
            self.cut = True
            self.link.lost(1006, "")


@dataclass
class World:
    """`refusals`: how many attempts after each break are refused."""

    api: Api
    latency: float = 0.1
    refusals: int = 0
    lose_speech_final: bool = False
    heard: list[Heard] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    wires: list[_Wire] = field(default_factory=list)
    hearing: DeepgramHearing | None = None
    _refuse: int = 0

    async def connect(
        self,
        profile: ListeningProfile,
        on_message: Callable[[wire.Message], None],
        on_lost: Callable[[str, str], None],
    ) -> Link:
        """What `DeepgramEars.connect` does."""
        await asyncio.sleep(0.05)
        if self._refuse:
            self._refuse -= 1
            raise ProviderFault("deepgram", "busy")
        link = Link(self.api, on_message, on_lost)
        one = _Wire(link, self.latency)
        query, model = (wire.query_v1, "nova-3") if self.api == "v1" else (wire.query_v2, "flux-general-en")
        _, wishes = check_query(f"/{self.api}/listen?{query(profile, model=model, language='en')}")
        parts = (cast(VendorSocket, one), wishes, Legible(WORDS), self.violations.append, 1e9)
        one.stream = (
            StreamV2(*parts) if self.api == "v2" else StreamV1(*parts, lose_speech_final=self.lose_speech_final)
        )
        self.wires.append(one)
        one.stream.opened()
        await link.ready(cast(ClientSocket, one))
        return link

    async def call(
        self, frames: Sequence[bytes], breaks: Sequence[float], profile: ListeningProfile, hangs: float | None = None
    ) -> None:
        """The frames at their own pace; the connection breaks at these moments, or hangs from one on, in seconds."""
        loop = asyncio.get_running_loop()
        hearing = DeepgramHearing(self.api, self.connect, profile, self.heard.append, lambda _low, high: high)
        self.hearing = hearing
        await hearing.start()
        for moment in breaks:
            loop.call_later(moment, self._break)
        if hangs is not None:
            loop.call_later(hangs, self._hang)
        for frame in frames:
            hearing.feed(frame)
            await asyncio.sleep(0.02)
        await hearing.aclose()
        for one in self.wires:
            if one.stream:
                one.stream.gone()

    def _break(self) -> None:
        self._refuse = self.refusals
        if self.wires:
            self.wires[-1].break_()

    def _hang(self) -> None:
        self.wires[-1].cut = True
