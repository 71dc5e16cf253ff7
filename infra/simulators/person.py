"""The other telephone of a `<Dial>`: it rings, its person hears what the Number's `url` says to them alone, presses
keys or not, and is joined with the caller when that TwiML ends without hanging up. A leg of its own: with its own
CallSid, its own signed requests and its own recording."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from infra.simulators import tones, twiml, wav
from infra.simulators.clips import Clip
from infra.simulators.config import Person, PhoneConfig, new_sid
from infra.simulators.log import CallLog
from infra.simulators.report import LegSeen
from infra.simulators.stream import Ended
from infra.simulators.wav import Placed
from infra.simulators.webhooks import WebhookFailed, Webhooks


class HungUp(Exception):
    """The TwiML, or the person, ended this leg."""


class PersonLeg:
    """`caller` is the leg that dials. `joined` is called when the two can hear each other."""

    def __init__(
        self,
        config: PhoneConfig,
        dial: twiml.Dial,
        person: Person,
        *,
        caller_sid: str,
        caller: str,
        log: CallLog,
        clips: Mapping[str, Clip],
    ) -> None:
        self.call_sid = new_sid("CA")
        self.person = person
        self.status = "no-answer"
        self.bridged = False
        self._dial = dial
        self._pace = config.pace
        self._wav_dir = config.wav_dir
        self._log = log
        self._clips = clips
        self._parent = {"ParentCallSid": caller_sid}
        own = replace(config, called=dial.number, call_sid=self.call_sid, direction="outbound-dial", status_events=())
        self._web = Webhooks(own, call_sid=self.call_sid, caller=caller, log=log)
        self._caller_says = config.joined_says
        self._began_us = self._ended_us = log.now_us()
        self._answered = False
        self._joined_us: int | None = None
        self._keys = list(person.keys)
        self._pressed = ""
        self._said: list[str] = []
        self._hears: list[Placed] = []
        self._speaks: list[Placed] = []

    async def run(self) -> Ended:
        """From the first ring to the end of this leg; cancelled when the caller hangs up."""
        self._log.note("person_rings", number=self._dial.number)
        async with self._web:
            try:
                await self._live()
            except WebhookFailed as error:
                self.status = "failed"
                self._log.note("person_failed", problem=str(error))
            except asyncio.CancelledError:
                self.status = "completed" if self.bridged else "canceled"
                raise
            finally:
                self._ended_us = self._log.now_us()
                self._log.note("person_gone", status=self.status, bridged=self.bridged)
        return Ended("gateway")

    async def _live(self) -> None:
        patience_s = self._dial.timeout_s * self._pace
        await self._pass(min(self.person.ring_s, patience_s))
        if self.person.outcome != "answers" or self.person.ring_s > patience_s:
            self.status = "no-answer" if self.person.outcome == "answers" else self.person.outcome
            return
        self._answered, self.status, self._web.call_status = True, "completed", "in-progress"
        self._log.note("person_answers")
        detecting = asyncio.create_task(self._detect())
        try:
            async with asyncio.timeout(self.person.hangs_up_s):
                await self._screened()
        except (HungUp, TimeoutError):
            self.status = self.person.dismissed
            return
        finally:
            detecting.cancel()
            await asyncio.wait({detecting})
        await self._talk()

    async def _detect(self) -> None:
        if self._dial.amd is None:
            return
        await self._pass(self.person.verdict_s)
        milliseconds = str(round(self.person.verdict_s * 1000))
        news = {"AnsweredBy": self.person.verdict, "MachineDetectionDuration": milliseconds}
        await self._web.tell(self._dial.amd, {**self._parent, **news})

    # --- what they hear alone ---

    async def _screened(self) -> None:
        """Returns when the TwiML ends and the two are to be joined. Raises HungUp, WebhookFailed."""
        url, method, extra = self._dial.url, self._dial.url_method, dict[str, str]()
        while url is not None:
            document = await self._web.fetch(url, {**self._parent, **extra}, method=method)
            url = None
            for verb in document.verbs:
                following = await self._obey(verb)
                if following is not None:
                    url, method, extra = following
                    break

    async def _obey(self, verb: twiml.Verb) -> tuple[str, str, dict[str, str]] | None:
        match verb:
            case twiml.Hangup() | twiml.Reject():
                raise HungUp
            case twiml.Redirect(url, method):
                return url, method, {}
            case twiml.Gather():
                digits = await self._asked(verb)
                return (verb.action, verb.method, {"Digits": digits}) if digits else None
            case twiml.Say() | twiml.Play() | twiml.Pause():
                await self._listen(verb)
            case _:
                raise WebhookFailed(f"<{type(verb).__name__}> cannot be followed by a person who is being asked")
        return None

    async def _asked(self, gather: twiml.Gather) -> str:
        """The key, or "" when none came in time; a key ends what is being said."""
        key = self._keys.pop(0) if self._keys else "-"
        if key == "-":
            for prompt in gather.prompts:
                await self._listen(prompt)
            await self._pass(gather.timeout_s * self._pace)
            return ""
        listening = asyncio.create_task(self._listen_all(gather.prompts))
        await self._pass(self.person.key_s)
        listening.cancel()
        await asyncio.wait({listening})
        self._pressed += key
        self._log.note("person_presses", digits=key)
        return key

    async def _listen_all(self, prompts: tuple[twiml.Say | twiml.Play | twiml.Pause, ...]) -> None:
        for prompt in prompts:
            await self._listen(prompt)

    async def _listen(self, verb: twiml.Say | twiml.Play | twiml.Pause) -> None:
        match verb:
            case twiml.Say(text):
                self._said.append(text)
                self._log.note("person_hears", text=text)
                began_us = self._log.now_us()
                try:
                    await self._pass(tones.spoken_s(text) * self._pace)
                finally:
                    self._hear(began_us, tones.humming(self._log.now_us() - began_us))
            case twiml.Pause(seconds):
                await self._pass(seconds * self._pace)
            case twiml.Play(url):
                self._said.append(url)

    # --- joined ---

    async def _talk(self) -> None:
        """Each hears the other's line; then one of them hangs up, and this leg with it."""
        self.bridged, self._joined_us = True, self._log.now_us()
        self._log.note("joined")
        if self.person.says:
            self._speaks.append((self._joined_us, self._clips[self.person.says].audio))
        if self._caller_says:
            self._hear(self._joined_us, self._clips[self._caller_says].audio)
        await self._pass(self.person.talk_s)

    def _hear(self, at_us: int, audio: bytes) -> None:
        self._hears.append((at_us, audio))

    # --- what the caller's leg asks ---

    def held(self) -> Placed:
        """The ring that the caller heard, until the two were joined."""
        until = self._ended_us if self._joined_us is None else self._joined_us
        return self._began_us, tones.ringing(until - self._began_us)

    def to_caller(self) -> list[Placed]:
        """What the caller heard of the person."""
        return list(self._speaks)

    def from_caller(self) -> list[Placed]:
        """What the caller said to the person."""
        return (
            [(self._joined_us, self._clips[self._caller_says].audio)] if self._joined_us and self._caller_says else []
        )

    @property
    def talked_s(self) -> float:
        return 0.0 if self._joined_us is None else (self._ended_us - self._joined_us) / 1e6

    async def seen(self) -> LegSeen:
        """What happened, with the recording if there is one."""
        joined_us = self._ended_us if self._joined_us is None else self._joined_us
        return LegSeen(
            call_sid=self.call_sid,
            number=self._dial.number,
            rang_ms=self._began_us / 1000,
            status=self.status,
            answered=self._answered,
            bridged=self.bridged,
            heard=tuple(self._said),
            pressed=self._pressed,
            hold_ms=(joined_us - self._began_us) / 1000,
            joined_ms=(self._ended_us - joined_us) / 1000,
            twiml=tuple(self._web.seen),
            wav=await self._record(),
        )

    async def _record(self) -> str | None:
        """This leg alone, from its first ring: the person left, what they heard right."""
        if self._wav_dir is None:
            return None
        path = self._wav_dir / f"{self.call_sid}.wav"
        speaks, hears = ([(at - self._began_us, audio) for at, audio in side] for side in (self._speaks, self._hears))
        await asyncio.to_thread(wav.write_call, path, speaks, hears, duration_us=self._ended_us - self._began_us)
        return str(path)

    async def _pass(self, seconds: float) -> None:
        await self._log.clock.sleep_until(self._log.clock.now() + seconds)
