"""A hosted call's conversation, fetched by hand: published as its webhook would be; only the applier maps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from media_gateway.auth.model import Principal
from media_gateway.http_errors import ApiError
from media_gateway.telephony.driver_call import find_text
from media_gateway.telephony.hosted_agents import HostedAgents, Refused, Unsettled
from media_gateway.telephony.hosted_settling import Settling, vendor_failed
from realtime import audit
from realtime.bus.port import BusMessage, PublishFailed
from realtime.clock import iso
from realtime.paths import is_id
from realtime.stores.port import DocumentStore

PATH = "/driver_data/conversations/{conversation_id}/fetch"
DONE = ("done", "failed")
_EMPTY = {
    "code": "empty_transcript",
    "message": "ElevenLabs is done with this call and gives no transcript.",
    "fix": "If somebody spoke: in the agent's privacy settings, zero_retention_mode and delete_transcript_and_pii must "
    "be off and retention_days must not be 0; in the workspace's webhook settings, exclude_transcript must be off.",
}
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fetching:
    """`configured` gives the agents, or raises ApiError that says what is not set."""

    settling: Settling
    configured: Callable[[], HostedAgents]
    store: DocumentStore

    async def fetch(self, request: Request, principal: Principal) -> Response:
        """The conversation from ElevenLabs, published as its webhook would be; only its status until it is done."""
        any_id = request.path_params["conversation_id"]
        call = await self.settling.journal.find(any_id)
        # A conversation that no call of ours names belongs to the whole installation.
        theirs = principal.role == "admin" if call is None else call.hosted and call.org == principal.org
        if not is_id(any_id) or not theirs:
            raise _no_such()
        agents = self.configured()
        if call is not None and call.conversation_id is None and not call.status.terminal:
            call = await self.settling.settle(call, agents)
        conversation_id = any_id if call is None else call.conversation_id
        if conversation_id is None:
            raise _no_such()
        conversation = await self._conversation(conversation_id, agents)
        own_id = call.call_id if call else _named(conversation)
        if call is None and own_id is not None:
            owner = await self.settling.journal.find(own_id)
            if owner is not None and owner.org != principal.org:
                raise _no_such()
        now = self.settling.clock()
        await audit.record(self.store, principal.org, principal.user, "call.fetch", own_id or conversation_id, now)
        await self._publish(conversation_id, own_id, conversation)
        status = conversation.get("status")
        if status not in DONE:
            return JSONResponse({"conversation_id": conversation_id, "status": status})
        warning = {} if conversation.get("transcript") else {"warning": _EMPTY}
        return JSONResponse({**conversation, **warning})

    async def _conversation(self, conversation_id: str, agents: HostedAgents) -> Mapping[str, Any]:
        try:
            conversation = await agents.conversation(conversation_id)
        except Refused as refusal:
            raise refusal.answer() from refusal
        except Unsettled as doubt:
            raise vendor_failed(str(doubt)).answer() from doubt
        if conversation is None:
            raise ApiError(
                404,
                "ElevenLabs knows no such conversation.",
                fix="Just after a call was placed, wait a moment; else ELEVENLABS_API_KEY is of another workspace.",
            )
        return conversation

    async def _publish(self, conversation_id: str, own_id: str | None, conversation: Mapping[str, Any]) -> None:
        """As the webhook would: the applier maps it, and knows what it has seen already."""
        call_sid = find_text(conversation, "metadata", "phone_call", "call_sid")
        keys = {"conversation_id": conversation_id, "call_sid": call_sid, "call_id": own_id}
        state = conversation.get("status")
        analysed = "analysed" if conversation.get("analysis") else "plain"
        message = BusMessage(
            id=f"elevenlabs:fetched:{conversation_id}:{state}:{analysed}",
            source="elevenlabs",
            type="post_call_transcription",
            keys={name: value for name, value in keys.items() if value is not None and is_id(value)},
            occurred_at=iso(self.settling.clock()),
            data=dict(conversation),
        )
        try:
            await self.settling.bus.publish(message)
        except PublishFailed as error:
            _log.exception("publish_failed", conversation_id=conversation_id)
            raise ApiError(503, "The conversation was fetched and could not be passed on.") from error
        _log.info("conversation_fetched", conversation_id=conversation_id, call_id=own_id, state=state)


def _named(conversation: Mapping[str, Any]) -> str | None:
    """Our own call id, as the vendor kept it."""
    given = find_text(conversation, "conversation_initiation_client_data", "dynamic_variables", "call_id")
    found = given or find_text(conversation, "user_id")
    return found if found is not None and is_id(found) else None


def _no_such() -> ApiError:
    return ApiError(404, "There is no such conversation.", fix="Use the conversation_id that placing the call gave.")
