"""ElevenLabs' post-call webhooks: the payloads, and the signature, written here a second time on purpose (a simulator
that used the product's own code could not catch the product being wrong about it).

Header `ElevenLabs-Signature: t=<unix seconds>,v0=<hex HMAC-SHA256 of "{t}.{raw body}">`. Source: elevenlabs.io/docs,
"Post-call webhooks".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx2

HEADER = "ElevenLabs-Signature"
DEADLINE_S = 20.0


def sign(secret: str, body: bytes, *, at: float | None = None) -> str:
    """The header's value for this body."""
    stamp = str(int(time.time() if at is None else at))
    return f"t={stamp},v0=" + hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


async def deliver(url: str, secret: str, kind: str, data: Mapping[str, Any], *, at: float | None = None) -> int:
    """POST a webhook of this kind; the status of the answer. Raises httpx2.HTTPError."""
    payload = {"type": kind, "event_timestamp": int(time.time() if at is None else at), "data": dict(data)}
    body = json.dumps(payload).encode()
    headers = {HEADER: sign(secret, body, at=at), "Content-Type": "application/json"}
    async with httpx2.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client:
        return (await client.post(url, content=body, headers=headers)).status_code


def initiation_failure(conversation: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """`data` of `call_initiation_failure`: no dynamic variables in it, and Twilio's own fields as the body."""
    phone_call = conversation["metadata"]["phone_call"]
    status = {"busy": "busy", "no-answer": "no-answer"}.get(reason, "failed")
    body = {
        "CallSid": phone_call["call_sid"],
        "CallStatus": status,
        "To": phone_call["external_number"],
        "From": phone_call["agent_number"],
        "Direction": "outbound-api",
    }
    return {
        "agent_id": conversation["agent_id"],
        "conversation_id": conversation["conversation_id"],
        "failure_reason": reason,
        "metadata": {"type": "twilio", "body": body},
    }
