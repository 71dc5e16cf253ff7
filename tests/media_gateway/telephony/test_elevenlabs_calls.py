"""Placing a call through an agent: what is asked for, what is kept, and what each way of failing leaves behind."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.simulators.elevenlabs_api import AGENT_ID, PHONE_NUMBER_ID, ElevenLabsApi, Fault
from media_gateway.auth import Principal
from media_gateway.telephony.hosted_agents import Placed
from realtime.bus.port import BusMessage
from realtime.call import Call, Status
from realtime.clock import iso, utcnow
from realtime.events import EventType
from realtime.records import do_not_call
from realtime.stores.port import StoreUnavailable
from tests.media_gateway.harness import gateway
from tests.media_gateway.telephony.hosted import BODY, desk

pytestmark = pytest.mark.anyio
REFUSALS = [
    (Fault.UNAUTHORIZED, 503, "elevenlabs_key"),
    (Fault.QUOTA, 503, "elevenlabs_quota"),
    (Fault.INVALID, 422, "elevenlabs_invalid"),
    (Fault.UNKNOWN_AGENT, 503, "elevenlabs_unknown"),
    (Fault.BUSY, 429, "elevenlabs_busy"),
    (Fault.NOT_SUCCESS, 503, "elevenlabs_not_placed"),
    (Fault.BROKEN, 503, "elevenlabs_failed"),
]
PLACED = [fault for fault in Fault if fault.endswith("_placed")]


async def test_a_call_is_placed_and_known_by_all_of_its_ids(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        answer = await here.place()
        assert answer.status_code == 200
        (conversation,) = here.vendor.conversations.values()
        call_sid = conversation["metadata"]["phone_call"]["call_sid"]
        assert answer.json() == {
            "call_sid": call_sid,
            "conversation_id": conversation["conversation_id"],
            "status": "initiated",
        }
        call = await here.only_call()
        assert re.fullmatch(r"EL_driver-7_\d{8}T\d{9}Z", call.call_id)
        assert answer.headers["location"] == f"/api/v1/calls/{call.call_id}"
        assert (call.hosted, call.direction, call.to_number) == (True, "outbound", "+14155550123")
        assert call.metadata["transcripts"] == "webhook"
        assert call.metadata["monitor"] == "with the webhook"
        assert call.metadata["variables"]["items"] == BODY["violations"]
        for any_id in (call.call_id, call_sid, conversation["conversation_id"]):
            assert await here.journal.find(any_id) == call
        (event,) = await here.journalled()
        assert (event.type, event.data["status"]) == (EventType.CALL_STATUS, "initiated")
        assert here.noticed[-1].conversation_id == conversation["conversation_id"]


async def test_the_agent_is_told_all_that_its_prompt_may_use(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.place(phoneNumber="+1 (415) 555-0123", driverName="  Kim \n Lee ")
        (order,) = here.vendor.orders
        call = await here.only_call()
        assert (order["agent_id"], order["agent_phone_number_id"]) == (AGENT_ID, PHONE_NUMBER_ID)
        assert order["to_number"] == "+14155550123"
        client_data = order["conversation_initiation_client_data"]
        assert client_data["user_id"] == call.call_id
        assert client_data["dynamic_variables"] == {
            "call_id": call.call_id,
            "driver_id": "driver-7",
            "driver_name": "Kim Lee",
            "items": "1. Violation: Temperature is at 45 degrees but needs to be 38 degrees\n"
            "2. Reminder: Please send loaded trailer pictures",
            "item_count": 2,
            "violations": "1. Violation: Temperature is at 45 degrees but needs to be 38 degrees",
            "violation_count": 1,
            "reminders": "1. Reminder: Please send loaded trailer pictures",
            "reminder_count": 1,
        }


class Watching:
    """Agents that look into the journal while they are asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.look: Any = None

    async def place(self, _order: object, call_id: str) -> Placed:
        call = await self.look(call_id)
        self.seen.append(call.status.value)
        return Placed("conv_1", "CA1")


async def test_the_call_is_in_the_journal_before_anybody_is_asked_to_place_it(tmp_path: Path) -> None:
    agents: Any = Watching()
    async with desk(tmp_path, agents=agents) as here:
        agents.look = here.journal.find
        assert (await here.place()).status_code == 200
        assert agents.seen == ["initiated"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        pytest.param({"driverId": ""}, "driverId", id="no driver"),
        pytest.param({"driverId": "a/b"}, "driverId", id="a path"),
        pytest.param({"driverId": "driver\n"}, "driverId", id="a line end"),
        pytest.param({"driverId": "x" * 65}, "driverId", id="a long id"),
        pytest.param({"driverId": "ünï"}, "driverId", id="other letters"),
        pytest.param({"driverId": 7}, "driverId", id="a number"),
        pytest.param({"driverName": " "}, "driverName", id="no name"),
        pytest.param({"driverName": "x" * 101}, "driverName", id="a long name"),
        pytest.param({"driverName": "Kim\x00"}, "driverName", id="a control character"),
        pytest.param({"driverName": None}, "driverName", id="null"),
        pytest.param({"phoneNumber": "4155550123"}, "phoneNumber", id="no country"),
        pytest.param({"phoneNumber": "+1415"}, "phoneNumber", id="a short number"),
        pytest.param({"phoneNumber": "+1415555012345678"}, "phoneNumber", id="a long number"),
        pytest.param({"phoneNumber": "+1800FLOWERS"}, "phoneNumber", id="letters"),
        pytest.param({"phoneNumber": "+14155550123;ext=9"}, "phoneNumber", id="an extension"),
        pytest.param({"phoneNumber": "+999 415 555 0123"}, "phoneNumber", id="no such country"),
        pytest.param({"phoneNumber": "+١٤١٥٥٥٥٠١٢٣"}, "phoneNumber", id="other digits"),
        pytest.param({"phoneNumber": "anonymous"}, "phoneNumber", id="a word"),
        pytest.param({"violations": []}, "violations", id="nothing to say"),
        pytest.param({"violations": BODY["violations"] * 11}, "violations", id="too much to say"),
        pytest.param({"violations": "all"}, "violations", id="a text"),
        pytest.param({"violations": [{"type": "crime", "description": "x"}]}, "violations[0].type", id="a kind"),
        pytest.param({"violations": [{"type": "violation"}]}, "description", id="no description"),
        pytest.param(
            {"violations": [*BODY["violations"], {"type": "reminder", "description": "x" * 501}]},
            "violations[2].description",
            id="a long description",
        ),
    ],
)
async def test_a_body_that_is_wrong_names_the_field_and_places_nothing(
    tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    async with desk(tmp_path) as here:
        answer = await here.place(**changed)
        assert answer.status_code == 422, answer.text
        error = answer.json()["error"]
        assert named.replace("[0]", "[...]") in error["message"] or named in error["message"]
        assert error["fix"]
        assert (here.vendor.orders, await here.all_calls()) == ([], [])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":' * 10_000, b'{"driverId": "a", "driverName": "\\ud800"'])
async def test_what_is_no_json_is_400(tmp_path: Path, body: bytes) -> None:
    async with desk(tmp_path) as here:
        answer = await here.http.post("/driver_data/call-elevenlabs", content=body, headers=here.bearer())
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
        assert here.vendor.orders == []


async def test_only_operators_place_and_fetch(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        viewer = Principal("vic", "default", "viewer")
        assert (await here.place(by=viewer)).status_code == 403
        assert (await here.fetch("conv_1", viewer)).status_code == 403
        assert (await here.http.post("/driver_data/call-elevenlabs", json=BODY)).status_code == 401
        assert here.vendor.orders == []


async def test_without_its_settings_it_says_which_are_missing(tmp_path: Path) -> None:
    async with desk(tmp_path, configured=False) as here:
        answer = await here.place()
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "not_configured")
        assert "ELEVENLABS_AGENT_ID, ELEVENLABS_PHONE_NUMBER_ID" in error["fix"]
        assert await here.all_calls() == []


async def test_whoever_does_not_want_to_be_called_is_not(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await do_not_call.add(here.store, "default", "+14155550123", now=utcnow())
        answer = await here.place(phoneNumber="+1 415 555 0123")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "do_not_call")
        assert (here.vendor.orders, await here.all_calls()) == ([], [])


@pytest.mark.parametrize(
    ("phone", "code"),
    [
        ("+525512345678", "country_not_allowed"),
        ("+447911123456", "country_not_allowed"),
        ("+19005550123", "dear_number"),
    ],
)
async def test_numbers_that_cost_dear_are_not_called(tmp_path: Path, phone: str, code: str) -> None:
    async with desk(tmp_path) as here:
        answer = await here.place(phoneNumber=phone)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)
        assert (here.vendor.orders, await here.all_calls()) == ([], [])


async def test_no_more_calls_a_day_than_are_meant(tmp_path: Path) -> None:
    async with desk(tmp_path, per_day=2) as here:
        codes = [(await here.place(key=key)).status_code for key in ("1", "1", "2", "1", "3")]
        assert codes == [200, 200, 200, 200, 429]
        assert (await here.place()).json()["error"]["code"] == "daily_cap"
        here.clock.ahead += timedelta(days=1)
        assert (await here.place(key="3")).status_code == 200
        assert len(here.vendor.orders) == 3


async def test_a_cap_holds_however_many_ask_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path, per_day=3) as here:
        answers = await asyncio.gather(*(here.place() for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
        assert len(here.vendor.orders) == 3


@pytest.mark.parametrize(("fault", "status", "code"), REFUSALS, ids=str)
async def test_each_refusal_has_its_own_words_and_the_call_has_failed(
    tmp_path: Path, fault: Fault, status: int, code: str
) -> None:
    async with desk(tmp_path) as here:
        here.vendor.fault = fault
        answer = await here.place()
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert error["fix"]
        assert len(here.vendor.orders) == 1
        call = await here.only_call()
        assert call.status is Status.FAILED
        assert call.metadata["refused"]["code"] == code
        events = await here.journalled()
        assert [(e.type, e.data.get("status")) for e in events] == [
            (EventType.CALL_STATUS, "initiated"),
            (EventType.CALL_STATUS, "failed"),
            (EventType.CALL_COMPLETED, None),
        ]
        record = await here.journal.call_data(events[-1])
        assert (record["failure_reason"], record["transcript"]) == (code, None)
        assert here.noticed[-1].status is Status.FAILED


async def test_a_busy_vendor_says_when_to_come_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        here.vendor.fault = Fault.BUSY
        assert (await here.place()).headers["retry-after"] == "7"


async def test_a_vendor_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        agents: Any = here.calls.agents
        agents._client._client_wrapper._base_url = "http://127.0.0.1:1"
        agents._client._client_wrapper.httpx_client.base_url = lambda: "http://127.0.0.1:1"
        answer = await here.place()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "elevenlabs_unreachable")
        assert (await here.only_call()).status is Status.FAILED


@pytest.mark.parametrize("fault", PLACED)
async def test_a_phone_that_rings_all_the_same_is_found_and_rung_once(tmp_path: Path, fault: Fault) -> None:
    async with desk(tmp_path, place_s=1.0 if "hang" in fault else 20.0) as here:
        here.vendor.fault = fault
        answer = await here.place()
        assert answer.status_code == 200, answer.text
        (conversation,) = here.vendor.conversations.values()
        assert answer.json()["conversation_id"] == conversation["conversation_id"]
        sid = conversation["metadata"]["phone_call"]["call_sid"]
        assert answer.json()["call_sid"] == (None if fault is Fault.NO_CALL_SID_PLACED else sid)
        assert len(here.vendor.orders) == 1
        call = await here.only_call()
        assert (call.status, call.conversation_id) == (Status.INITIATED, conversation["conversation_id"])


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.CUT])
async def test_when_nobody_knows_it_is_not_placed_again(tmp_path: Path, fault: Fault) -> None:
    async with desk(tmp_path, place_s=1.0 if "hang" in fault else 20.0) as here:
        here.vendor.fault = fault
        for _ in range(2):
            answer = await here.place(key="order-1")
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (503, "outcome_unknown")
        call = await here.only_call()
        assert call.call_id in error["fix"]
        assert (call.status, len(here.vendor.orders)) == (Status.INITIATED, 1)
        here.vendor.fault = None
        here.clock.ahead += timedelta(minutes=2)
        later = await here.place(key="order-1")
        assert (later.status_code, later.json()["error"]["code"]) == (503, "elevenlabs_never_placed")
        assert ((await here.only_call()).status, len(here.vendor.orders)) == (Status.FAILED, 1)


async def test_a_call_that_shows_up_late_is_found_by_its_own_id(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        here.vendor.fault, here.vendor.forgetful = Fault.CUT_PLACED, True
        assert (await here.place()).json()["error"]["code"] == "outcome_unknown"
        call = await here.only_call()
        here.vendor.forgetful = False
        answer = await here.fetch(call.call_id)
        (conversation_id,) = here.vendor.conversations
        assert answer.json() == {"conversation_id": conversation_id, "status": "initiated"}
        assert (await here.only_call()).conversation_id == conversation_id


async def test_somebody_elses_conversation_is_never_taken_for_ours(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.place(driverId="other")
        (stranger,) = here.vendor.conversations.values()
        here.vendor.fault = Fault.CUT
        here.vendor._list = _lists_everything(here.vendor)  # type: ignore[method-assign]
        agents: Any = here.calls.agents
        assert await agents.find("EL_driver-7_1", since=utcnow() - timedelta(minutes=1)) is None
        assert (await agents.find(stranger["user_id"], since=utcnow() - timedelta(minutes=1))) is not None


def _lists_everything(vendor: ElevenLabsApi) -> Any:
    whole = vendor._list

    async def listed(request: Any) -> Any:
        request.scope["query_string"] = b""
        return await whole(request)

    return listed


async def test_the_same_key_is_the_same_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        answers = await asyncio.gather(*(here.place(key="order-1") for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert len({answer.text for answer in answers}) == 1
        assert len(here.vendor.orders) == 1
        again = await here.place(key="order-1")
        assert (again.text, len(here.vendor.orders)) == (answers[0].text, 1)
        other = await here.place(key="order-2")
        assert (other.status_code, len(here.vendor.orders)) == (200, 2)


async def test_a_key_belongs_to_its_request_and_its_refusal(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        here.vendor.fault = Fault.QUOTA
        assert (await here.place(key="order-1")).json()["error"]["code"] == "elevenlabs_quota"
        here.vendor.fault = None
        assert (await here.place(key="order-1")).json()["error"]["code"] == "elevenlabs_quota"
        assert (await here.place(key="order-1", driverName="Sam")).json()["error"]["code"] == "key_reused"
        assert (await here.place(key="x" * 256)).status_code == 422
        assert len(here.vendor.orders) == 1


async def test_without_a_key_every_request_is_a_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        answers = await asyncio.gather(*(here.place() for _ in range(4)))
        assert len({answer.json()["conversation_id"] for answer in answers}) == 4
        assert len({call.call_id for call in await here.all_calls()}) == 4


async def test_in_the_same_millisecond_every_order_is_still_a_call_of_its_own(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        moment = utcnow()
        object.__setattr__(here.calls.settling, "clock", lambda: moment)
        keys = ("a", "b", None, "c", None, "a")
        answers = await asyncio.gather(*(here.place(key=key) for key in keys))
        assert [answer.status_code for answer in answers] == [200] * 6
        assert answers[0].text == answers[5].text
        assert len({answer.text for answer in answers}) == 5
        assert len(here.vendor.orders) == 5
        assert (await here.place(key="b")).text == answers[1].text


async def test_news_that_overtook_the_answer_is_joined(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        conversation_id = here.vendor.next_conversation_id
        keys = {"conversation_id": conversation_id}
        early = BusMessage("n1", "elevenlabs", "call_initiation_failure", keys, iso(utcnow()), {})
        await here.journal.park(early)
        await here.place()
        assert here.bus.messages == [early]
        assert await here.journal.parked(await here.only_call()) == []


async def test_a_store_that_is_away_after_the_placing_warns_against_placing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as here:

        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailable("away")

        monkeypatch.setattr(here.journal, "append", away)
        answer = await here.place()
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "not_recorded")
        assert "Do not place it again" in error["fix"]


async def test_a_crash_between_placing_and_recording_is_healed_by_the_same_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as here:
        with monkeypatch.context() as crash:

            async def dies(*_: object, **__: object) -> None:
                raise StoreUnavailable("the process is gone")

            crash.setattr(here.journal, "append", dies)
            assert (await here.place(key="order-1")).status_code == 503
        answer = await here.place(key="order-1")
        assert answer.json()["conversation_id"] == next(iter(here.vendor.conversations))
        assert len(here.vendor.orders) == 1


async def test_fetching_before_the_vendor_is_done_says_so_and_ends_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        conversation_id = (await here.place()).json()["conversation_id"]
        for state in ("initiated", "in-progress", "processing"):
            here.vendor.becomes(conversation_id, state)
            answer = await here.fetch(conversation_id)
            assert (answer.status_code, answer.json()) == (200, {"conversation_id": conversation_id, "status": state})
        assert [message.data["status"] for message in here.bus.messages] == ["initiated", "in-progress", "processing"]
        assert (await here.only_call()).status is Status.INITIATED  # the applier decides, and it alone


async def test_a_conversation_is_fetched_as_its_webhook_would_bring_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        placed = (await here.place()).json()
        here.vendor.finish(placed["conversation_id"], [("agent", "Hello Kim."), ("user", "Grüß dich! 👋")])
        for any_id in (placed["conversation_id"], placed["call_sid"], (await here.only_call()).call_id):
            answer = await here.fetch(any_id)
            assert answer.json() == here.vendor.conversations[placed["conversation_id"]]
        assert len({message.id for message in here.bus.messages}) == 1
        message = here.bus.messages[0]
        assert (message.source, message.type) == ("elevenlabs", "post_call_transcription")
        assert message.data == answer.json()
        assert message.keys == {
            "conversation_id": placed["conversation_id"],
            "call_sid": placed["call_sid"],
            "call_id": (await here.only_call()).call_id,
        }


async def test_an_empty_transcript_names_the_setting_to_check(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        placed = (await here.place()).json()
        here.vendor.finish(placed["conversation_id"], [])
        warning = (await here.fetch(placed["conversation_id"])).json()["warning"]
        assert warning["code"] == "empty_transcript"
        for setting in ("zero_retention_mode", "retention_days", "exclude_transcript"):
            assert setting in warning["fix"]


async def test_what_is_not_there_or_not_yours_is_404(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        placed = (await here.place()).json()
        stranger = Principal("eve", "other", "operator")
        admin = Principal("ada", "default", "admin")
        assert (await here.fetch(placed["conversation_id"], stranger)).status_code == 404
        assert (await here.fetch("conv_nobody_knows")).status_code == 404
        assert (await here.fetch("conv_nobody_knows", admin)).status_code == 404
        assert (await here.fetch("__x__", admin)).status_code == 404
        assert here.bus.messages == []


async def test_a_call_of_our_own_is_not_fetched_and_not_ended(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.journal.open(Call(call_id="CA9", call_sid="CA9", status=Status.IN_PROGRESS))
        here.clock.ahead += timedelta(minutes=10)
        assert (await here.fetch("CA9")).status_code == 404
        assert (await here.only_call()).status is Status.IN_PROGRESS


async def test_an_administrator_fetches_what_was_not_placed_here(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        order = {"agent_id": AGENT_ID, "agent_phone_number_id": PHONE_NUMBER_ID, "to_number": "+14155550123"}
        conversation_id = here.vendor._begin(order)["conversation_id"]
        here.vendor.finish(conversation_id, [("agent", "Hello.")])
        answer = await here.fetch(conversation_id, Principal("ada", "default", "admin"))
        assert answer.status_code == 200
        assert here.bus.messages[0].keys["conversation_id"] == conversation_id


async def test_a_bus_that_is_broken_is_503(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        conversation_id = (await here.place()).json()["conversation_id"]
        here.bus.broken = True
        assert (await here.fetch(conversation_id)).status_code == 503


async def test_the_gateway_serves_it_and_documents_it(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        headers = running.bearer(Principal("olga", "default", "operator"))
        answer = await running.http.post("/driver_data/call-elevenlabs", json=BODY, headers=headers)
        assert answer.json()["error"]["code"] == "not_configured"
        document = (await running.http.get("/openapi.json")).json()
        operation = document["paths"]["/driver_data/call-elevenlabs"]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert sorted(schema["required"]) == sorted(BODY)
        assert schema["properties"]["violations"]["items"]["required"] == ["type", "description"]
        assert {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}} in operation["parameters"]
        assert operation["security"] == [{"bearer": []}, {"key": []}]
        assert "/driver_data/conversations/{conversation_id}/fetch" in document["paths"]
