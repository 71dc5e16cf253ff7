"""Twilio and ElevenLabs, pointed at a system, and read back: what they show afterwards is what counts.

Both are spoken to over REST, each with a deadline; nothing is repeated blindly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from infra.gcloud.place import Place

TIMEOUT_S = 20.0
TWILIO = "https://api.twilio.com"
ELEVENLABS = "https://api.elevenlabs.io"


class VendorFailed(Exception):
    """A vendor did not take it, or shows something else than it took. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of a vendor's, as it is and as it should be."""

    name: str
    now: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.name}: {self.now or '(nothing)'} -> {self.wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twilio:
    """The number of the account."""

    account_sid: str
    auth_token: str = field(repr=False)
    number: str
    base: str = TWILIO

    def wanted(self, place: Place) -> dict[str, str]:
        """What the number is to be told."""
        voice = f"{place.base_url}/api/v1/voice"
        return {
            "voice_url": f"{voice}/incoming",
            "voice_method": "POST",
            "voice_fallback_url": place.url("fallback"),
            "voice_fallback_method": "POST",
            "status_callback": f"{voice}/status",
            "status_callback_method": "POST",
        }

    def find(self) -> dict[str, Any]:
        """The number's record. Raises VendorFailed."""
        answer = self._ask(
            "GET", f"{self._account()}/IncomingPhoneNumbers.json?PhoneNumber={self.number.replace('+', '%2B')}"
        )
        found: list[dict[str, Any]] = answer.get("incoming_phone_numbers", [])
        if not found:
            raise VendorFailed(
                f"Twilio: the account {self.account_sid} owns no number {self.number}. Buy it, or set "
                "TWILIO_PHONE_NUMBER to one that it owns (Twilio's console: Phone Numbers, Active numbers)."
            )
        return found[0]

    def differences(self, place: Place) -> tuple[str, list[Difference]]:
        """(the number's sid, what is otherwise)."""
        there = self.find()
        differs = [
            Difference(name, str(there.get(name) or ""), value)
            for name, value in self.wanted(place).items()
            if (there.get(name) or "") != value
        ]
        if there.get("trunk_sid") or there.get("voice_application_sid"):
            raise VendorFailed(
                f"Twilio: {self.number} belongs to a trunk or a TwiML application, which would be asked instead of us. "
                "Take it out of there first (Twilio's console: the number, Voice Configuration)."
            )
        return str(there["sid"]), differs

    def wire(self, place: Place) -> list[Difference]:
        """Point the number at the system; what was changed. Raises VendorFailed, also when it reads back otherwise."""
        sid, differs = self.differences(place)
        if differs:
            form = {_title(name): value for name, value in self.wanted(place).items()}
            self._ask("POST", f"{self._account()}/IncomingPhoneNumbers/{sid}.json", form)
            _, left = self.differences(place)
            if left:
                raise VendorFailed(f"Twilio took it and shows something else: {'; '.join(map(str, left))}")
        return differs

    def _account(self) -> str:
        return f"{self.base}/2010-04-01/Accounts/{self.account_sid}"

    def _ask(self, method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            with httpx2.Client(timeout=TIMEOUT_S, auth=(self.account_sid, self.auth_token)) as client:
                answer = client.request(method, url, data=dict(form) if form else None)
        except httpx2.HTTPError as error:
            raise VendorFailed(f"Twilio cannot be reached ({type(error).__name__}); try again.") from error
        if answer.status_code == 401:
            raise VendorFailed(
                "Twilio does not take TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN: are they of one account?"
            )
        return _json(answer, "Twilio")


def _title(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ElevenLabs:
    """The workspace."""

    api_key: str = field(repr=False)
    base: str = ELEVENLABS

    def webhooks(self) -> list[dict[str, Any]]:
        """Every webhook of the workspace. Raises VendorFailed."""
        found: list[dict[str, Any]] = self._ask("GET", "/v1/workspace/webhooks").get("webhooks", [])
        return found

    def find(self, url: str) -> dict[str, Any] | None:
        """The webhook with this address."""
        return next((one for one in self.webhooks() if one.get("webhook_url") == url), None)

    def create(self, name: str, url: str) -> tuple[str, str]:
        """(id, secret) of a new webhook: the secret is shown once, now."""
        wanted = {"settings": {"auth_type": "hmac", "name": name, "webhook_url": url}}
        answer = self._ask("POST", "/v1/workspace/webhooks", wanted)
        try:
            made, secret = str(answer["webhook_id"]), str(answer["webhook_secret"])
        except KeyError as error:
            raise VendorFailed(
                f"ElevenLabs made a webhook and did not show its {error}; delete it and try again."
            ) from error
        retries = {"is_disabled": False, "name": name, "retry_enabled": True}  # off unless asked for
        self._ask("PATCH", f"/v1/workspace/webhooks/{made}", retries)
        return made, secret

    def delete(self, webhook_id: str) -> None:
        """Take a webhook away."""
        self._ask("DELETE", f"/v1/workspace/webhooks/{webhook_id}")

    def in_use(self) -> str:
        """The id of the webhook that is called after conversations, "" for none."""
        answer = self._ask("GET", "/v1/convai/settings")
        return str((answer.get("webhooks") or {}).get("post_call_webhook_id") or "")

    def use(self, webhook_id: str) -> None:
        """Have conversations end there, and read it back. Raises VendorFailed."""
        wanted = {"webhooks": {"post_call_webhook_id": webhook_id, "events": ["transcript", "call_initiation_failure"]}}
        self._ask("PATCH", "/v1/convai/settings", wanted)
        if self.in_use() != webhook_id:
            raise VendorFailed("ElevenLabs took the post-call webhook and shows another one; set it in its console.")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            with httpx2.Client(timeout=TIMEOUT_S, headers={"xi-api-key": self.api_key}) as client:
                answer = client.request(method, self.base + path, json=body)
        except httpx2.HTTPError as error:
            raise VendorFailed(f"ElevenLabs cannot be reached ({type(error).__name__}); try again.") from error
        if answer.status_code == 401:
            raise VendorFailed(
                "ElevenLabs does not take ELEVENLABS_API_KEY, or the key may not do this (workspace webhooks)."
            )
        return _json(answer, "ElevenLabs")


def _json(answer: httpx2.Response, who: str) -> dict[str, Any]:
    if not answer.is_success:
        raise VendorFailed(f"{who} answered {answer.status_code}: {answer.text[:200]}")
    try:
        found = answer.json() if answer.content else {}
    except ValueError as error:
        raise VendorFailed(f"{who} answered something that is no JSON: {answer.text[:80]!r}") from error
    return found if isinstance(found, dict) else {}
