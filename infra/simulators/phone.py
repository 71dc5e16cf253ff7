"""The simulated phone: a call to the gateway exactly as Twilio would make it, by a caller who follows a scenario.

It rings `{public}/api/v1/voice/incoming`, obeys the TwiML it gets, opens the media stream that the TwiML names, and
goes on with what stands behind the stream. Nothing of the product is imported: what the gateway gets wrong shows up
as a violation in the report (`CallReport.raise_for_violations`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidURI

from infra.simulators import clips as clip_folder
from infra.simulators import twiml, wav
from infra.simulators.clips import Clip
from infra.simulators.clock import Clock, LoopClock
from infra.simulators.config import Line, Person, PhoneConfig, new_sid, reached
from infra.simulators.fields import ScenarioError
from infra.simulators.frames import FrameWriter
from infra.simulators.log import CallLog
from infra.simulators.mouth import Mouth
from infra.simulators.person import PersonLeg
from infra.simulators.recorder import STREAM_HANDSHAKE, Violation
from infra.simulators.report import CallReport, DialSeen, EndedBy, Observer
from infra.simulators.scenario import Aside, Scenario
from infra.simulators.steps import Caller, clip_names
from infra.simulators.stream import Ended, MediaStream, first_of
from infra.simulators.webhooks import WebhookFailed, Webhooks, signature_headers

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
MAX_MESSAGE_BYTES = 2**20


async def place_call(
    config: PhoneConfig,
    scenario: Scenario,
    *,
    observer: Observer | None = None,
    line: Line | None = None,
    clock: Clock | None = None,
) -> CallReport:
    """Make the call and come back when it is over. Raises ScenarioError for a clip that does not exist; whatever the
    gateway does wrong is in the report."""
    clips = await asyncio.to_thread(clips_of, config, scenario)
    log = CallLog(clock or LoopClock(), observer)
    return await PhoneCall(config, scenario, clips, log, line or Line()).run()


def clips_of(config: PhoneConfig, scenario: Scenario) -> dict[str, Clip]:
    """Everything the scenario and the people say, read from files. Raises ScenarioError for a clip that does not
    exist, and for a step off the line that nobody here can do."""
    if config.aside is None and any(isinstance(step.action, Aside) for step in scenario.steps):
        raise ScenarioError(f"{scenario.name}: it has steps off the line (type, meanwhile); use simulate-call for it")
    said = {person.says for person in config.people.values()} | {config.joined_says}
    names = clip_names(scenario) | {name for name in said if name}
    return {name: _clip(config, scenario, name) for name in names}


def _clip(config: PhoneConfig, scenario: Scenario, name: str) -> Clip:
    if name in config.clips:
        return config.clips[name]
    try:
        return clip_folder.load(name, scenario.voice)
    except KeyError as error:
        raise ScenarioError(f"{scenario.name}: {error.args[0]}") from error


@dataclass(frozen=True, slots=True)
class Ending:
    """Who or what ended the call."""

    by: EndedBy
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """The next document to fetch, with what is posted besides the usual fields."""

    url: str
    method: str
    extra: Mapping[str, str]


class PhoneCall:
    """One call from ring to report. What a telephone that is rung does otherwise, `callee.py` says."""

    def __init__(
        self, config: PhoneConfig, scenario: Scenario, clips: Mapping[str, Clip], log: CallLog, line: Line
    ) -> None:
        self._config = config
        self._scenario = scenario
        self._log = log
        self._line = line
        self._caller = Caller(scenario, clips, log, config.aside)
        self._mouth = Mouth(keep_audio=config.wav_dir is not None)
        self._number = config.caller or scenario.caller
        self.call_sid = config.call_sid or new_sid("CA")
        self._web = Webhooks(config, call_sid=self.call_sid, caller=self._number, log=log)
        self._answered_us: int | None = None
        self._streams: list[MediaStream] = []
        self._dials: list[DialSeen] = []
        self._clips = clips
        self._legs: list[PersonLeg] = []
        self._announced: list[str] = []

    async def run(self) -> CallReport:
        self._log.note("ringing", call_sid=self.call_sid)
        async with self._web:
            self._web.status("initiated", call_status="initiated")
            self._web.status("ringing", call_status="ringing")
            try:
                ending = await self._follow_all()
            except WebhookFailed as error:
                ending = Ending("failed", str(error))
            self._hang_up(ending)
        return await self._report(ending)

    async def _follow_all(self) -> Ending:
        document = await self._web.incoming()
        while True:
            outcome = await self._follow(document)
            if isinstance(outcome, Ending):
                return outcome
            document = await self._web.fetch(outcome.url, outcome.extra, method=outcome.method)

    async def _follow(self, document: twiml.Document) -> Ending | Next:
        """One document, verb after verb; when they are used up Twilio hangs up."""
        for verb in document.verbs:
            outcome = await self._obey(verb)
            if outcome is not None:
                return outcome
        return Ending("gateway")

    async def _obey(self, verb: twiml.Verb) -> Ending | Next | None:
        self._log.note("verb", verb=type(verb).__name__)
        match verb:
            case twiml.Hangup():
                return Ending("gateway")
            case twiml.Reject(reason):
                return Ending("gateway" if self._answered_us is not None else "rejected", reason)
            case twiml.Redirect(url, method):
                return Next(url, method, {})
        self._answer()
        match verb:
            case twiml.Stream():
                return await self._stream(verb)
            case twiml.Dial():
                return await self._dial(verb)
            case twiml.Pause(seconds):
                return await self._hold(seconds)
            case twiml.Say(text):
                self._announced.append(text)
                self._log.note("twilio_says", chars=len(text))
            case twiml.Gather(timeout_s=seconds):
                return await self._hold(seconds * self._config.pace)
        return None

    def _answer(self) -> None:
        if self._answered_us is None:
            self._answered_us = self._log.now_us()
            self._web.call_status = "in-progress"
            self._log.note("answered")
            self._web.status("in-progress", call_status="in-progress")

    async def _hold(self, seconds: float) -> Ending | None:
        """Time passes; the caller may hang up, or the deadline come."""
        ended = await first_of(self._pass_time(seconds), self._until_hung_up(), self._until_deadline())
        return None if ended.how == "gateway" else _ending(ended)

    async def _dial(self, dial: twiml.Dial) -> Ending | Next | None:
        person = self._config.people.get(dial.number)
        if person is not None:
            return await self._ring_person(dial, person)
        result = self._config.dial
        self._dials.append(DialSeen(self._log.now_ms(), dial.number, result.status))
        ending = await self._hold(result.after_s)
        if ending is not None:
            return ending
        if result.talked and result.caller_hangs_up:
            return Ending("dial")
        if dial.action is None:
            return None
        extra = {"DialCallStatus": result.status, "DialCallSid": new_sid("CA")}
        if result.talked:
            extra["DialCallDuration"] = str(round(result.after_s))
        return Next(dial.action, dial.method, extra)

    async def _ring_person(self, dial: twiml.Dial, person: Person) -> Ending | Next | None:
        """Ring the other telephone; the caller hears that until the two are joined. When it is the caller who hangs
        up, Twilio still tells `action`, and does nothing with the answer."""
        leg = PersonLeg(
            self._config,
            dial,
            person,
            caller_sid=self.call_sid,
            caller=self._number,
            log=self._log,
            clips=self._clips,
        )
        self._legs.append(leg)
        ended = await first_of(leg.run(), self._until_hung_up(), self._until_deadline())
        self._dials.append(DialSeen(self._log.now_ms(), dial.number, leg.status))
        if ended.how == "deadline":
            return _ending(ended)
        extra = {
            "DialCallStatus": leg.status,
            "DialCallSid": leg.call_sid,
            "DialBridged": "true" if leg.bridged else "false",
        }
        if leg.bridged:
            extra["DialCallDuration"] = str(round(leg.talked_s))
        caller_gone = ended.how == "caller" or (leg.bridged and person.caller_hangs_up)
        if caller_gone:
            if dial.action is not None:
                await self._web.fetch(dial.action, {**extra, "CallStatus": "completed"}, method=dial.method)
            return Ending("dial" if leg.bridged else "caller")
        return None if dial.action is None else Next(dial.action, dial.method, extra)

    async def _stream(self, noun: twiml.Stream) -> Ending | None:
        """Open the stream and stay on it. None: go on with the verb behind it."""
        socket = await self._open(noun.url)
        if socket is None:
            return None
        stream = MediaStream(
            socket,
            index=len(self._streams),
            url=noun.url,
            frames=FrameWriter(self._config.account_sid, self.call_sid, new_sid("MZ")),
            mouth=self._mouth,
            log=self._log,
            faults=self._config.faults,
            keep_audio=self._config.wav_dir is not None,
        )
        self._streams.append(stream)
        parameters = noun.parameters if self._config.faults.parameters is None else self._config.faults.parameters
        try:
            ended = await stream.run(self._caller.run, parameters, self._until_hung_up(), self._until_deadline())
        except BaseException:
            stream.cut()
            raise
        return await self._after_stream(stream, ended)

    async def _after_stream(self, stream: MediaStream, ended: Ended) -> Ending | None:
        self._log.note("stream_ended", how=ended.how)
        if ended.how == "gateway":
            self._caller.stream_ended()
            return None
        if ended.how in ("cut", "cut_resume"):
            stream.cut()
            return None if ended.how == "cut_resume" else Ending("cut")
        await stream.say_farewell()
        return _ending(ended)

    async def _open(self, url: str) -> ClientConnection | None:
        headers = signature_headers(self._config.auth_token, url, None, how=self._config.faults.socket_signature)
        try:
            return await connect(
                reached(url, public=self._config.public_url, via=self._config.via),
                additional_headers=headers,
                user_agent_header="Twilio.TmeWs/1.0",
                compression=None,
                proxy=True if self._config.abroad else None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,
                max_size=MAX_MESSAGE_BYTES,
            )
        except (InvalidHandshake, InvalidURI, OSError, TimeoutError) as error:
            self._log.violation(Violation(STREAM_HANDSHAKE, f"{url}: {type(error).__name__} {error}"))
            return None

    async def _pass_time(self, seconds: float) -> Ended:
        await self._log.clock.sleep_until(self._log.clock.now() + seconds)
        return Ended("gateway")

    async def _until_hung_up(self) -> Ended:
        await self._line.hung_up.wait()
        return Ended("caller")

    async def _until_deadline(self) -> Ended:
        await self._log.clock.sleep_until(self._log.when(round(self._scenario.deadline_s * 1e6)))
        return Ended("deadline", f"the call was not over after {self._scenario.deadline_s:.0f} s")

    def _hang_up(self, ending: Ending) -> None:
        """The call is over for Twilio."""
        self._web.call_status = self._last_status(ending)
        self._log.note("ended", by=ending.by, problem=ending.problem, status=self._web.call_status)
        self._web.status("completed", call_status=self._web.call_status, duration_s=self._talked_s())

    def _last_status(self, ending: Ending) -> str:
        if self._answered_us is not None:
            return "completed"
        if ending.by == "rejected":
            return "busy" if ending.problem == "busy" else "no-answer"
        return "failed" if ending.by == "failed" else "completed"

    def _talked_s(self) -> float:
        return 0.0 if self._answered_us is None else (self._log.now_us() - self._answered_us) / 1e6

    async def _report(self, ending: Ending) -> CallReport:
        path = await self._record()
        legs = [await leg.seen() for leg in self._legs]
        return CallReport(
            call_sid=self.call_sid,
            account_sid=self._config.account_sid,
            caller=self._number,
            called=self._config.called,
            scenario=self._scenario.name,
            ended_by=ending.by,
            problem=ending.problem,
            status=self._web.call_status,
            duration_ms=self._log.now_ms(),
            steps_done=self._caller.done,
            steps_total=len(self._scenario.steps),
            twiml=tuple(self._web.seen),
            streams=tuple(stream.seen() for stream in self._streams),
            marks=tuple(mark for stream in self._streams for mark in stream.marks()),
            clears=tuple(clear for stream in self._streams for clear in stream.clears()),
            heard=tuple(span for stream in self._streams for span in stream.heard()),
            spoken=tuple(self._mouth.spoken),
            dials=tuple(self._dials),
            violations=tuple(self._log.violations),
            timeline=tuple(self._log.timeline),
            wav=path,
            legs=tuple(legs),
            announced=tuple(self._announced),
        )

    async def _record(self) -> str | None:
        if self._config.wav_dir is None:
            return None
        path = self._config.wav_dir / f"{self.call_sid}.wav"
        heard = [placed for stream in self._streams for placed in stream.playout.audio]
        said = list(self._mouth.audio)
        for leg in self._legs:
            heard += [leg.held(), *leg.to_caller()]
            said += leg.from_caller()
        await asyncio.to_thread(wav.write_call, path, said, heard, duration_us=self._log.now_us())
        return str(path)


def _ending(ended: Ended) -> Ending:
    """The end of a stream that the phone's side brought about, as the end of the call."""
    assert ended.how in ("caller", "deadline", "step_timeout"), ended.how
    return Ending(ended.how, ended.problem)
