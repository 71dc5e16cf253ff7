"""ElevenLabs' agents over its SDK. Imported only where the key is set: the SDK takes half a second to import.

Nothing is ever tried twice here. The SDK by itself repeats a POST that was answered 5xx, which may ring a phone three
times; connections that break after the request was sent leave the outcome open (`Unsettled`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError as VendorError
from elevenlabs.core.parse_error import ParsingError
from elevenlabs.core.request_options import RequestOptions

from media_gateway.telephony.driver_call import Order, find_text, names
from media_gateway.telephony.hosted_agents import Placed, Refused, Unsettled
from realtime.paths import is_id

PLACE_S = 20.0
READ_S = 10.0
CANDIDATES = 10
"""Conversations of one call id that are looked at; there is one."""
_KEY_FIX = "Set ELEVENLABS_API_KEY to a key of this workspace that may use Agents."
_IDS_FIX = "Check ELEVENLABS_AGENT_ID and ELEVENLABS_PHONE_NUMBER_ID (the id of an imported number, not the number)."


class ElevenLabsAgents:
    """Satisfies `HostedAgents`. One per process and event loop."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str,
        agent_id: str,
        phone_number_id: str,
        place_s: float = PLACE_S,
        read_s: float = READ_S,
    ) -> None:
        # A redirected POST would be sent again, and that is for nobody but us to decide.
        self._http = httpx.AsyncClient(timeout=place_s, follow_redirects=False)
        self._client = AsyncElevenLabs(api_key=api_key, base_url=base_url, httpx_client=self._http)
        self._agent_id, self._phone_number_id = agent_id, phone_number_id
        self._place_s, self._read_s = place_s, read_s

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def place(self, order: Order, call_id: str) -> Placed:
        """See `HostedAgents`. Our id goes along twice: it comes back with the webhook, and finds the call."""
        async with _answering(self._place_s):
            answer = await self._client.conversational_ai.twilio.outbound_call(
                agent_id=self._agent_id,
                agent_phone_number_id=self._phone_number_id,
                to_number=order.phone,
                conversation_initiation_client_data={  # the SDK takes a mapping as it is
                    "user_id": call_id,
                    "dynamic_variables": order.dynamic_variables(call_id),
                },
                request_options=_once(self._place_s),
            )
        said = answer.model_dump()
        if said.get("success") is False:
            raise Refused(
                503,
                "elevenlabs_not_placed",
                "ElevenLabs could not place the call.",
                fix="See what it says; check the number and the Twilio account behind the phone number.",
                detail=_brief(said.get("message")),
            )
        return Placed(_id(said.get("conversation_id")), _id(said.get("call_sid")))

    async def find(self, call_id: str, *, since: datetime) -> Placed | None:
        """See `HostedAgents`. What the list names is read and checked: somebody else's conversation is never ours."""
        async with _answering(self._read_s):
            page = await self._client.conversational_ai.conversations.list(
                user_id=call_id,
                agent_id=self._agent_id,
                call_start_after_unix=int(since.timestamp()),
                page_size=CANDIDATES,
                request_options=_once(self._read_s),
            )
        for summary in (page.conversations or [])[:CANDIDATES]:
            conversation_id = _id(summary.conversation_id)
            found = await self.conversation(conversation_id) if conversation_id else None
            if found is not None and names(found, call_id):
                return Placed(conversation_id, _id(find_text(found, "metadata", "phone_call", "call_sid")))
        return None

    async def conversation(self, conversation_id: str) -> Mapping[str, Any] | None:
        """See `HostedAgents`."""
        try:
            async with _answering(self._read_s):
                found = await self._client.conversational_ai.conversations.get(
                    conversation_id, request_options=_once(self._read_s)
                )
        except Refused as refusal:
            if refusal.code == "elevenlabs_unknown":
                return None
            raise
        plain: Mapping[str, Any] = found.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
        return plain


def _once(seconds: float) -> RequestOptions:
    return {"max_retries": 0, "timeout_in_seconds": max(1, round(seconds))}


@asynccontextmanager
async def _answering(seconds: float) -> AsyncIterator[None]:
    """Whatever goes wrong inside, as Refused or Unsettled."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise Refused(
            503,
            "elevenlabs_unreachable",
            "ElevenLabs could not be reached.",
            fix="Check ELEVENLABS_BASE_URL and the way out to it, then place the call again.",
        ) from error
    except (TimeoutError, httpx.HTTPError, ParsingError) as error:
        raise Unsettled(f"{type(error).__name__} while ElevenLabs was asked") from error
    except VendorError as error:
        raise _refusal(error) from error


def _refusal(error: VendorError) -> Refused | Unsettled:
    """What an error answer means for whoever asked us."""
    status, (kind, detail) = error.status_code or 0, _said(error.body)
    if 200 <= status < 300:
        return Unsettled("ElevenLabs agreed, in words that cannot be read")
    if status >= 500:
        return Unsettled(f"ElevenLabs answered {status}", answered=True)
    if kind == "quota_exceeded" or status == 402:
        return Refused(
            503,
            "elevenlabs_quota",
            "The ElevenLabs account has no credits left.",
            fix="Add credits, or raise the limit of the key.",
            detail=detail,
        )
    if status in (401, 403):
        return Refused(503, "elevenlabs_key", "ElevenLabs does not take our API key.", fix=_KEY_FIX, detail=detail)
    if status == 404:
        return Refused(
            503, "elevenlabs_unknown", "ElevenLabs does not know what we named.", fix=_IDS_FIX, detail=detail
        )
    if status == 429:
        after = {name.lower(): value for name, value in (error.headers or {}).items()}.get("retry-after", "")
        return Refused(
            429,
            "elevenlabs_busy",
            "ElevenLabs takes no more calls right now.",
            fix="Wait and place the call again; the plan's concurrency limit says how many calls go at once.",
            detail=detail,
            retry_after=after if after.isdecimal() else "30",
        )
    return Refused(
        422,
        "elevenlabs_invalid",
        f"ElevenLabs refused what we asked ({status}).",
        fix=_IDS_FIX,
        detail=detail,
    )


def _said(body: object) -> tuple[str, str]:
    """(kind, text) of `{"detail": {"status", "message"}}`, of `{"detail": [{"loc", "msg"}]}` or of what else it is."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, dict):
        return str(detail.get("status") or ""), _brief(detail.get("message"))
    if isinstance(detail, list):
        wrong = [one for one in detail if isinstance(one, dict)]
        return "", _brief("; ".join(f"{'.'.join(map(str, one.get('loc') or ()))}: {one.get('msg')}" for one in wrong))
    return "", _brief(detail)


def _brief(text: object) -> str:
    return " ".join(text.split())[:300] if isinstance(text, str) else ""


def _id(text: object) -> str | None:
    return text if isinstance(text, str) and is_id(text) else None
