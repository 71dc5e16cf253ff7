"""What the wiring gives the tools, from the environment: texts, VINs, the alert; closed with the application."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from infra.simulators.nhtsa_api import NhtsaApi
from infra.simulators.twilio_api import ACCOUNT_SID, TwilioApi
from media_gateway.core import Core
from media_gateway.settings import Settings, SettingsError, load
from media_gateway.wiring import build_services
from realtime.bus.port import Bus
from realtime.clock import utcnow
from realtime.hub import Hub
from realtime.journal import Journal
from realtime.records import inbox
from realtime.stores.embedded import EmbeddedStore
from tests.media_gateway.harness import TOKEN, NotedBus, environ
from tests.media_gateway.tools.scene import JOHN, Scene

pytestmark = pytest.mark.anyio


def core(settings: Settings, tmp_path: Path) -> Core:
    store = EmbeddedStore(tmp_path / "callboard.db")
    journal = Journal(store)
    bus: Bus = NotedBus()
    return Core(settings, store, journal, bus, Hub(journal, store.feed()))


async def test_from_the_environment_to_text_message_vin_and_alert(tmp_path: Path) -> None:
    async with TwilioApi(auth_token=TOKEN) as twilio, NhtsaApi() as nhtsa:
        settings = load(
            environ(
                tmp_path,
                TWILIO_ACCOUNT_SID=ACCOUNT_SID,
                TWILIO_PHONE_NUMBER="+18005550100",
                TWILIO_API_BASE_URL=twilio.url,
                NHTSA_BASE_URL=nhtsa.url,
                CALLBOARD_ALERT_PHONE="(415) 555-0900",
                CALLBOARD_RETENTION_DAYS="7",
            )
        )
        parts = core(settings, tmp_path)
        before = asyncio.all_tasks()
        scene = Scene(parts.store, build_services(parts), utcnow())
        scene.now = datetime.now(scene.now.tzinfo)
        await scene.open()
        appointment = await scene.booked(date="2031-11-24", call_id="CA1")
        sent = await scene.do("CA1", JOHN.phone, "send_sms_confirmation", appointment_id=appointment["reference"])
        assert sent.ok, sent.data
        found = await scene.do("CA1", JOHN.phone, "decode_vin", vin="1HGCM82633A004352")
        assert found.data["say"] == "2003 Honda Accord"
        # The owner is told of what the default organisation was left.
        message = inbox.Message(message_id="M1", call_id="CA1", text="Call me.", at="2026-11-20T15:00:00.000Z")
        await parts.store.commit(inbox.writes("default", message))
        assert scene.services.alerts is not None
        scene.services.alerts.notice("default", "M1")
        async with asyncio.timeout(5):
            while len(twilio.messages) < 2:
                await asyncio.sleep(0.005)
        assert [(one.to, one.from_) for one in twilio.messages] == [
            (JOHN.phone, "+18005550100"), ("+14155550900", "+18005550100"),
        ]  # fmt: skip
        assert scene.services.retention_days == 7
        await parts.closing.aclose()
        await asyncio.sleep(0)
        assert not [task for task in asyncio.all_tasks() - before if task.get_name() == "alerts"]
        await parts.store.aclose()


async def test_without_an_account_nobody_is_contacted(tmp_path: Path) -> None:
    parts = core(load(environ(tmp_path)), tmp_path)
    services = build_services(parts)
    assert services.messenger is None
    assert services.alerts is not None
    await parts.closing.aclose()
    await parts.store.aclose()


@pytest.mark.parametrize(
    ("name", "value"), [("CALLBOARD_ALERT_PHONE", "the owner"), ("NHTSA_BASE_URL", "vpic.nhtsa.dot.gov")]
)
def test_what_cannot_be_is_named_at_the_start(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(environ(tmp_path, **{name: value}))
