"""Hosted agents as the routes need them: a vendor that holds the conversation itself. Ports and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from media_gateway.http_errors import ApiError
from media_gateway.telephony.driver_call import Order


@dataclass(frozen=True, slots=True)
class Placed:
    """The vendor's ids of a call that was placed; it may leave either out."""

    conversation_id: str | None = None
    call_sid: str | None = None


class Refused(Exception):
    """The vendor did not do it, for sure. `status`, `code` and `fix` are those of our own answer, `detail` is the
    vendor's own word: it may hold a phone number and is not for the log."""

    def __init__(
        self, status: int, code: str, message: str, *, fix: str, detail: str = "", retry_after: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.fix = status, code, message, fix
        self.detail, self.retry_after = detail, retry_after

    def answer(self) -> ApiError:
        """For the client."""
        message = f"{self.message} ElevenLabs says: {self.detail}" if self.detail else self.message
        headers = {"Retry-After": self.retry_after} if self.retry_after else None
        return ApiError(self.status, message, code=self.code, fix=self.fix, headers=headers)


class Unsettled(Exception):
    """Nobody knows whether the vendor did it. `answered`: it did answer, with an error of its own (5xx), so that what
    it cannot find afterwards was not done."""

    def __init__(self, why: str, *, answered: bool = False) -> None:
        super().__init__(why)
        self.answered = answered


class HostedAgents(Protocol):
    """Every call has a deadline of its own and is made once."""

    async def place(self, order: Order, call_id: str) -> Placed:
        """Ring the driver. Raises Refused, Unsettled."""

    async def find(self, call_id: str, *, since: datetime) -> Placed | None:
        """The conversation that carries our call id, begun after `since`. Raises Refused, Unsettled."""

    async def conversation(self, conversation_id: str) -> Mapping[str, Any] | None:
        """The conversation as the vendor's webhook would send it, None if it knows none. Raises Refused, Unsettled."""
