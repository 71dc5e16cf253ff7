"""Dead letters that lie in a bus: `realtime.dead_letters.Place` over the embedded one and over Pub/Sub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from realtime.bus.outbox import DeadLetter, Outbox
from realtime.bus.port import DEAD
from realtime.clock import iso
from realtime.dead_letters import MOST, Letter, NoLetter, described

SECONDS = 10.0
PULL_SECONDS = 2.0
"""How long a pull waits for a message that may not be there."""
PULLS = 20
"""Requests that look through the dead-letter subscription; each brings what Pub/Sub likes to."""
T = TypeVar("T")


class Undelivered:
    """In the file of the embedded bus."""

    name = "bus"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def letters(self) -> list[Letter]:
        """See `Place`."""
        found = await self._do(lambda outbox: outbox.dead_letters(MOST))
        return [
            described(f"{self.name}-{one.n}", "undelivered", f"{one.why} ({one.attempts} times)", one.died_at, one.data)
            for one in found
        ]

    async def text(self, letter_id: str) -> str:
        """See `Place`."""
        return (await self._find(letter_id)).data.decode(errors="replace")

    async def forget(self, letter_id: str) -> None:
        """See `Place`."""
        n = self._number(letter_id)
        await self._do(lambda outbox: outbox.forget_dead(n))

    async def _find(self, letter_id: str) -> DeadLetter:
        n = self._number(letter_id)
        found = await self._do(lambda outbox: outbox.dead_letter(n))
        if found is None:
            raise NoLetter(f"there is no dead letter {letter_id}")
        return found

    async def _do(self, work: Callable[[Outbox], T]) -> T:
        def opened() -> T:
            outbox = Outbox(self._path)
            try:
                return work(outbox)
            finally:
                outbox.close()

        return await asyncio.to_thread(opened)

    @staticmethod
    def _number(letter_id: str) -> int:
        text = letter_id.partition("-")[2]
        if not text.isdecimal() or len(text) > 15:
            raise NoLetter(f"there is no dead letter {letter_id}")
        return int(text)


class DeadTopic:
    """In Pub/Sub's dead-letter subscription, which is pulled: what is looked at is given back at once."""

    name = "pubsub"

    def __init__(self, project: str, subscription: str = DEAD, *, emulator_host: str | None = None) -> None:
        self._subscription = f"projects/{project}/subscriptions/{subscription}"
        self._emulator_host = emulator_host
        self._client: Any = None

    async def letters(self) -> list[Letter]:
        """See `Place`."""
        found: dict[str, Letter] = {}

        def look(received: Any) -> bool:
            message = received.message
            count = message.attributes.get("CloudPubSubDeadLetterSourceDeliveryCount", "?")
            at = iso(message.publish_time)
            name = f"{self.name}-{message.message_id}"
            found[name] = described(name, "undelivered", f"not acknowledged ({count} times)", at, message.data)
            return False

        await asyncio.to_thread(self._pull, look)
        return list(found.values())

    async def text(self, letter_id: str) -> str:
        """See `Place`."""
        found: list[bytes] = []

        def look(received: Any) -> bool:
            if f"{self.name}-{received.message.message_id}" == letter_id:
                found.append(received.message.data)
            return False

        await asyncio.to_thread(self._pull, look, found)
        if not found:
            raise NoLetter(f"there is no dead letter {letter_id}; one that was just looked at comes back in a moment")
        return found[0].decode(errors="replace")

    async def forget(self, letter_id: str) -> None:
        """See `Place`."""
        gone: list[str] = []

        def look(received: Any) -> bool:
            if f"{self.name}-{received.message.message_id}" != letter_id:
                return False
            gone.append(letter_id)
            return True

        await asyncio.to_thread(self._pull, look, gone)

    def _pull(self, look: Callable[[Any], bool], enough: list[Any] | None = None) -> None:
        """Show every message to `look`; what it takes (True) is acknowledged, the rest given back when all were seen.
        Ends when nothing new comes, or `enough` is not empty."""
        client, held, seen = self._subscriber(), list[str](), set[str]()
        try:
            for _ in range(PULLS):
                received = self._received(client)
                new = [one for one in received if one.message.message_id not in seen]
                seen |= {one.message.message_id for one in new}
                for one in received:
                    if one in new and look(one):
                        ids = {"subscription": self._subscription, "ack_ids": [one.ack_id]}
                        client.acknowledge(request=ids, timeout=SECONDS)
                    else:
                        held.append(one.ack_id)
                if not new or enough:
                    break
        finally:
            if held:
                back = {"subscription": self._subscription, "ack_ids": held, "ack_deadline_seconds": 0}
                client.modify_ack_deadline(request=back, timeout=SECONDS)

    def _received(self, client: Any) -> list[Any]:
        """What a pull brings. An empty subscription lets it wait: then there is nothing more."""
        from google.api_core.exceptions import DeadlineExceeded

        asked = {"subscription": self._subscription, "max_messages": 100}
        try:
            return list(client.pull(request=asked, timeout=PULL_SECONDS, retry=None).received_messages)
        except DeadlineExceeded:
            return []

    def _subscriber(self) -> Any:
        if self._client is None:
            import grpc
            from google.pubsub_v1.services.subscriber import SubscriberClient
            from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

            if self._emulator_host:
                channel = grpc.insecure_channel(self._emulator_host)
                self._client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            else:
                self._client = SubscriberClient()
        return self._client

    async def aclose(self) -> None:
        """Let go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.transport.close)
