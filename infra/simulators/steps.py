"""The caller: goes through the scenario's steps, over as many streams as the call has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from infra.simulators.clips import Clip
from infra.simulators.config import DoAside
from infra.simulators.log import CallLog
from infra.simulators.mulaw import FRAME_MS
from infra.simulators.scenario import (
    Action,
    AfterAssistant,
    Aside,
    AtOnce,
    Cut,
    HangUp,
    Over,
    Press,
    Raw,
    Say,
    Scenario,
    Silence,
    Step,
    StreamEnd,
    Wait,
    When,
)
from infra.simulators.stream import Ended, MediaStream

KEY_GAP_MS = 200


class Caller:
    """Keeps its place between streams: a step that a lost stream interrupted is done again on the next one."""

    def __init__(self, scenario: Scenario, clips: Mapping[str, Clip], log: CallLog, aside: DoAside | None) -> None:
        self._scenario = scenario
        self._aside = aside
        self._clips = clips
        self._log = log
        self._acted_us = 0
        self._hearing_since_us: int | None = None
        self.done = 0

    async def run(self, stream: MediaStream) -> Ended:
        """Do the rest of the steps on this stream. Returns only when the caller ends it."""
        while self.done < len(self._scenario.steps):
            step = self._scenario.steps[self.done]
            if not await self._come_true(step.when, stream):
                return Ended("step_timeout", f"step {self.done + 1} ({_label(step)}) never came to its turn")
            ended = await self._act(step, stream)
            self.done += 1
            if ended is not None:
                return ended
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    def stream_ended(self) -> None:
        """The gateway closed the stream, which may be what the caller was waiting for."""
        if self.done < len(self._scenario.steps) and isinstance(self._scenario.steps[self.done].when, StreamEnd):
            self.done += 1

    async def _come_true(self, when: When, stream: MediaStream) -> bool:
        limit_us = stream.now_us() + round(self._scenario.step_timeout_s * 1e6)
        while not self._is_true(when, stream):
            if stream.now_us() >= limit_us:
                return False
            await stream.tick()
        return True

    def _is_true(self, when: When, stream: MediaStream) -> bool:
        if isinstance(when, AtOnce):
            return True
        sound_us = stream.playout.last_sound_us
        if sound_us is None or sound_us <= self._acted_us:
            return False
        now_us = stream.now_us()
        if self._hearing_since_us is None:
            self._hearing_since_us = max(self._acted_us, now_us - FRAME_MS * 1000)
        match when:
            case AfterAssistant(quiet_ms):
                return not stream.playout.buffered_bytes and now_us - sound_us >= quiet_ms * 1000
            case Over(after_ms):
                return stream.playout.buffered_bytes > 0 and now_us - self._hearing_since_us >= after_ms * 1000
        return False

    async def _act(self, step: Step, stream: MediaStream) -> Ended | None:
        match step.action:
            case Say(name):
                await self._say(self._clips[name], stream, over=isinstance(step.when, Over))
            case Press(digits):
                await self._press(digits, stream)
            case Silence(ms):
                await self._hold(ms, stream)
            case Raw(text):
                await stream.send_raw(text)
            case HangUp():
                return Ended("caller")
            case Cut(resume):
                return Ended("cut_resume" if resume else "cut")
            case Aside():
                await self._elsewhere(step.action, stream)
            case Wait():
                self._log.note("waited", step=self.done + 1)
        return None

    async def _say(self, clip: Clip, stream: MediaStream, *, over: bool) -> None:
        self._log.note("say", clip=clip.name, over=over)
        stream.mouth.say(clip, over=over)
        while stream.mouth.speaking:
            await stream.tick()
        self._log.note("said", clip=clip.name)
        self._acted(stream)

    async def _elsewhere(self, aside: Aside, stream: MediaStream) -> None:
        """Frames go on meanwhile: a telephone is never silent on the wire."""
        assert self._aside is not None  # `phone.place_call` has asked for it
        self._log.note(aside.what, detail=aside.detail)
        doing = asyncio.ensure_future(self._aside(aside.what, aside.detail))
        while not doing.done():
            await stream.tick()
        await doing
        if aside.what == "type":
            self._acted(stream)

    async def _press(self, digits: str, stream: MediaStream) -> None:
        for place, digit in enumerate(digits):
            if place:
                await self._hold(KEY_GAP_MS, stream)
            await stream.press(digit)
        self._acted(stream)

    async def _hold(self, ms: int, stream: MediaStream) -> None:
        end_us = stream.now_us() + ms * 1000
        while stream.now_us() < end_us:
            await stream.tick()

    def _acted(self, stream: MediaStream) -> None:
        self._acted_us = stream.now_us()
        self._hearing_since_us = None


def clip_names(scenario: Scenario) -> set[str]:
    """The clips that this scenario says."""
    return {step.action.clip for step in scenario.steps if isinstance(step.action, Say)}


def _label(step: Step) -> str:
    action: Action = step.action
    name = type(action).__name__.lower()
    return f"{name} {action.clip}" if isinstance(action, Say) else name
