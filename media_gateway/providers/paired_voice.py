"""A voice of one or two vendors: the first that can be had speaks, and when it fails in a call the other one goes on.

Which words are still to be said is the call's business (`voice.mouth`): here it is decided only whom to ask. A vendor
that keeps failing is left alone by all calls for a while (`breaker`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from media_gateway.providers.breaker import Breaker
from media_gateway.providers.line_cache import LineCache
from media_gateway.voice.ports import (
    ProviderFault,
    Speaking,
    Spoken,
    SpokenEnd,
    Voice,
    VoiceFailed,
    VoiceTrouble,
    Warmable,
)


class PairedVoice:
    """The ports `Voice`, `Several` and `Warmable`. The first one is asked first; `lines` keeps what was rendered."""

    def __init__(
        self, voices: Sequence[Voice], lines: LineCache, breakers: Mapping[str, Breaker] | None = None
    ) -> None:
        self._voices = tuple(voices)
        self._lines = lines
        self._breakers = breakers if breakers is not None else {voice.name: Breaker() for voice in voices}
        self.name = self._voices[0].name

    def without(self, provider: str) -> Voice:
        """The same for a call in which `provider` has just failed: it comes last."""
        return PairedVoice(sorted(self._voices, key=lambda voice: voice.name == provider), self._lines, self._breakers)

    async def warm(self) -> None:
        """A key that is not taken stops the start, whosesoever it is; a vendor that is away does only if there is no
        other. Raises ProviderFault."""
        faults: list[ProviderFault] = []
        for voice in self._voices:
            try:
                if isinstance(voice, Warmable):
                    await voice.warm()
            except ProviderFault as fault:
                if fault.kind == "unauthorized":
                    raise
                faults.append(fault)
        if len(faults) == len(self._voices):
            raise faults[0]

    async def aclose(self) -> None:
        """Safe to call twice."""
        for voice in self._voices:
            if isinstance(voice, Warmable):
                await voice.aclose()

    async def open(self, on_spoken: Callable[[Spoken], None]) -> Speaking:
        """The first that can be had. Raises ProviderFault when none can."""
        last = self._voices[-1]
        for voice in self._voices:
            # If all of them are being left alone, it is tried all the same: silence is no better.
            if voice is not last and not self._breakers[voice.name].allows(time.monotonic()):
                continue
            try:
                return await self._open(voice, on_spoken)
            except ProviderFault as fault:
                if voice is last:
                    raise
                on_spoken(VoiceTrouble(fault.provider, fault.kind, fault.detail))
        raise AssertionError("a voice has at least one provider")

    async def _open(self, voice: Voice, on_spoken: Callable[[Spoken], None]) -> Speaking:
        breaker = self._breakers[voice.name]

        def heard(spoken: Spoken) -> None:
            if isinstance(spoken, SpokenEnd):
                breaker.worked()
            elif isinstance(spoken, VoiceFailed):
                breaker.failed(time.monotonic())
            on_spoken(spoken)

        try:
            return await voice.open(heard)
        except ProviderFault:
            breaker.failed(time.monotonic())
            raise

    async def render(self, text: str) -> bytes:
        """By the first that can. Raises ProviderFault when none can."""
        for voice in self._voices[:-1]:
            try:
                return await self._lines.render(voice, text)
            except ProviderFault:
                continue
        return await self._lines.render(self._voices[-1], text)
