"""Text messages through the real SDK against Twilio's API on loopback: once, whatever happens to the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.simulators.twilio_api import Trouble, TwilioApi
from media_gateway.telephony.sms import TwilioTexts
from media_gateway.telephony.twilio_client import TwilioRest
from media_gateway.tools.services import EffectFailed, Services
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Query
from tests.media_gateway.tools.scene import JOHN, MARIA, STRANGER, Scene

pytestmark = pytest.mark.anyio

FROM = "+18005550100"


@asynccontextmanager
async def shop(tmp_path: Path, *, send_s: float = 5.0, find_s: float = 3.0) -> AsyncIterator[tuple[Scene, TwilioApi]]:
    async with TwilioApi(auth_token="secret", hang_s=1.0) as twilio:
        rest = TwilioRest(twilio.account_sid, "secret", twilio.url, timeout_s=2.0)
        store = EmbeddedStore(tmp_path / "callboard.db")
        texts = TwilioTexts(rest, FROM, send_s=send_s, find_s=find_s)
        # Real time: what is looked up is compared with the time that Twilio gave it.
        scene = Scene(store, Services(messenger=texts), datetime.now(UTC))
        try:
            yield await scene.open(), twilio
        finally:
            await rest.aclose()
            await store.aclose()


async def booked(scene: Scene, phone: str = JOHN.phone) -> str:
    found = await scene.booked(phone, date="2031-11-24")
    appointment_id: str = found["appointment_id"]
    return appointment_id


async def text(scene: Scene, appointment_id: str, call_id: str = "CA1", phone: str | None = JOHN.phone) -> Any:
    return await scene.do(call_id, phone, "send_sms_confirmation", appointment_id=appointment_id)


async def test_the_number_on_file_gets_day_time_and_reference(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, twilio):
        appointment_id = await booked(scene)
        sent = await text(scene, appointment_id, phone=JOHN.other_phones[0])
        assert sent.ok, sent.data
        (message,) = twilio.messages
        reference = (await scene.kept(appointment_id)).reference
        assert (message.to, message.from_) == (JOHN.phone, FROM)
        assert message.body == (
            f"Sunrise Auto Service: your oil change is booked for 2 PM on Monday, November 24. Reference {reference}."
        )


async def test_asked_twice_and_twice_at_once_is_one_message(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, twilio):
        appointment_id = await booked(scene)
        await asyncio.gather(*(text(scene, appointment_id) for _ in range(5)))
        again = await text(scene, appointment_id)
        assert again.ok
        assert len(twilio.messages) == 1


async def test_a_moved_appointment_is_confirmed_once_more(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, twilio):
        appointment_id = (await scene.booked(JOHN.phone, "CA1", date="2031-11-24"))["appointment_id"]
        await text(scene, appointment_id)
        moved = await scene.do("CA1", JOHN.phone, "reschedule_appointment", date="2031-11-24", time="09:00")
        assert moved.ok
        assert (await text(scene, appointment_id)).ok
        assert [" 2 PM " in one.body or " 9 AM " in one.body for one in twilio.messages] == [True, True]


@pytest.mark.parametrize("trouble", ["500_after", "hang_after"])
async def test_an_answer_that_was_lost_is_looked_up_and_never_repeated(tmp_path: Path, trouble: Trouble) -> None:
    async with shop(tmp_path, send_s=0.3) as (scene, twilio):
        appointment_id = await booked(scene)
        twilio.troubles.append(trouble)
        lost = await text(scene, appointment_id)
        assert (lost.ok, lost.data["reason"]) == (False, "sms_unknown")
        (kept,) = await scene.store.query(Query("calls/CA1/effects"))
        assert kept.data["status"] == "unknown"
        found = await text(scene, appointment_id)
        assert found.ok
        assert len(twilio.messages) == 1


@pytest.mark.parametrize("trouble", ["500", "hang"])
async def test_what_may_have_happened_is_not_done_again_even_if_it_did_not(tmp_path: Path, trouble: Trouble) -> None:
    async with shop(tmp_path, send_s=0.3) as (scene, twilio):
        appointment_id = await booked(scene)
        twilio.troubles.append(trouble)
        reasons = [(await text(scene, appointment_id)).data["reason"] for _ in range(3)]
        assert reasons == ["sms_unknown"] * 3
        assert twilio.messages == []
        assert sum(one.method == "POST" for one in twilio.seen) <= 1


async def test_what_was_refused_in_passing_may_be_tried_again(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, twilio):
        appointment_id = await booked(scene)
        twilio.troubles.append("429")
        assert (await text(scene, appointment_id)).data["reason"] == "sms_failed"
        assert (await text(scene, appointment_id)).ok
        assert len(twilio.messages) == 1


async def test_a_number_that_answered_stop_is_left_alone(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, twilio):
        twilio.unsubscribed = frozenset({JOHN.phone})
        appointment_id = await booked(scene)
        for _ in range(2):
            refused = await text(scene, appointment_id)
            assert (refused.data["reason"], refused.data["detail"]) == ("sms_refused", "unsubscribed")
        assert sum(one.method == "POST" for one in twilio.seen) == 1


async def test_a_process_that_died_after_sending_does_not_send_again(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, twilio):
        appointment_id = await booked(scene)
        messenger = scene.services.messenger
        assert isinstance(messenger, TwilioTexts)
        running = asyncio.create_task(text(scene, appointment_id))
        async with asyncio.timeout(5):
            while not twilio.messages:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait({running})
        assert (await text(scene, appointment_id)).ok
        assert len(twilio.messages) == 1


async def test_an_earlier_message_of_the_same_words_does_not_count(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, _):
        messenger = scene.services.messenger
        assert isinstance(messenger, TwilioTexts)
        sid = await messenger.send(JOHN.phone, "hello")
        assert await messenger.find(JOHN.phone, "hello", scene.now) == sid
        assert await messenger.find(JOHN.phone, "hello", datetime(2099, 1, 1, tzinfo=UTC)) is None
        assert await messenger.find(JOHN.phone, "other", scene.now) is None
        assert await messenger.find(STRANGER, "hello", scene.now) is None


async def test_what_cannot_be_sent_says_why(tmp_path: Path) -> None:
    async with shop(tmp_path) as (scene, twilio):
        hers = await booked(scene, MARIA.phone)
        assert (await text(scene, hers)).data["reason"] == "not_found"
        mine = (await scene.booked(JOHN.phone, "CA1", date="2031-11-25"))["appointment_id"]
        await scene.do("CA1", JOHN.phone, "cancel_appointment")
        assert (await text(scene, mine)).data["reason"] == "canceled"
        withheld = (await scene.booked(None, "CA2", date="2031-11-26"))["appointment_id"]
        assert (await text(scene, withheld, "CA2", None)).data["reason"] == "no_number"
        scene.services = Services()
        assert (await text(scene, hers, phone=MARIA.phone)).data["reason"] == "not_configured"
        assert twilio.seen == []


async def test_twilio_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "callboard.db")
    rest = TwilioRest("AC1", "secret", "http://127.0.0.1:9", timeout_s=1.0)
    try:
        texts = TwilioTexts(rest, FROM)
        with pytest.raises(EffectFailed):
            await texts.find(JOHN.phone, "hello", datetime.now(UTC))
        scene = await Scene(store, Services(messenger=texts), datetime.now(UTC)).open()
        appointment_id = await booked(scene)
        for _ in range(2):
            assert (await text(scene, appointment_id)).data["reason"] == "sms_failed"
    finally:
        await rest.aclose()
        await store.aclose()
