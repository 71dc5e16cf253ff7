"""Whole calls with a language model (simulated, at the socket): the booking gets done with it, without it, and whatever
it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.simulators.openai_reply import Call, Reply
from infra.simulators.vendor_faults import Fault, Faults, Kind
from realtime.events import EventType
from tests.media_gateway.voice.modelled import MODELS, PATIENCE, QUICK, Modelled, modelled

pytestmark = pytest.mark.anyio

BOOKING = ("hi i need to schedule an oil change", "as soon as possible", "yes")


async def booked(call: Modelled) -> None:
    (line,) = [line for line in await call.stage.kept(EventType.TOOL_CALL) if line["tool"] == "book_appointment"]
    assert line["ok"]
    (kept,) = await call.stage.store.get(f"orgs/default/appointments/{line['result']['appointment_id']}")
    assert kept


async def test_a_booking_in_the_models_words(tmp_path: Path) -> None:
    async with modelled(tmp_path) as call:
        call.api.say(Reply(text="With pleasure! What day suits you? I am all ears."))
        first = await call.said(BOOKING[0])
        assert first == "With pleasure! What day suits you? I am all ears."
        await call.said(*BOOKING[1:])
        await booked(call)
        assert await call.faults() == []
        assert not call.api.refused, "OpenAI would have refused a request"
        metrics = await call.stage.kept(EventType.TURN_METRICS)
        assert metrics[0]["tokens"]["prompt"] == 0, "the greeting is at hand"
        assert all(turn["tokens"]["prompt"] > 100 for turn in metrics[1:])


async def test_the_model_is_switched_off_and_the_booking_is_finished_all_the_same(tmp_path: Path) -> None:
    async with modelled(tmp_path) as call:
        await call.said(BOOKING[0])
        call.api.faults.add(Fault(kind=Kind.REFUSED, times=None))
        await call.said(*BOOKING[1:])
        await booked(call)
        faults = await call.faults()
        assert len(faults) >= 2
        assert {stage for stage, _ in faults} == {"thinking"}
        assert {kind for _, kind in faults} <= {"refused", "busy"}
        assert len(call.api.faults.met) <= 3, "a dead service is not asked again and again"
        call.stage.say("no thank you")
        await call.stage.ended()
        await call.stage.completed()


async def test_a_stand_in_model_answers_and_the_journal_says_so(tmp_path: Path) -> None:
    async with modelled(tmp_path, models=(*MODELS, "gpt-5.4-mini")) as call:
        call.api.faults_of[MODELS[0]] = Faults(Fault(kind=Kind.ERROR, code=500, times=None))
        await call.said(*BOOKING)
        await booked(call)
        (*_, last) = await call.stage.kept(EventType.PROVIDER_FAULT)
        assert "gpt-5.4-mini stands in" in last["detail"]
        assert {asked.body["model"] for asked in call.api.asked} == {"gpt-5.4-mini"}


BEFORE = (Kind.REFUSED, Kind.UNAUTHORIZED, Kind.BUSY, Kind.EMPTY)
ALWAYS = (Kind.ERROR, Kind.CUT, Kind.CLOSE, Kind.GARBAGE, Kind.HUNG)
MOMENTS = {"before the first word": 0, "after the role": 1, "in the middle of the words": 6}


@pytest.mark.parametrize("after", MOMENTS.values(), ids=MOMENTS)
async def test_every_fault_at_every_moment_of_the_words(tmp_path: Path, after: int) -> None:
    async with modelled(tmp_path, patience=QUICK) as call:
        for kind in ALWAYS if after else (*BEFORE, *ALWAYS):
            count = len(await call.faults())
            call.api.faults.clear()
            call.api.faults.add(Fault(kind=kind, after_messages=after, times=None))
            answer = await call.said("what are your hours")
            assert "eight" in answer or "help" in answer.lower() or "?" in answer, (kind, answer)
            assert answer.strip()[-1] in ".?!", (kind, "half a sentence", answer)
            assert len(await call.faults()) > count, kind
            call.api.faults.clear()
            for breaker in call.stage.mind._breakers.values():  # type: ignore[attr-defined]
                breaker.worked()
        assert await call.said("what are your hours")


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.CLOSE, Kind.GARBAGE, Kind.ERROR, Kind.HUNG])
async def test_a_tool_call_that_breaks_off_is_not_done(tmp_path: Path, kind: Kind) -> None:
    async with modelled(tmp_path, patience=QUICK if kind is Kind.HUNG else PATIENCE) as call:
        call.api.say(Reply(calls=(Call(name="transfer_to_human", arguments={"reason": "other"}),)))
        call.api.faults.add(Fault(kind=kind, after_messages=3))
        answer = await call.said("what are your hours")
        assert answer.strip()[-1] in ".?!"
        assert await call.ran() == []
        assert not call.api.refused


# --- the model proposes, the session disposes ---


async def proposed(call: Modelled, *calls: Call, line: str = "what are your hours") -> str:
    """The model asks for this, whatever it was told."""
    call.api.say(Reply(calls=calls))
    return await call.said(line)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Call(name="lookup_customer", arguments={"phone": "+14155550123"}), "no such tool"),
        (Call(name="get_upcoming_appointments", arguments={"customer_id": "c2"}), "no such tool"),
        (
            Call(name="book_appointment", arguments={"service_type": "x", "date": "2026-11-23", "time": "14:00"}),
            "no such",
        ),
        (Call(name="send_sms_confirmation", arguments={"appointment_id": "a1", "to": "+19005550000"}), "no such tool"),
        (Call(name="delete_everything"), "no such tool"),
        (Call(name="end_call", arguments="{not json"), "no JSON"),
    ],
)
async def test_what_a_model_may_not_is_refused_and_answered(tmp_path: Path, wanted: Call, reason: str) -> None:
    async with modelled(tmp_path) as call:
        answer = await proposed(call, wanted)
        assert "eight" in answer, "the second answer is the brain's, and it says what it was told to say"
        assert await call.ran() == []
        (fault,) = await call.stage.kept(EventType.PROVIDER_FAULT)
        assert reason in fault["detail"]
        told = call.api.asked[-1].body["messages"]
        assert told[-1]["role"] == "tool"
        assert reason in told[-1]["content"]
        assert not call.api.refused


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (
            Call(name="transfer_to_human", arguments={"reason": "other", "number": "+19005550000"}),
            "number: Extra inputs",
        ),
        (Call(name="transfer_to_human", arguments={"reason": "to +19005550000"}), "reason: Input should be"),
        (Call(name="get_available_slots", arguments={"date": "2026-11-23", "customer_id": "c2"}), "customer_id: Extra"),
        (Call(name="get_available_slots", arguments={"date": "someday"}), "date: Input should be a valid date"),
    ],
)
async def test_arguments_that_a_model_makes_up_go_nowhere(tmp_path: Path, wanted: Call, reason: str) -> None:
    async with modelled(tmp_path) as call:
        assert "eight" in await proposed(call, wanted)
        assert await call.ran() == []
        assert reason in call.api.asked[-1].body["messages"][-1]["content"]
        assert call.stage.session.floor.ending is None


async def test_a_model_books_what_was_read_back_and_nothing_else(tmp_path: Path) -> None:
    async with modelled(tmp_path) as call:
        other = {"service_type": "brake_service", "date": "2030-01-01", "time": "09:00"}
        await call.said(*BOOKING[:1])
        question = await proposed(call, Call(name="book_appointment", arguments=other), line=BOOKING[1])
        assert "book_appointment" not in await call.ran(), "nobody has said yes"
        assert question
        await proposed(call, Call(name="book_appointment", arguments=other), line="fish and chips and so on")
        await booked(call)
        (line,) = [line for line in await call.stage.kept(EventType.TOOL_CALL) if line["tool"] == "book_appointment"]
        assert (line["arguments"]["service_type"], line["arguments"]["date"] != "2030-01-01") == ("oil_change", True)


async def test_a_model_that_insists_is_spoken_for_by_the_script(tmp_path: Path) -> None:
    async with modelled(tmp_path) as call:
        call.api.say(*[Reply(calls=(Call(name="delete_everything"),))] * 2)
        assert "eight" in await call.said("what are your hours")
        assert len(call.api.asked) == 2
