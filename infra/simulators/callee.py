"""Whoever is rung: a telephone that Twilio calls for us, from the order to the end of the call.

Twilio's REST API (`twilio_api.py`) makes one of these for every call that is created. It rings, is answered or not,
fetches the TwiML of the order once it is answered, says by callback who answered (asynchronous machine detection) and
how the call is getting on, and obeys new orders while it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from infra.simulators import twiml
from infra.simulators.clips import Clip
from infra.simulators.clock import Clock, LoopClock
from infra.simulators.config import Faults, Line, PhoneConfig, StatusEvent
from infra.simulators.log import CallLog
from infra.simulators.phone import Ending, Next, PhoneCall, clips_of
from infra.simulators.report import CallReport, Observer
from infra.simulators.scenario import Scenario, parse_scenario
from infra.simulators.webhooks import WebhookFailed

Verdict = Literal["human", "fax", "unknown", "machine_start", "machine_end_beep", "machine_end_silence"]
"""AnsweredBy of an asynchronous machine detection; `machine_end_*` come with DetectMessageEnd."""

Outcome = Literal["answers", "busy", "no-answer", "failed"]

EVENTS: Mapping[str, StatusEvent] = {
    "initiated": "initiated",
    "ringing": "ringing",
    "answered": "in-progress",
    "completed": "completed",
}
"""The names of StatusCallbackEvent, and what the callback then says."""

STAYS = parse_scenario({"steps": [{"wait": "stream_end"}]}, name="stays")


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """The person or machine behind a number. `ring_s` is how long it rings before `outcome`; when the order's own
    Timeout is shorter, nobody answers. `verdict` comes `verdict_after_s` after the answer (None: never)."""

    scenario: Scenario = STAYS
    outcome: Outcome = "answers"
    ring_s: float = 0.1
    verdict: Verdict | None = "human"
    verdict_after_s: float = 1.0
    clips: Mapping[str, Clip] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    wav_dir: Path | None = None
    observer: Observer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked of Twilio: the parameters of a call's creation, by their REST names, lists where repeated."""

    call_sid: str
    account_sid: str
    auth_token: str
    to: str
    from_: str
    parameters: Mapping[str, str]
    status_events: tuple[str, ...] = ("completed",)

    @property
    def timeout_s(self) -> float:
        """How long it may ring."""
        return float(self.parameters.get("Timeout", "60"))


async def called(order: Order, callee: Callee, *, clock: Clock | None = None) -> CalledPhone:
    """The telephone, ready to ring (`run`). Raises ScenarioError for a clip that does not exist."""
    config = _config(order, callee)
    clips = await asyncio.to_thread(clips_of, config, callee.scenario)
    return CalledPhone(order, callee, config, clips, CallLog(clock or LoopClock(), callee.observer))


class CalledPhone(PhoneCall):
    """`update` is what a POST to the call's resource does."""

    def __init__(
        self, order: Order, callee: Callee, config: PhoneConfig, clips: Mapping[str, Clip], log: CallLog
    ) -> None:
        super().__init__(config, callee.scenario, clips, log, Line())
        self.order = order
        self._callee = callee
        self._rest_status = "queued"
        self._orders: list[Next | twiml.Document] = []
        self._canceled = False
        self.answered_by: str | None = None
        self.report: CallReport | None = None

    @property
    def status(self) -> str:
        """As the REST resource says it."""
        return self._web.call_status if self._rest_status == "rung" else self._rest_status

    @property
    def over(self) -> bool:
        """Nothing can happen on this call any more."""
        return self.status in ("completed", "busy", "no-answer", "canceled", "failed")

    @property
    def duration_s(self) -> float | None:
        """Seconds from answer to end, once it is over."""
        return None if self.report is None else self._talked_s()

    def update(self, *, status: str | None = None, url: str | None = None, text: str | None = None) -> None:
        """End the call (`completed`, `canceled`), or give it another document."""
        if status == "canceled" or (status == "completed" and self._answered_us is None):
            self._canceled = True
        elif url is not None:
            self._orders.append(Next(url, "POST", {}))
        elif text is not None:
            self._orders.append(twiml.parse(text, base_url=self._config.public_url))
        self._line.hang_up()

    async def run(self) -> CallReport:
        """Ring, be answered or not, talk, hang up."""
        async with self._web:
            self._web.status("initiated", call_status="initiated")
            self._rest_status = "rung"
            self._web.status("ringing", call_status="ringing")
            self._log.note("ringing", call_sid=self.call_sid)
            ending = await self._ring()
            if ending is None:
                self._answer()
                detecting = asyncio.create_task(self._detect())
                try:
                    ending = await self._talk()
                finally:
                    detecting.cancel()
                    await asyncio.wait({detecting})
            self._hang_up(ending)
        self.report = await self._report(ending)
        return self.report

    async def _ring(self) -> Ending | None:
        """None when somebody answers."""
        callee = self._callee
        patience = min(callee.ring_s, self.order.timeout_s)
        ended = await self._hold(patience)
        if ended is not None:
            return ended
        if callee.outcome == "failed":
            return Ending("failed", "the carrier could not reach the number")
        if callee.outcome != "answers" or callee.ring_s > self.order.timeout_s:
            return Ending("rejected", "busy" if callee.outcome == "busy" else "no-answer")
        return None

    async def _talk(self) -> Ending:
        """Follow the order's document, and whatever document comes in its place while the call runs."""
        document = self._first()
        try:
            while True:
                outcome = await self._obey_all(document)
                if not self._orders:
                    return outcome
                document = self._orders.pop()
                self._orders.clear()
                self._line.hung_up.clear()
        except WebhookFailed as error:
            return Ending("failed", str(error))

    def _first(self) -> Next | twiml.Document:
        parameters = self.order.parameters
        if "Url" in parameters:
            return Next(parameters["Url"], parameters.get("Method", "POST"), {})
        return twiml.parse(parameters["Twiml"], base_url=self._config.public_url)

    async def _obey_all(self, document: Next | twiml.Document) -> Ending:
        while True:
            if isinstance(document, Next):
                document = await self._web.fetch(document.url, document.extra, method=document.method)
            outcome = await self._follow(document)
            if isinstance(outcome, Ending):
                return outcome
            document = outcome

    async def _detect(self) -> None:
        """Who answered, some time after they did."""
        parameters, callee = self.order.parameters, self._callee
        if "MachineDetection" not in parameters or callee.verdict is None:
            return
        await self._log.clock.sleep_until(self._log.clock.now() + callee.verdict_after_s)
        self.answered_by = callee.verdict
        self._log.note("amd", answered_by=callee.verdict)
        url = parameters.get("AsyncAmdStatusCallback")
        if url is not None:
            milliseconds = str(round(callee.verdict_after_s * 1000))
            await self._web.tell(url, {"AnsweredBy": callee.verdict, "MachineDetectionDuration": milliseconds})

    def _last_status(self, ending: Ending) -> str:
        return "canceled" if self._canceled and self._answered_us is None else super()._last_status(ending)


def _config(order: Order, callee: Callee) -> PhoneConfig:
    parameters = order.parameters
    origin = urlsplit(parameters.get("Url") or parameters.get("StatusCallback") or "http://127.0.0.1")
    events: dict[str, Any] = {"status_events": ()}
    if "StatusCallback" in parameters:
        events = {
            "status_events": tuple(EVENTS[name] for name in order.status_events),
            "status_path": parameters["StatusCallback"],
        }
    base = PhoneConfig(
        public_url=f"{origin.scheme}://{origin.netloc}",
        auth_token=order.auth_token,
        account_sid=order.account_sid,
        called=order.to,
        caller=order.from_,
        call_sid=order.call_sid,
        direction="outbound-api",
        clips=callee.clips,
        faults=callee.faults,
        wav_dir=callee.wav_dir,
    )
    return replace(base, **events)
