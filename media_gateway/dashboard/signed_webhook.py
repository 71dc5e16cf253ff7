"""A post-call webhook as ElevenLabs signs it, sent to our own function: does its address answer, is the secret the
same there, does the bus take it. It names a conversation that no call has, so it changes none and expires."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import datetime

import httpx2

DEADLINE_S = 12.0
"""A function that was asleep wakes in a few seconds."""
MOST_ANSWER = 4096
_FIXES = {
    401: "ELEVENLABS_WEBHOOK_SECRET must be the same for the gateway and the functions, and their clocks right.",
    403: "The function must let everybody call it (allUsers as run.invoker); its signature is the check.",
    404: "ELEVENLABS_WEBHOOK_URL must be the address of the function elevenlabs_webhook.",
    503: "The function could not publish: check its store and bus settings and its log.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """`status` is None when nothing answered."""

    ok: bool
    status: int | None
    message: str
    fix: str
    ms: int


def signed(secret: str, conversation: str, now: datetime) -> tuple[bytes, str]:
    """The body and its `ElevenLabs-Signature`."""
    at = int(now.timestamp())
    data = {"conversation_id": conversation, "status": "done", "test": True, "transcript": []}
    body = json.dumps({"type": "post_call_transcription", "event_timestamp": at, "data": data}).encode()
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return body, f"t={at},v0={digest}"


async def send(url: str, secret: str, conversation: str, now: datetime) -> Tested:
    """Once, to `url` and nowhere else (no redirect, no proxy). Never raises for what the other side does."""
    body, signature = signed(secret, conversation, now)
    headers = {"Content-Type": "application/json", "ElevenLabs-Signature": signature}
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=DEADLINE_S) as http,
            http.stream("POST", url, content=body, headers=headers) as answer,
        ):
            status, said = answer.status_code, await _some(answer)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        late = isinstance(error, TimeoutError | httpx2.TimeoutException)
        message = f"No answer within {DEADLINE_S:.0f} s." if late else "Nobody answers at that address."
        return Tested(ok=False, status=None, message=message, fix="Do the functions run there?", ms=_ms(began))
    if _received(said):
        message = "Accepted: the signature fits and the bus has it."
        return Tested(ok=True, status=status, message=message, fix="", ms=_ms(began))
    fix = _FIXES.get(status, "Look at the function's log.")
    message = f"Not accepted: {status}." if status >= 300 else "Something answers there, but not our function."
    if status < 300:
        fix = _FIXES[404]
    return Tested(ok=False, status=status, message=message, fix=fix, ms=_ms(began))


async def _some(answer: httpx2.Response) -> bytes:
    said = b""
    async for piece in answer.aiter_bytes():
        said += piece
        if len(said) >= MOST_ANSWER:
            break
    return said[:MOST_ANSWER] if answer.status_code == 200 else b""


def _received(said: bytes) -> bool:
    try:
        answer = json.loads(said)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("received") is True


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
