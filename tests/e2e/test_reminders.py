"""Tomorrow's appointments, the whole way: the schedule's request, the queue, the gateway, Twilio's API on loopback, a
telephone that is rung, a voice that confirms; and a second run that leaves everybody alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.simulators.callee import Callee
from infra.simulators.twilio_api import ACCOUNT_SID, TwilioApi
from realtime.records.appointment import path
from realtime.reminders import ledger
from realtime.stores.port import DocumentStore
from tests.e2e.system import Running, running
from tests.e2e.test_outbound import OURS, TOKEN, scenario
from tests.functions.shop import PHONES, reminder_of, seed

pytestmark = [pytest.mark.call, pytest.mark.timeout(240)]

ANY_TIME = {"opens": "00:00", "closes": "23:59:59.999999", "spacing": 60}
YES = {"say": "plain_yes", "when": "after_assistant"}
ANSWERS = {
    PHONES["john"]: Callee(
        scenario=scenario(YES, YES, {"say": "no_thank_you", "when": "after_assistant"}, {"wait": "stream_end"}),
        verdict="human",
        verdict_after_s=2.0,
    ),
    PHONES["maria"]: Callee(outcome="busy"),
}


async def schedule(ground: Running) -> dict[str, Any]:
    """What Cloud Scheduler does."""
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
        answer = await http.post(f"{ground.system.functions_url}/schedule_reminders", json={})
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def over(store: DocumentStore, twilio: TwilioApi) -> None:
    """Both calls have been placed and have ended."""
    async with asyncio.timeout(30):
        while len(twilio.calls) < 2:
            await asyncio.sleep(0.1)
    for call_sid in list(twilio.calls):
        await twilio.finished(call_sid)
        async with asyncio.timeout(30):
            while True:
                (head,) = await store.get(f"calls/{call_sid}")
                if head and head.data["ended_at"]:
                    break
                await asyncio.sleep(0.1)


async def day(folder: Path) -> tuple[list[dict[str, Any]], dict[str, str], int]:
    async with TwilioApi(auth_token=TOKEN, phones=ANSWERS) as twilio:
        account = {
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_PHONE_NUMBER": OURS,
            "TWILIO_API_BASE_URL": twilio.url,
            "CALLBOARD_TIMEZONE": "America/New_York",
        }
        async with running(folder, more=account) as ground:
            now = datetime.now(UTC)
            await asyncio.to_thread(seed, ground.system.database, now, rules=ANY_TIME, who=("john", "maria"))
            reports = [await schedule(ground)]
            await over(ground.store, twilio)
            reports.append(await schedule(ground))
            kept = {}
            for who in ("john", "maria"):
                (found,) = await ground.store.get(ledger.reminder_path("default", reminder_of(who, now)))
                assert found
                kept[who] = found.data["attempts"][0]["outcome"]
            (appointment,) = await ground.store.get(path("default", "A-john"))
            assert appointment
            kept["appointment"] = appointment.data["status"]
            return reports, kept, len(twilio.calls)


def test_whoever_confirms_is_not_called_again_and_whoever_is_busy_is_called_later(tmp_path: Path) -> None:
    (first, second), kept, calls = asyncio.run(day(tmp_path))
    assert sorted(call["appointment_id"] for call in first["planned"]) == ["A-john", "A-maria"]
    assert kept == {"john": "confirmed", "maria": "unreached", "appointment": "confirmed"}
    assert (second["planned"], calls) == ([], 2)
    assert second["skipped"] == {"confirmed": ["A-john"], "later": ["A-maria"]}
