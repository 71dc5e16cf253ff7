"""What tools need from outside the store, as ports. Wiring gives the adapters; what is not there is None, and the tools
that need it say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class EffectRefused(Exception):
    """The outside said no: nothing happened, and asking again changes nothing. `reason` is a word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EffectFailed(Exception):
    """Nothing happened, and the same may work later (no connection, too many requests)."""


class EffectUnknown(Exception):
    """It may have happened. It is looked up, never just repeated."""


class Messenger(Protocol):
    """Sends text messages. Both have a deadline of their own."""

    async def send(self, to: str, body: str) -> str:
        """The vendor's id of the message. Raises EffectRefused, EffectFailed, EffectUnknown."""

    async def find(self, to: str, body: str, since: datetime) -> str | None:
        """The id of such a message, if one was taken since then. Raises EffectFailed when it cannot be asked."""


class VinService(Protocol):
    """Knows what a VIN stands for."""

    async def decode(self, vin: str, model_year: int | None) -> Mapping[str, str] | None:
        """{make, model, year, trim?, body?, engine?, fuel?}, None for a vehicle it does not know. Has a deadline of its
        own; raises EffectFailed when it gives no answer."""


class Alerts(Protocol):
    """Tells the owner that a message was taken (`alerts.Alerter`)."""

    def notice(self, org: str, message_id: str) -> None:
        """The message is about to be kept: once it is, tell the owner. Never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One a process. `retention_days` is how long messages are kept."""

    messenger: Messenger | None = None
    vins: VinService | None = None
    alerts: Alerts | None = None
    retention_days: int = 30
