"""ElevenLabs' conversations over REST, as far as reconciliation reads them. urllib3 instead of the SDK: cold start.

Reading only, so a second attempt is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from realtime.paths import is_id

ATTEMPT_SECONDS = 10.0
CANDIDATES = 10
MAX_ANSWER = 32 * 1024 * 1024


class VendorAway(Exception):
    """No answer that says anything about the call. The text says what there was instead."""


class Conversations:
    """One per run. Blocking; safe to use from several threads."""

    def __init__(self, *, key: str, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=ATTEMPT_SECONDS),
            headers={"xi-api-key": key, "Accept": "application/json"},
            retries=urllib3.Retry(total=1, backoff_factor=0.2, backoff_jitter=0.2, redirect=False),
        )

    def get(self, conversation_id: str) -> Mapping[str, Any] | None:
        """The conversation; None if the vendor knows none. Raises VendorAway."""
        return self._read(f"/v1/convai/conversations/{quote(conversation_id, safe='')}")

    def named(self, call_id: str, *, since: int) -> str | None:
        """The id of the conversation that carries our call id as its user, begun after `since` (unix seconds). Raises
        VendorAway."""
        asked = urlencode({"user_id": call_id, "call_start_after_unix": since, "page_size": CANDIDATES})
        listed = (self._read(f"/v1/convai/conversations?{asked}") or {}).get("conversations")
        for one in listed if isinstance(listed, list) else []:
            found = one.get("conversation_id") if isinstance(one, dict) else None
            if isinstance(found, str) and is_id(found) and self._carries(found, call_id):
                return found
        return None

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _carries(self, conversation_id: str, call_id: str) -> bool:
        """True if the conversation itself says so: what a list filters by is the vendor's affair."""
        conversation = self.get(conversation_id) or {}
        client = conversation.get("conversation_initiation_client_data")
        variables = client.get("dynamic_variables") if isinstance(client, dict) else None
        given = variables.get("call_id") if isinstance(variables, dict) else None
        return call_id in (given, conversation.get("user_id"))

    def _read(self, path: str) -> Mapping[str, Any] | None:
        try:
            answer = self._pool.request("GET", self._url + path)
        except urllib3.exceptions.HTTPError as error:
            raise VendorAway(f"ElevenLabs could not be reached: {type(error).__name__}") from error
        if answer.status == 404:
            return None
        if answer.status != 200 or len(answer.data) > MAX_ANSWER:
            raise VendorAway(f"ElevenLabs answered {answer.status}")
        try:
            found = answer.json()
        except (ValueError, RecursionError) as error:
            raise VendorAway("ElevenLabs answered with what is no JSON") from error
        if not isinstance(found, dict):
            raise VendorAway("ElevenLabs answered with what is no object")
        return found
