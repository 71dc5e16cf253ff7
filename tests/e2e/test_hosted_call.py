"""A dispatcher has a driver called by a hosted agent: all of our parts as processes, the vendor simulated.

Everything goes the way it goes in production: the SDK places the call, the vendor's signed webhook comes to the real
function, and whoever watches sees the call begin, go on and end.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.local.clients import Watcher, transcriptions
from infra.simulators.elevenlabs_api import AGENT_ID
from realtime.records.demo import DEMO_PHONE
from tests.e2e.hosted import ORDER, PERSONALIZE, PLACE, SAID, SECRET, Ground, ground

pytestmark = [pytest.mark.call, pytest.mark.timeout(120)]


def shown(watcher: Watcher) -> list[Any]:
    """What a client saw, briefly: statuses, and the type of everything else."""
    messages = [message for message in watcher.messages if message["type"] != "subscribed"]
    return [message["status"] if message["type"] == "call_status" else message["type"] for message in messages]


def is_status(status: str) -> Any:
    return lambda message: message["type"] == "call_status" and message["status"] == status


def is_completed(message: dict[str, Any]) -> bool:
    return bool(message["type"] == "call_completed")


async def follow_a_call(here: Ground) -> None:
    """From the order to the record, in front of a client that subscribed before there was a call."""
    conversation_id = here.vendor.next_conversation_id
    async with transcriptions(here.api, conversation_id) as watcher:
        placed = await here.api.post(PLACE, ORDER)
        assert placed == {"call_sid": placed["call_sid"], "conversation_id": conversation_id, "status": "initiated"}
        assert await watcher.until(is_status("initiated"))
        head = await here.api.get(f"/api/v1/calls/{conversation_id}")
        assert (head["hosted"], head["metadata"]["transcripts"]) == (True, "webhook")
        fetch = f"/driver_data/conversations/{conversation_id}/fetch"
        for theirs, ours in (("in-progress", "in_progress"), ("processing", "processing")):
            here.vendor.becomes(conversation_id, theirs)
            assert await here.api.post(fetch, {}) == {"conversation_id": conversation_id, "status": theirs}
            assert await watcher.until(is_status(ours))
        here.vendor.finish(conversation_id, SAID)
        assert await here.vendor.deliver_transcription(conversation_id, here.webhook, SECRET) == 200
        assert await watcher.until(is_completed)
        # The vendor sends it again, and it is fetched by hand: nothing more happens.
        assert await here.vendor.deliver_transcription(conversation_id, here.webhook, SECRET) == 200
        assert (await here.api.post(fetch, {}))["status"] == "done"
        await asyncio.sleep(0.5)
        assert shown(watcher) == ["initiated", "in_progress", "processing", "completed", "call_completed"]
        record = watcher.messages[-1]["call_data"]
        assert [(line["role"], line["message"]) for line in record["transcript"]] == SAID
        assert record["analysis_data"]["transcript_summary"] == "The driver acknowledged every item."
        assert (record["call_sid"], record["conversation_id"]) == (placed["call_sid"], conversation_id)
        assert record["call_end_time"].endswith("Z")
    journal = await here.api.events(placed["call_sid"])
    assert [event["seq"] for event in journal] == list(range(1, len(journal) + 1))


async def meet_a_busy_line(here: Ground) -> None:
    """Nobody is reached: the vendor's failure webhook ends the call."""
    async with transcriptions(here.api, here.vendor.next_conversation_id) as watcher:
        conversation_id = (await here.api.post(PLACE, ORDER))["conversation_id"]
        assert await here.vendor.deliver_failure(conversation_id, here.webhook, SECRET, "busy") == 200
        assert await watcher.until(is_completed)
        assert shown(watcher) == ["initiated", "busy", "call_completed"]
        assert watcher.messages[-1]["call_data"]["failure_reason"] == "busy"


async def be_overtaken(here: Ground) -> None:
    """Both webhooks can come before the vendor has answered our order: one names our id, the other has to wait."""

    async def fails(conversation_id: str) -> None:
        assert await here.vendor.deliver_failure(conversation_id, here.webhook, SECRET, "no-answer") == 200
        await asyncio.sleep(0.5)

    async def is_done(conversation_id: str) -> None:
        here.vendor.finish(conversation_id, SAID)
        assert await here.vendor.deliver_transcription(conversation_id, here.webhook, SECRET) == 200
        await asyncio.sleep(0.5)

    for overtakes, end in ((fails, "no_answer"), (is_done, "completed")):
        async with transcriptions(here.api, here.vendor.next_conversation_id) as watcher:
            here.vendor.before_answer = overtakes
            placed = await here.api.post(PLACE, ORDER)
            here.vendor.before_answer = None
            assert await watcher.until(is_completed)
            assert shown(watcher) == ["initiated", end, "call_completed"]
            head = await here.api.get(f"/api/v1/calls/{placed['conversation_id']}")
            assert (head["status"], head["call_sid"]) == (end, placed["call_sid"])


async def listen_live(here: Ground) -> None:
    """An account with the monitor: the words are there before the webhook is, and the head says so."""
    here.vendor.monitored = True
    conversation_id = here.vendor.next_conversation_id
    answered = {"type": "agent_response", "agent_response_event": {"agent_response": "Hello Kim."}}
    heard = {"type": "user_transcript", "user_transcription_event": {"user_transcript": "Hi there."}}
    here.vendor.events[conversation_id] = [answered, heard]
    async with transcriptions(here.api, conversation_id) as watcher:
        await here.api.post(PLACE, ORDER)
        here.vendor.becomes(conversation_id, "in-progress")
        assert await watcher.until(lambda message: message.get("text") == "Hi there.")
        head = await here.api.get(f"/api/v1/calls/{conversation_id}")
        assert head["metadata"]["transcripts"] == "monitor"
        here.vendor.events[conversation_id].append(1000)
        here.vendor.finish(conversation_id, SAID)
        assert await here.vendor.deliver_transcription(conversation_id, here.webhook, SECRET) == 200
        assert await watcher.until(is_completed)
        said = ["transcription", "transcription"]
        assert shown(watcher) == ["initiated", "in_progress", *said, "completed", "call_completed"]
    here.vendor.monitored = False


async def find_a_lost_webhook(here: Ground) -> None:
    """The webhook never comes: fetching by hand completes the call just the same."""
    async with transcriptions(here.api, here.vendor.next_conversation_id) as watcher:
        conversation_id = (await here.api.post(PLACE, ORDER))["conversation_id"]
        here.vendor.finish(conversation_id, SAID[:2])
        fetched = await here.api.post(f"/driver_data/conversations/{conversation_id}/fetch", {})
        assert fetched == here.vendor.conversations[conversation_id]
        assert await watcher.until(is_completed)
        assert shown(watcher) == ["initiated", "completed", "call_completed"]
        assert len(watcher.messages[-1]["call_data"]["transcript"]) == 2


async def ask_who_is_calling(here: Ground) -> None:
    """The personalization function, with the demo shop's customers."""
    url = f"{here.system.functions_url}/elevenlabs_personalize"
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        body = {"caller_id": DEMO_PHONE, "agent_id": AGENT_ID, "called_number": "+14155550199", "call_sid": "CA1"}
        headers = {"X-Callboard-Secret": PERSONALIZE}
        answer = await client.post(url, json=body, headers=headers)
        assert answer.json()["dynamic_variables"]["caller_first_name"] == "John"
        assert (await client.post(url, json=body)).status_code == 401


def test_a_driver_is_called_by_a_hosted_agent(tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with ground(tmp_path) as here:
            await follow_a_call(here)
            await meet_a_busy_line(here)
            await be_overtaken(here)
            await listen_live(here)
            await find_a_lost_webhook(here)
            await ask_who_is_calling(here)

    asyncio.run(all_of_it())
