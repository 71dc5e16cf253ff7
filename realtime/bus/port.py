"""News on its way to the applier: topic `callboard-events`, subscription `callboard-apply`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

TOPIC = "callboard-events"
SUBSCRIPTION = "callboard-apply"
DEAD = "callboard-dead"
"""The topic where Pub/Sub puts what it could not deliver, and the subscription that it can be read from."""
MAX_DELIVERIES = 20
"""Deliveries of one message before it is set aside, on every bus. With the longest wait of half a minute between them,
an outage of five minutes loses nothing's turn."""

MAX_DATA_BYTES = 7_000_000
"""Of an encoded message, on every bus: Pub/Sub takes requests of 10 MB, and base64 makes four bytes of three."""


def dead_of(topic: str) -> str:
    """The dead-letter topic, and its subscription, of a system whose news goes over `topic`."""
    return DEAD if topic == TOPIC else f"{topic.removesuffix('events')}dead"


class PublishFailed(Exception):
    """The bus did not confirm the message in time. The sender must not acknowledge what it carries."""


class TooLarge(PublishFailed):
    """The message will never fit; sending it again does not help."""


@dataclass(frozen=True, slots=True)
class BusMessage:
    """One piece of news. `id` is the idempotency key of the news itself (not of its delivery); `keys` are those of
    {conversation_id, call_sid, call_id} that are known; `occurred_at` ISO 8601 UTC."""

    id: str
    source: str
    type: str
    keys: Mapping[str, str]
    occurred_at: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ordering_key(self) -> str:
        """Conversation id, else CallSid, else call id, else the message's own id."""
        return self.keys.get("conversation_id") or self.keys.get("call_sid") or self.keys.get("call_id") or self.id

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError on what is not a bus message."""
        return cls(data["id"], data["source"], data["type"], dict(data["keys"]), data["occurred_at"], data["data"])


class Bus(Protocol):
    """Publishing. Delivery is a push: an HTTP POST of the Pub/Sub envelope to the applier, at least once, in order
    per ordering key, again after any answer that is not 2xx."""

    async def publish(self, message: BusMessage) -> None:
        """Returns when the bus has it for good. Raises PublishFailed."""

    async def aclose(self) -> None:
        """Flush and let go; safe to call twice."""


class Publisher(Protocol):
    """Blocking publishing; `realtime.bus.outbox.Outbox` is the embedded one."""

    def publish(self, message: BusMessage) -> None:
        """Returns when the bus has it for good. Raises PublishFailed."""

    def close(self) -> None:
        """Safe to call twice."""
