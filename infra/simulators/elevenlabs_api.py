"""ElevenLabs' REST on the loopback interface, as far as Callboard uses it: placing a call through an agent, reading
conversations and their sound, and the webhooks afterwards. It can refuse, fall silent and break off in each way that
the real one can. The phone that rings is imagined: a test says what became of the call (`talked`, `finish`).

    POST /v1/convai/twilio/outbound-call
    GET  /v1/convai/conversations?user_id=&agent_id=&call_start_after_unix=&page_size=
    GET  /v1/convai/conversations/{id}
    GET  /v1/convai/conversations/{id}/audio
    WS   /v1/convai/conversations/{id}/monitor       only where the account offers it (`monitored`)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from infra.simulators import elevenlabs_webhooks
from infra.simulators.config import new_sid

API_KEY = "sk_simulated"
AGENT_ID = "agent_simulated"
PHONE_NUMBER_ID = "phnum_simulated"
AGENT_NUMBER = "+15550009999"
AUDIO = b"\xff\xfb\x90\x00" + bytes(413)
"""One empty MP3 frame."""


class Fault(StrEnum):
    """What happens to the next attempts to place a call. Those that end in `_placed` ring the phone all the same."""

    UNAUTHORIZED = "unauthorized"
    QUOTA = "quota"
    INVALID = "invalid"
    UNKNOWN_AGENT = "unknown_agent"
    BUSY = "busy"
    BROKEN = "broken"
    BROKEN_PLACED = "broken_placed"
    HANG = "hang"
    HANG_PLACED = "hang_placed"
    CUT = "cut"
    CUT_PLACED = "cut_placed"
    NOT_SUCCESS = "not_success"
    NO_IDS_PLACED = "no_ids_placed"
    NO_CONVERSATION_ID_PLACED = "no_conversation_id_placed"
    NO_CALL_SID_PLACED = "no_call_sid_placed"
    NONSENSE_PLACED = "nonsense_placed"


_REFUSALS: Mapping[Fault, tuple[int, object]] = {
    Fault.UNAUTHORIZED: (401, {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}),
    Fault.QUOTA: (401, {"detail": {"status": "quota_exceeded", "message": "This request exceeds your quota."}}),
    Fault.INVALID: (
        422,
        {"detail": [{"type": "missing", "loc": ["body", "agent_phone_number_id"], "msg": "Field required"}]},
    ),
    Fault.UNKNOWN_AGENT: (404, {"detail": {"status": "agent_not_found", "message": "Agent was not found"}}),
    Fault.BUSY: (429, {"detail": {"status": "too_many_concurrent_requests", "message": "Too many calls"}}),
    Fault.BROKEN: (500, {"detail": {"status": "internal_error", "message": "Something went wrong"}}),
}


class ElevenLabsApi:
    """What the vendor knows: conversations by id, and every order it got. `fault` holds until it is set to None."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.orders: list[dict[str, Any]] = []
        self.conversations: dict[str, dict[str, Any]] = {}
        self.forgetful = False
        """Conversations are not listed, as in the moments after a call was placed."""
        self.before_answer: Callable[[str], Awaitable[object]] | None = None
        """Done with the conversation id of a call that was placed, before whoever ordered it is told."""
        self.monitored = False
        """The account's plan has the live monitor."""
        self.events: dict[str, list[Mapping[str, Any] | int]] = {}
        """What the monitor of a conversation tells, from its beginning; a number closes it with this code."""
        self.url = ""
        self._next = 0
        self._closing = asyncio.Event()

    def app(self) -> Starlette:
        """The service."""
        return Starlette(
            routes=[
                Route("/v1/convai/twilio/outbound-call", self._outbound_call, methods=["POST"]),
                Route("/v1/convai/conversations", self._list, methods=["GET"]),
                Route("/v1/convai/conversations/{conversation_id}", self._get, methods=["GET"]),
                Route("/v1/convai/conversations/{conversation_id}/audio", self._audio, methods=["GET"]),
                WebSocketRoute("/v1/convai/conversations/{conversation_id}/monitor", self._monitor),
            ]
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ElevenLabsApi]:
        """On a free port of the loopback interface; `url` says which."""
        config = uvicorn.Config(
            self.app(), host="127.0.0.1", port=0, log_level="critical", lifespan="off", ws="websockets-sansio"
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve())  # without its signal handlers
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._closing.set()
            server.should_exit = True
            await asyncio.wait_for(task, 10)

    # -- what becomes of a call ----------------------------------------------------------------------------------

    @property
    def next_conversation_id(self) -> str:
        """The id that the next call will get."""
        return f"conv_simulated_{self._next:04d}"

    def becomes(self, conversation_id: str, status: str) -> None:
        """The call goes on: `in-progress`, `processing`."""
        self.conversations[conversation_id]["status"] = status

    def finish(
        self,
        conversation_id: str,
        said: Sequence[tuple[str, str]],
        *,
        call_result: str = "answered",
        analysis: Mapping[str, Any] | None = None,
    ) -> None:
        """The vendor is done: `said` are (role, text), role `agent` or `user`."""
        conversation = self.conversations[conversation_id]
        conversation["status"] = "done"
        conversation["transcript"] = [_line(role, text, 4 * n) for n, (role, text) in enumerate(said)]
        conversation["has_audio"] = True
        conversation["metadata"] |= {"call_duration_secs": 4 * len(said), "cost": 120, "termination_reason": "ended"}
        conversation["metadata"]["phone_call"]["call_result"] = call_result
        conversation["analysis"] = dict(analysis or _analysis())

    async def deliver_transcription(self, conversation_id: str, url: str, secret: str) -> int:
        """The webhook after a call; the status of the answer."""
        data = self.conversations[conversation_id]
        return await elevenlabs_webhooks.deliver(url, secret, "post_call_transcription", data)

    async def deliver_failure(self, conversation_id: str, url: str, secret: str, reason: str = "busy") -> int:
        """The webhook when nobody could be reached; the status of the answer."""
        data = elevenlabs_webhooks.initiation_failure(self.conversations[conversation_id], reason)
        return await elevenlabs_webhooks.deliver(url, secret, "call_initiation_failure", data)

    # -- the routes ----------------------------------------------------------------------------------------------

    async def _outbound_call(self, request: Request) -> Response | _Cut:
        if request.headers.get("xi-api-key") != API_KEY:
            return _refusal(Fault.UNAUTHORIZED)
        order = await request.json()
        self.orders.append(order)
        fault = self.fault
        if fault is not None and fault in _REFUSALS:
            return _refusal(fault)
        if order.get("agent_id") != AGENT_ID or order.get("agent_phone_number_id") != PHONE_NUMBER_ID:
            return _refusal(Fault.UNKNOWN_AGENT)
        if fault is Fault.NOT_SUCCESS:
            message = "Twilio: the number is not allowed to be called"
            return JSONResponse({"success": False, "message": message, "conversation_id": None, "callSid": None})
        if fault is None or fault.endswith("_placed"):
            conversation = self._begin(order)
            if self.before_answer is not None:
                await self.before_answer(conversation["conversation_id"])
        match fault:
            case Fault.HANG | Fault.HANG_PLACED:
                await self._closing.wait()
                return Response(status_code=503)
            case Fault.CUT | Fault.CUT_PLACED:
                return _Cut()
            case Fault.BROKEN_PLACED:
                return _refusal(Fault.BROKEN)
            case Fault.NONSENSE_PLACED:
                return Response("<html>Bad gateway?</html>", media_type="text/html")
        answer = {
            "success": True,
            "message": "Success",
            "conversation_id": conversation["conversation_id"],
            "callSid": conversation["metadata"]["phone_call"]["call_sid"],
        }
        if fault in (Fault.NO_IDS_PLACED, Fault.NO_CONVERSATION_ID_PLACED):
            answer["conversation_id"] = None
        if fault in (Fault.NO_IDS_PLACED, Fault.NO_CALL_SID_PLACED):
            answer["callSid"] = None
        return JSONResponse(answer)

    def _begin(self, order: Mapping[str, Any]) -> dict[str, Any]:
        conversation_id = self.next_conversation_id
        self._next += 1
        client_data = order.get("conversation_initiation_client_data") or {}
        conversation = {
            "agent_id": order["agent_id"],
            "agent_name": "Dispatcher",
            "conversation_id": conversation_id,
            "status": "initiated",
            "user_id": client_data.get("user_id"),
            "has_audio": False,
            "has_user_audio": False,
            "has_response_audio": False,
            "has_auxiliary_audio": False,
            "transcript": [],
            "metadata": {
                "start_time_unix_secs": int(time.time()),
                "call_duration_secs": 0,
                "phone_call": {
                    "type": "twilio",
                    "direction": "outbound",
                    "phone_number_id": order["agent_phone_number_id"],
                    "agent_number": AGENT_NUMBER,
                    "external_number": order["to_number"],
                    "call_sid": new_sid("CA"),
                },
            },
            "analysis": None,
            "conversation_initiation_client_data": {
                "user_id": client_data.get("user_id"),
                "dynamic_variables": dict(client_data.get("dynamic_variables") or {}),
            },
        }
        self.conversations[conversation_id] = conversation
        return conversation

    async def _list(self, request: Request) -> Response:
        wanted = request.query_params
        found = [
            conversation
            for conversation in reversed(self.conversations.values())
            if not self.forgetful
            and wanted.get("user_id") in (None, conversation["user_id"])
            and wanted.get("agent_id") in (None, conversation["agent_id"])
            and conversation["metadata"]["start_time_unix_secs"] >= int(wanted.get("call_start_after_unix", 0))
        ]
        page = [_summary(conversation) for conversation in found[: int(wanted.get("page_size", 30))]]
        return JSONResponse({"conversations": page, "next_cursor": None, "has_more": len(found) > len(page)})

    async def _get(self, request: Request) -> Response:
        conversation = self.conversations.get(request.path_params["conversation_id"])
        return _not_found() if conversation is None else JSONResponse(conversation)

    async def _monitor(self, socket: WebSocket) -> None:
        """Every event from the beginning, then those to come. Refused by plan and key; unknown until it is active."""
        conversation_id = socket.path_params["conversation_id"]
        conversation = self.conversations.get(conversation_id)
        if not self.monitored or socket.headers.get("xi-api-key") != API_KEY:
            await socket.send_denial_response(JSONResponse({"detail": {"status": "not_on_this_plan"}}, 403))
            return
        if conversation is None or conversation["status"] != "in-progress":
            await socket.send_denial_response(_not_found())
            return
        await socket.accept()
        told = self.events.setdefault(conversation_id, [])
        n = 0
        while not self._closing.is_set():
            for event in told[n:]:
                n += 1
                if isinstance(event, int):
                    await socket.close(event)
                    return
                try:
                    await socket.send_json(event)
                except WebSocketDisconnect:
                    return
            await asyncio.sleep(0.02)

    async def _audio(self, request: Request) -> Response:
        conversation = self.conversations.get(request.path_params["conversation_id"])
        if conversation is None or not conversation["has_audio"]:
            return _not_found()
        return Response(AUDIO, media_type="audio/mpeg")


class _Cut:
    """An answer that breaks off: the connection is gone before it is whole."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"succ', "more_body": True})


def _refusal(fault: Fault) -> Response:
    status, body = _REFUSALS[fault]
    return JSONResponse(body, status, headers={"Retry-After": "7"} if status == 429 else None)


def _not_found() -> Response:
    detail = {"status": "conversation_not_found", "message": "Conversation with the given id was not found."}
    return JSONResponse({"detail": detail}, 404)


def _line(role: str, text: str, seconds: int) -> dict[str, Any]:
    return {
        "role": role,
        "message": text,
        "time_in_call_secs": seconds,
        "tool_calls": [],
        "tool_results": [],
        "interrupted": False,
    }


def _analysis() -> dict[str, Any]:
    return {
        "call_successful": "success",
        "transcript_summary": "The driver acknowledged every item.",
        "evaluation_criteria_results": {},
        "data_collection_results": {},
    }


def _summary(conversation: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("agent_id", "agent_name", "conversation_id", "status")
    return {
        **{name: conversation[name] for name in kept},
        "start_time_unix_secs": conversation["metadata"]["start_time_unix_secs"],
        "call_duration_secs": conversation["metadata"]["call_duration_secs"],
        "message_count": len(conversation["transcript"]),
        "call_successful": (conversation["analysis"] or {}).get("call_successful", "unknown"),
        "direction": "outbound",
    }
