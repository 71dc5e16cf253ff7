"""`POST /api/v1/calls` against Twilio's REST API on loopback: one wish, one call, whatever breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

from functions.applier import Applier
from infra.local.system import free_port
from infra.simulators.callee import Callee
from infra.simulators.config import Faults
from infra.simulators.twilio_api import ACCOUNT_SID, TwilioApi
from media_gateway.auth import Principal
from media_gateway.telephony import outbound, twilio_client
from media_gateway.telephony.call_rules import NotCallable, callable_number
from realtime import audit
from realtime.call import Call, Status
from realtime.clock import utcnow
from realtime.events import Event, EventType
from realtime.records import do_not_call
from tests.media_gateway.harness import TOKEN, NotedSession, Running, gateway

pytestmark = pytest.mark.anyio
OURS, THEIRS = "+14155550100", "+14155550123"
OPERATOR = Principal("olga", "default", "operator")
WISH = {"to": THEIRS, "flow": "inbound_new", "variables": {"first_name": "John"}}


@dataclass
class Desk:
    """A gateway, Twilio, and somebody who places calls."""

    running: Running
    twilio: TwilioApi

    async def place(self, key: str | None = "k1", principal: Principal = OPERATOR, **body: Any) -> httpx2.Response:
        headers = self.running.bearer(principal) | ({} if key is None else {"Idempotency-Key": key})
        return await self.running.http.post("/api/v1/calls", json=WISH | body, headers=headers, timeout=30)

    async def hang_up(self, call_id: str) -> httpx2.Response:
        url = f"/api/v1/calls/{call_id}/hangup"
        return await self.running.http.post(url, headers=self.running.bearer(OPERATOR))

    async def call(self, call_id: str) -> Call:
        call = await self.running.gateway.core.journal.find(call_id)
        assert call is not None
        return call

    async def events(self, call_id: str) -> list[Event]:
        return await self.running.gateway.core.journal.events(call_id)

    async def end(self, call_id: str) -> None:
        """The callee hangs up."""
        self.twilio.calls[call_id].phone.update(status="completed")
        await self.twilio.finished(call_id)

    @property
    def asked(self) -> int:
        """How often Twilio was asked for a call."""
        return sum(seen.method == "POST" and seen.path.endswith("/Calls.json") for seen in self.twilio.seen)

    async def apply(self) -> None:
        """What the functions do with the news so far."""
        core = self.running.gateway.core

        async def at_once(_seconds: float) -> None:
            return None

        applier = Applier(core.journal, core.store, sleep=at_once)
        for message in self.running.bus.messages:
            await applier.apply(message)


@asynccontextmanager
async def desk(
    tmp_path: Path, *, token: str = TOKEN, env: dict[str, str] | None = None, **parts: Any
) -> AsyncIterator[Desk]:
    port = free_port()
    async with TwilioApi(auth_token=token, **parts) as twilio:
        account: dict[str, Any] = {
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_PHONE_NUMBER": OURS,
            "TWILIO_API_BASE_URL": twilio.url,
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
        }
        async with gateway(tmp_path, **(account | dict(env or {}))) as running:
            yield Desk(running, twilio)


def error(answer: httpx2.Response) -> tuple[int, str]:
    found = answer.json()["error"]
    assert found["message"]
    assert found["fix"]
    return answer.status_code, found["code"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "LOOK_PAUSE_S", 0.05)


# --- one call --------------------------------------------------------------------------------------------------------


async def test_a_call_is_placed_and_its_session_knows_what_it_is_about(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        answer = await here.place()
        assert answer.status_code == 202
        call_id = answer.json()["call_id"]
        assert answer.json() == {"call_id": call_id, "status": "initiated"}
        session: NotedSession = await here.running.session(call_id)
        assert (session.started.flow, session.started.caller_phone) == ("inbound_new", THEIRS)
        assert (session.started.direction, session.started.variables) == ("outbound", {"first_name": "John"})
        call = await here.call(call_id)
        assert (call.direction, call.to_number, call.from_number, call.org) == ("outbound", THEIRS, OURS, "default")
        assert call.metadata["placed_by"] == "olga"
        first, *_ = await here.events(call_id)
        assert (first.type, first.data["status"]) == (EventType.CALL_STATUS, "initiated")
        await here.end(call_id)


async def test_what_twilio_is_asked_for(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=Callee(outcome="busy")) as here:
        answer = await here.place()
        await here.twilio.finished(answer.json()["call_id"])
        (asked,) = [seen.form for seen in here.twilio.seen if seen.method == "POST"]
        base = f"{here.running.settings.base_url}/api/v1/voice"
        intent = asked["Url"].rpartition("=")[2]
        assert asked == {
            "To": THEIRS,
            "From": OURS,
            "Url": f"{base}/outbound?flow=inbound_new&intent={intent}",
            "StatusCallback": f"{base}/status?intent={intent}",
            "StatusCallbackEvent": "initiated ringing answered completed",
            "MachineDetection": "DetectMessageEnd",
            "AsyncAmd": "true",
            "AsyncAmdStatusCallback": f"{base}/amd?intent={intent}",
            "Timeout": "30",
            "TimeLimit": "3300",
        }


async def test_the_wish_is_written_before_anybody_dials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[str] = []
    dial = twilio_client.TwilioRest.create_call

    async with desk(tmp_path, anyone=Callee(outcome="busy")) as here:

        async def spied(self: twilio_client.TwilioRest, parameters: dict[str, Any]) -> str:
            (found,) = await here.running.gateway.core.store.get(f"intents/{parameters['url'].rpartition('=')[2]}")
            assert found is not None
            states.append(found.data["state"])
            return await dial(self, parameters)

        monkeypatch.setattr(twilio_client.TwilioRest, "create_call", spied)
        await here.place()
        assert states == ["dialling"]


# --- once ------------------------------------------------------------------------------------------------------------


async def test_the_same_key_is_the_same_call(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=Callee(outcome="busy")) as here:
        answers = await asyncio.gather(*(here.place("one") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["call_id"] for answer in answers}) == 1
        assert here.asked == 1
        assert error(await here.place("one", to="+14155550199")) == (422, "key_reused")
        other = await here.place("two")
        assert other.json()["call_id"] != answers[0].json()["call_id"]
        assert here.asked == 2
        told, _ = await audit.newest(here.running.gateway.core.store, "default")
        assert [one.action for one in told] == ["call.place"] * 2


async def test_without_a_key_every_request_is_a_call(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=Callee(outcome="busy")) as here:
        assert len({(await here.place(None)).json()["call_id"] for _ in range(2)}) == 2


@pytest.mark.parametrize("trouble", ["500_after", "hang_after"])
async def test_an_answer_that_is_lost_is_looked_up(
    tmp_path: Path, trouble: Literal["500_after", "hang_after"], monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    async with desk(tmp_path, anyone=Callee(ring_s=30), hang_s=3.0) as here:
        here.twilio.troubles.append(trouble)
        answer = await here.place()
        assert answer.status_code == 202
        assert list(here.twilio.calls) == [answer.json()["call_id"]]
        assert (await here.place()).json()["call_id"] == answer.json()["call_id"]
        assert here.asked == 1


@pytest.mark.parametrize("trouble", ["500", "hang"])
async def test_a_call_that_is_not_found_is_never_dialled_again(
    tmp_path: Path, trouble: Literal["500", "hang"], monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    async with desk(tmp_path, hang_s=1.0) as here:
        here.twilio.troubles.append(trouble)
        for _ in range(3):
            assert error(await here.place()) == (503, "outcome_unknown")
        assert (here.asked, here.twilio.calls) == (1, {})


def short(monkeypatch: pytest.MonkeyPatch) -> None:
    made = twilio_client.TwilioRest.__init__

    def impatient(self: twilio_client.TwilioRest, sid: str, token: str, url: str) -> None:
        made(self, sid, token, url, timeout_s=0.4)

    monkeypatch.setattr(twilio_client.TwilioRest, "__init__", impatient)


async def test_a_callback_tells_what_the_answer_did_not(tmp_path: Path) -> None:
    """Twilio's list may lag; the callbacks of a call carry its intent."""
    async with desk(tmp_path) as here:
        here.twilio.troubles.append("500")
        assert error(await here.place()) == (503, "outcome_unknown")
        (asked,) = [seen.form for seen in here.twilio.seen if seen.method == "POST"]
        news = {"CallSid": "CA7", "CallStatus": "ringing", "SequenceNumber": "1", "To": THEIRS, "From": OURS}
        path = asked["StatusCallback"].removeprefix(here.running.settings.base_url)
        assert (await here.running.twilio(path, news)).status_code == 204
        answer = await here.place()
        assert answer.json() == {"call_id": "CA7", "status": "initiated"}
        assert (await here.call("CA7")).metadata["variables"] == {"first_name": "John"}
        assert here.asked == 1


async def test_an_intent_that_is_not_ours_opens_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        for intent in ("0" * 40, "../calls/CA1"):
            path = f"/api/v1/voice/status?intent={intent}"
            assert (await here.running.twilio(path, {"CallSid": "CA7", "CallStatus": "ringing"})).status_code == 204
        assert await here.running.gateway.core.journal.find("CA7") is None


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_who_may_not_and_what_may_not(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        core = here.running.gateway.core
        await do_not_call.add(core.store, "default", "+14155550177", now=utcnow())
        viewer = Principal("vera", "default", "viewer")
        assert error(await here.place(principal=viewer)) == (403, "forbidden")
        assert (await here.running.http.post("/api/v1/calls", json=WISH)).status_code == 401
        assert error(await here.place(to="4155550123")) == (422, "bad_number")
        assert error(await here.place(to="+1415555")) == (422, "bad_number")
        assert error(await here.place(to="+442079460000")) == (403, "country_not_allowed")
        assert error(await here.place(to="+14155550177")) == (403, "do_not_call")
        assert error(await here.place(flow="../etc")) == (422, "unknown_flow")
        assert error(await here.place(variables={"x": "y" * 9000})) == (422, "too_large")
        assert error(await here.place(key="x" * 300)) == (422, "invalid")
        assert error(await here.place(surprise=1)) == (422, "invalid")
        assert (here.asked, here.twilio.calls) == (0, {})


async def test_another_organisation_has_its_own_keys(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=Callee(outcome="busy")) as here:
        ours = (await here.place("one")).json()["call_id"]
        theirs = (await here.place("one", Principal("otto", "other", "operator"))).json()["call_id"]
        assert ours != theirs
        assert (await here.call(theirs)).org == "other"


async def test_the_day_has_a_cap_however_many_ask_at_once(tmp_path: Path) -> None:
    env = {"CALLBOARD_MAX_OUTBOUND_PER_DAY": "3"}
    async with desk(tmp_path, env=env, anyone=Callee(outcome="busy")) as here:
        answers = await asyncio.gather(*(here.place(f"k{n}") for n in range(8)))
        assert sorted(answer.status_code for answer in answers) == [202] * 3 + [429] * 5
        assert error(next(answer for answer in answers if answer.status_code == 429)) == (429, "daily_cap")
        assert here.asked == 3


async def test_an_installation_without_an_account_says_what_is_missing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        answer = await running.http.post("/api/v1/calls", json=WISH, headers=running.bearer(OPERATOR))
        assert error(answer) == (503, "not_configured")
        assert "TWILIO_ACCOUNT_SID, TWILIO_PHONE_NUMBER" in answer.json()["error"]["fix"]


async def test_too_many_requests_pass(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=Callee(outcome="busy")) as here:
        here.twilio.troubles.append("429")
        refused = await here.place()
        assert error(refused) == (429, "twilio_busy")
        assert refused.headers["retry-after"]
        answers = await asyncio.gather(*(here.place() for _ in range(4)))
        assert {answer.status_code for answer in answers} == {202}
        assert len(here.twilio.calls) == 1


async def test_a_final_refusal_stays_one(tmp_path: Path) -> None:
    async with desk(tmp_path, blocked=("+1416",)) as here:
        for _ in range(2):
            assert error(await here.place(to="+14165550100")) == (403, "country_not_allowed")
        assert here.asked == 1


async def test_wrong_credentials_are_said(tmp_path: Path) -> None:
    async with desk(tmp_path, token="another token") as here:
        assert error(await here.place()) == (503, "twilio_credentials")


async def test_nothing_is_dialled_when_nobody_is_there(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with desk(tmp_path, env={"TWILIO_API_BASE_URL": nowhere}) as here:
        assert error(await here.place()) == (503, "twilio_unreachable")


# --- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reversed_", [False, True])
@pytest.mark.parametrize(
    ("outcome", "status"), [("busy", Status.BUSY), ("no-answer", Status.NO_ANSWER), ("failed", Status.FAILED)]
)
async def test_who_is_not_reached_is_a_finished_call(
    tmp_path: Path, outcome: Literal["busy", "no-answer", "failed"], status: Status, reversed_: bool
) -> None:
    callee = Callee(outcome=outcome, faults=Faults(statuses_reversed=reversed_))
    async with desk(tmp_path, anyone=callee) as here:
        call_id = (await here.place()).json()["call_id"]
        report = await here.twilio.finished(call_id)
        assert report.violations == ()
        await here.apply()
        await here.apply()
        events = await here.events(call_id)
        assert [event.type for event in events[-2:]] == [EventType.CALL_STATUS, EventType.CALL_COMPLETED]
        assert sum(event.type is EventType.CALL_COMPLETED for event in events) == 1
        assert events[-2].data["status"] == status.value
        assert (await here.call(call_id)).status is status


@pytest.mark.parametrize(("verdict", "answered_by"), [("machine_end_beep", "voicemail"), ("human", "human")])
async def test_who_answered_is_in_the_head(
    tmp_path: Path, verdict: Literal["machine_end_beep", "human"], answered_by: str
) -> None:
    async with desk(tmp_path, anyone=Callee(verdict=verdict, verdict_after_s=0.01)) as here:
        call_id = (await here.place()).json()["call_id"]
        await here.running.until(lambda: any(message.type == "amd" for message in here.running.bus.messages))
        await here.apply()
        assert (await here.call(call_id)).answered_by == answered_by
        await here.end(call_id)


async def test_a_call_is_taken_back(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=Callee(ring_s=30)) as here:
        call_id = (await here.place()).json()["call_id"]
        await here.running.until(lambda: here.twilio.calls[call_id].phone.status == "ringing")
        answer = await here.hang_up(call_id)
        assert answer.status_code == 202
        assert (await here.twilio.finished(call_id)).status == "canceled"
        await here.apply()
        assert (await here.call(call_id)).status is Status.CANCELED
        command = next(event.data for event in await here.events(call_id) if event.type is EventType.COMMAND)
        assert command == {
            "command_id": answer.json()["command_id"],
            "kind": "hangup",
            "actor": "olga",
            "ok": True,
            "detail": "",
        }
        assert error(await here.hang_up(call_id)) == (409, "call_over")
        assert error(await here.hang_up("CA0")) == (404, "not_found")


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_call_that_ends_in_the_moment_in_which_it_is_ended(tmp_path: Path, forgotten: bool) -> None:
    """The caller's own hang-up overtakes ours: Twilio says 21220, or 20404, and what was wanted is so."""
    async with desk(tmp_path) as here:
        call_id = (await here.place()).json()["call_id"]
        await here.end(call_id)
        if forgotten:
            del here.twilio.calls[call_id]
        answer = await here.hang_up(call_id)
        assert answer.status_code == 202
        command = next(event.data for event in await here.events(call_id) if event.type is EventType.COMMAND)
        assert (command["ok"], command["detail"]) == (True, "it was over already")


async def test_a_hang_up_that_twilio_refuses_is_not_called_done(tmp_path: Path) -> None:
    async with desk(tmp_path, anyone=Callee(ring_s=30)) as here:
        call_id = (await here.place()).json()["call_id"]
        here.twilio.auth_token = "changed meanwhile"
        assert error(await here.hang_up(call_id)) == (503, "twilio_refused")
        command = next(event.data for event in await here.events(call_id) if event.type is EventType.COMMAND)
        assert (command["ok"], command["detail"]) == (False, "refused")


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("+14155550123", None),
        ("+14165550100", None),
        ("+15550001111", None),
        ("+18765550123", "country_not_allowed"),
        ("+18760000000", "country_not_allowed"),
        ("+10005550123", "country_not_allowed"),
        ("+88213300000", "country_not_allowed"),
        ("+19005550123", "dear_number"),
        ("+1415555012345", "bad_number"),
        ("+0415555012", "bad_number"),
        ("+1415555O123", "bad_number"),
        ("", "bad_number"),
    ],
)
def test_numbers(number: str, code: str | None) -> None:
    if code is None:
        assert callable_number(number, {"US", "CA"}) == number
        return
    with pytest.raises(NotCallable) as caught:
        callable_number(number, {"US", "CA"})
    assert caught.value.code == code
