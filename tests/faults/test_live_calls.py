"""F2 on live calls: the gateway that carries a call dies or leaves, the caller's telephone is led to another one, and
the call goes on with all that was said. Whoever watches sees it once and in order, on whichever gateway."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from clients.callboard_client import Moment
from infra.simulators.config import PhoneConfig, new_sid
from infra.simulators.phone import place_call
from infra.simulators.report import CallReport, Entry
from infra.simulators.scenario import AfterAssistant, HangUp, Over, Say, Scenario, Step, load_scenario
from realtime.events import Event, EventType
from realtime.records.demo import DEMO_PHONE, seed
from realtime.stores.port import Query
from tests.faults.fleet import Follower, Gateway, Writer, beside, following, gateways
from tests.faults.proxy import Proxy
from tests.media_gateway.harness import TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.call, pytest.mark.timeout(240)]


@dataclass
class Pair:
    """Two gateways that take calls, on one store. Twilio and a dashboard come by the front door, which leads to the
    first of them; another dashboard is on the second one."""

    front: Proxy
    first: Gateway
    second: Gateway
    writer: Writer
    near: Follower
    far: Follower

    async def goes(self, how: signal.Signals) -> None:
        """The first one goes; who rings from now on is answered by the second one."""
        self.front.targets[:] = [self.second.address]
        await self.first.stop(how)


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    async with beside(folder) as writer, Proxy("") as front:
        await seed(writer.store)
        more = {"CALLBOARD_ROLE": "all", "PUBLIC_BASE_URL": f"http://{front.address}"}
        async with gateways(folder, 2, **more) as (first, second):
            front.targets[:] = [first.address]
            async with (
                following(front.address, everything=True, user="near") as near,
                following(second.address, everything=True, user="far") as far,
            ):
                yield Pair(front, first, second, writer, near, far)


def brief() -> Scenario:
    """A caller who books an oil change without waiting for the pleasantries, and hangs up when it is done."""
    steps = (
        Step(Say("need_oil_change"), Over(1000)),
        Step(Say("tomorrow_at_two_afternoon"), AfterAssistant(700)),
        Step(Say("yes_please"), AfterAssistant(700)),
        Step(HangUp(), Over(300)),
    )
    return Scenario(name="brief", steps=steps, caller=DEMO_PHONE, deadline_s=90)


@dataclass
class Ring:
    """A caller's telephone, and what has happened on it."""

    here: Pair
    call_sid: str
    calling: asyncio.Task[CallReport]
    entries: list[Entry]

    @classmethod
    def up(cls, here: Pair, scenario: Scenario) -> Ring:
        sid, entries = new_sid("CA"), list[Entry]()
        config = PhoneConfig(public_url=f"http://{here.front.address}", auth_token=TOKEN, call_sid=sid)
        return cls(here, sid, asyncio.create_task(place_call(config, scenario, observer=entries.append)), entries)

    async def journal(self) -> list[Event]:
        return await self.here.writer.journal.events(self.call_sid)

    async def until(self, holds: Callable[[list[Event], list[Entry]], bool]) -> None:
        """Poll: it is another process that writes the journal."""
        async with asyncio.timeout(60):
            while not holds(await self.journal(), self.entries):
                assert not self.calling.done(), self.calling.result()
                await asyncio.sleep(0.02)


def of(events: list[Event], kind: EventType) -> list[Event]:
    return [event for event in events if event.type is kind]


async def went_on(here: Pair, ring: Ring, *, terms: int = 2) -> list[Event]:
    """The call came to its end as if nothing had been, and everybody has seen that. Gives its journal."""
    report = await ring.calling
    assert (report.violations, report.steps_done, report.problem) == ((), report.steps_total, None)
    assert len(report.streams) == terms
    async with asyncio.timeout(30):
        while not of(await ring.journal(), EventType.CALL_COMPLETED):
            await asyncio.sleep(0.05)
    events = [event for event in await ring.journal() if event.type is not EventType.ANALYSIS_READY]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events[-2:]] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]
    call = await here.writer.journal.find(ring.call_sid)
    assert call is not None
    assert {event.epoch for event in events} == {call.epoch}, "the log is one, whoever writes it"
    assert call.owner_term == terms
    (booked,) = await here.writer.store.query(Query("orgs/default/appointments"))
    assert (booked.data["service_type"], booked.data["time"]) == ("oil_change", "14:00")
    log = [(event.call_id, event.epoch, event.seq, event.type.value) for event in events]
    for follower in (here.near, here.far):
        await follower.until(lambda follower=follower: len(follower.of(ring.call_sid)) >= len(log))  # type: ignore[misc]
        assert [line for line in follower.of(ring.call_sid) if line[3] != "analysis_ready"] == log
        numbers = [(moment.live_epoch, moment.n) for moment in moments(follower)]
        for one in {epoch for epoch, _ in numbers}:
            of_one = [n for epoch, n in numbers if epoch == one]
            assert of_one == sorted(set(of_one)), "moments never come twice or go back"
    return events


def moments(follower: Follower) -> list[Moment]:
    return [moment for moment in follower.moments if isinstance(moment, Moment)]


def understood(events: list[Event], _: list[Entry]) -> bool:
    """The caller has said what they want, and the assistant is about to ask for more."""
    return any(event.data.get("intent") for event in of(events, EventType.STATE_CHANGED))


def greeting(_: list[Event], entries: list[Entry]) -> bool:
    """The first sound is out."""
    return any(entry.what == "first_media" for entry in entries)


def saying(_: list[Event], entries: list[Entry]) -> bool:
    """In the middle of what the caller says."""
    return any(entry.detail.get("clip") == "tomorrow_at_two_afternoon" for entry in entries)


def booked(events: list[Event], _: list[Entry]) -> bool:
    """The deed is done, and the caller has not heard of it."""
    return any(event.data["tool"] == "book_appointment" for event in of(events, EventType.TOOL_CALL))


async def test_f2_the_gateway_of_a_live_call_is_killed(tmp_path: Path) -> None:
    async with pair(tmp_path) as here:
        ring = Ring.up(here, brief())
        await ring.until(understood)
        before = len(await ring.journal())
        await here.goes(signal.SIGKILL)
        after = (await went_on(here, ring))[before:]
        said = [event.data["text"] for event in of(after, EventType.AI_RESPONSE_COMPLETE)]
        # It knows what the caller wants: it says sorry, and asks the question that was open.
        assert said[0] == "Sorry, we were cut off. What day works for you?"
        numbers = {moment.live_epoch for moment in moments(here.far)}
        assert numbers, "the one that took over tells its own moments"


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("when", [greeting, understood, saying, booked])
async def test_f2_the_gateway_of_a_live_call_goes_at_any_moment(
    tmp_path: Path, how: signal.Signals, when: Callable[[list[Event], list[Entry]], bool]
) -> None:
    async with pair(tmp_path) as here:
        # From the question on nothing may depend on how much of it was heard: the whole conversation, in order.
        ring = Ring.up(here, replace(load_scenario("book_oil_change"), deadline_s=150))
        await ring.until(when)
        await here.goes(how)
        events = await went_on(here, ring)
        moves = [event for event in of(events, EventType.COMMAND) if event.data["kind"] == "stream_move"]
        assert len(moves) == (how is signal.SIGTERM)
        codes = {state.code for state in here.near.states if state.code}
        assert codes == {1001 if how is signal.SIGTERM else 1006}
