"""The simulated vendor, as the real SDK sees it."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import httpx
import pytest
from elevenlabs.client import AsyncElevenLabs, ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.errors.unprocessable_entity_error import UnprocessableEntityError

from infra.simulators.elevenlabs_api import (
    AGENT_ID,
    API_KEY,
    AUDIO,
    PHONE_NUMBER_ID,
    ElevenLabsApi,
    Fault,
)
from infra.simulators.elevenlabs_webhooks import HEADER, sign

pytestmark = pytest.mark.anyio
SECRET = "wsec_simulated"


@asynccontextmanager
async def vendor(key: str = API_KEY) -> AsyncIterator[tuple[ElevenLabsApi, AsyncElevenLabs]]:
    async with ElevenLabsApi().serving() as api, httpx.AsyncClient(timeout=30.0) as http:
        yield api, AsyncElevenLabs(api_key=key, base_url=api.url, httpx_client=http)


async def place(client: AsyncElevenLabs, *, max_retries: int = 0, agent_id: str = AGENT_ID, seconds: int = 30) -> Any:
    return await client.conversational_ai.twilio.outbound_call(
        agent_id=agent_id,
        agent_phone_number_id=PHONE_NUMBER_ID,
        to_number="+14155550123",
        conversation_initiation_client_data={"user_id": "EL_1", "dynamic_variables": {"call_id": "EL_1"}},
        request_options={"max_retries": max_retries, "timeout_in_seconds": seconds},
    )


async def test_a_call_is_placed_listed_read_and_heard() -> None:
    async with vendor() as (api, client):
        placed = await place(client)
        assert (placed.success, placed.conversation_id) == (True, "conv_simulated_0000")
        assert placed.call_sid.startswith("CA")
        conversations = client.conversational_ai.conversations
        assert (await conversations.get(placed.conversation_id)).status == "initiated"
        api.finish(placed.conversation_id, [("agent", "Hello."), ("user", "Hi.")])
        whole = await conversations.get(placed.conversation_id)
        assert (whole.status, [turn.message for turn in whole.transcript]) == ("done", ["Hello.", "Hi."])
        assert whole.analysis is not None
        assert whole.analysis.call_successful == "success"
        assert [one.conversation_id for one in (await conversations.list(user_id="EL_1")).conversations] == [
            placed.conversation_id
        ]
        assert (await conversations.list(user_id="EL_2")).conversations == []
        assert b"".join([part async for part in conversations.audio.get(placed.conversation_id)]) == AUDIO


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.UNAUTHORIZED, 401),
        (Fault.QUOTA, 401),
        (Fault.UNKNOWN_AGENT, 404),
        (Fault.BUSY, 429),
        (Fault.BROKEN, 500),
        (Fault.BROKEN_PLACED, 500),
    ],
)
async def test_it_refuses_as_the_vendor_does(fault: Fault, status: int) -> None:
    async with vendor() as (api, client):
        api.fault = fault
        with pytest.raises(ApiError) as caught:
            await place(client)
        assert caught.value.status_code == status
        assert len(api.conversations) == fault.endswith("_placed")


async def test_a_wrong_order_names_its_fields() -> None:
    async with vendor() as (api, client):
        api.fault = Fault.INVALID
        with pytest.raises(UnprocessableEntityError):
            await place(client)


async def test_a_wrong_key_and_a_wrong_agent_are_refused() -> None:
    async with vendor("another key") as (api, client):
        with pytest.raises(ApiError):
            await place(client)
        assert api.orders == []
    async with vendor() as (api, client):
        with pytest.raises(ApiError):
            await place(client, agent_id="agent_of_somebody_else")
        assert api.conversations == {}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.HANG, httpx.ReadTimeout),
        (Fault.HANG_PLACED, httpx.ReadTimeout),
        (Fault.CUT, httpx.RemoteProtocolError),
        (Fault.CUT_PLACED, httpx.RemoteProtocolError),
    ],
)
async def test_it_falls_silent_and_breaks_off(fault: Fault, error: type[Exception]) -> None:
    async with vendor() as (api, client):
        api.fault = fault
        with pytest.raises(error):
            await place(client, seconds=1)
        assert len(api.conversations) == fault.endswith("_placed")


async def test_the_sdk_left_to_itself_rings_three_times() -> None:
    """Why the adapter says `max_retries: 0`."""
    async with vendor() as (api, client):
        api.fault = Fault.BROKEN_PLACED
        with pytest.raises(ApiError):
            await place(client, max_retries=2)
        assert len(api.conversations) == 3


class _Receiver(BaseHTTPRequestHandler):
    got: ClassVar[list[tuple[bytes, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((body, self.headers[HEADER]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


async def test_its_webhooks_are_those_that_the_sdk_verifies() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        async with vendor() as (api, client):
            conversation_id = (await place(client)).conversation_id
            url = f"http://127.0.0.1:{server.server_port}/"
            api.finish(conversation_id, [("agent", "Grüß dich 👋")])
            assert await api.deliver_transcription(conversation_id, url, SECRET) == 200
            assert await api.deliver_failure(conversation_id, url, SECRET, "no-answer") == 200
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    webhooks = ElevenLabs(api_key="").webhooks
    done, failed = [webhooks.construct_event(body.decode(), header, SECRET) for body, header in _Receiver.got]
    assert (done["type"], done["data"]["conversation_id"]) == ("post_call_transcription", conversation_id)
    assert done["data"]["conversation_initiation_client_data"]["dynamic_variables"] == {"call_id": "EL_1"}
    assert (failed["type"], failed["data"]["failure_reason"]) == ("call_initiation_failure", "no-answer")
    assert failed["data"]["metadata"]["body"]["CallStatus"] == "no-answer"
    assert "conversation_initiation_client_data" not in failed["data"]


def test_a_signature_covers_the_very_bytes() -> None:
    body = json.dumps({"a": 1}).encode()
    assert sign(SECRET, body, at=1.9) == sign(SECRET, body, at=1)
    assert sign(SECRET, body, at=1) != sign(SECRET, body + b" ", at=1)
