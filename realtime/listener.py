"""The feed of heads from Firestore: one native asyncio `Listen` stream on `calls` where `active == true`.

It stands on the generated `FirestoreAsyncClient.listen` (grpc.aio). The SDK's own `on_snapshot` has no place here: it
needs threads, sorts the whole result set for each change, spins during an outage and dies silently in several ways.

A head is passed on as it comes: it is a state, and its `seq` says how far the log goes, so that whatever a broken
stream repeats is harmless. Every stream gets a client of its own with its own subchannel pool; a new client would
otherwise be given the same dead TCP connection.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import google.auth
import grpc.aio
from google.api_core import exceptions
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    ListenRequest,
    ListenResponse,
    StructuredQuery,
    Target,
    TargetChange,
)

from realtime.backoff import Random, delay
from realtime.stores.firestore_codec import decode_fields
from realtime.stores.port import FeedState

log = logging.getLogger(__name__)

OnHead = Callable[[Mapping[str, Any]], None]
OnState = Callable[[FeedState], None]
Dial = Callable[[], Awaitable[grpc.aio.Channel]]

HOST = "firestore.googleapis.com"
DATABASE = "(default)"
TARGET = 1
STEADY_SECONDS = 30.0
"""A stream that was live this long counts as healthy: the next failure starts the backoff afresh."""
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", -1),
]
_Type = TargetChange.TargetChangeType


class StreamLost(Exception):
    """The server has ended our target, or its view differs from ours: open a new stream."""


@dataclass(slots=True)
class Watched:
    """What we know of the one target of a stream. Pure: responses in, documents out.

    `token` says where to resume; `names` are the documents in the result set, to compare with the server's count.
    """

    token: bytes = b""
    names: set[str] = field(default_factory=set)
    current: bool = False

    def take(self, response: Any) -> Any | None:
        """The document of a `ListenResponse` (protocol buffer), if it brings one of our target. Raises StreamLost."""
        kind = response.WhichOneof("response_type")
        if kind == "document_change":
            change = response.document_change
            if TARGET in change.target_ids:
                self.names.add(change.document.name)
                return change.document
            self.names.discard(change.document.name)
        elif kind in ("document_delete", "document_remove"):
            self.names.discard(getattr(response, kind).document)
        elif kind == "filter" and response.filter.count != len(self.names):
            self._forget()
            raise StreamLost("the result set differs from the server's")
        elif kind == "target_change":
            self._target_changed(response.target_change)
        return None

    def _target_changed(self, change: Any) -> None:
        if change.target_change_type == _Type.REMOVE:
            self._forget()
            raise StreamLost(f"the target was removed: code {change.cause.code}")
        if change.target_change_type == _Type.RESET:
            self._forget()
        elif change.target_change_type == _Type.CURRENT:
            self.current = True
        if change.resume_token and change.target_change_type in (_Type.NO_CHANGE, _Type.CURRENT):
            self.token = change.resume_token

    def _forget(self) -> None:
        """Everything will be sent again."""
        self.token = b""
        self.names.clear()
        self.current = False


class FirestoreHeadFeed:
    """`HeadFeed` of a Firestore database."""

    def __init__(
        self,
        project: str,
        *,
        emulator_host: str | None = None,
        idle_seconds: float | None = 75.0,
        connect_seconds: float = 10.0,
        proof: tuple[float, float] = (12.0, 8.0),
        backoff: tuple[float, float] = (0.2, 10.0),
        rand: Random = random.random,
        dial: Dial | None = None,
        database: str = DATABASE,
    ) -> None:
        """`idle_seconds` without any message (production sends one about every 30 s) means a dead stream; None = wait
        for ever, which is what the emulator needs, as it sends none. `connect_seconds` bounds each step until the
        stream is live. `proof`: after how many seconds of silence the server is asked for a sign on the same
        connection, and how long it has for that."""
        self._database = f"projects/{project}/databases/{database}"
        self._metadata = [("google-cloud-resource-prefix", self._database)]
        if emulator_host:
            self._metadata.append(("authorization", "Bearer owner"))
        self._emulator_host = emulator_host
        self._idle_seconds = None if emulator_host else idle_seconds
        self._connect_seconds = connect_seconds
        self._proof_every, self._proof_deadline = proof
        self._base, self._cap = backoff
        self._rand = rand
        self._dial = dial or self._dial_google
        self.poisoned = 0
        """Documents that could not be read and were stepped over."""
        self.opens = 0
        """Streams opened so far."""
        self.heard_at: float | None = None
        """When (loop time) the server last said anything; None before it has."""

    async def run(self, on_head: OnHead, on_state: OnState) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        target = Watched()
        attempt = 0
        on_state(FeedState.CONNECTING)
        while True:
            target.current = False
            began = loop.time()
            try:
                await self._listen(target, on_head, on_state)
            except Exception as error:  # whatever ends a stream: the library, gRPC, the credentials, the server
                why = type(error).__name__
                log.warning("feed_lost", extra={"why": why, "code": _code(error), "opens": self.opens})
            attempt = 1 if target.current and loop.time() - began > STEADY_SECONDS else attempt + 1
            on_state(FeedState.DEGRADED)
            await asyncio.sleep(delay(attempt, base=self._base, cap=self._cap, rand=self._rand))

    async def _listen(self, target: Watched, on_head: OnHead, on_state: OnState) -> None:
        """One stream, until it breaks."""
        self.opens += 1
        over = asyncio.Event()
        async with asyncio.timeout(self._connect_seconds):
            channel = await self._dial()
        try:
            client = FirestoreAsyncClient(transport=FirestoreGrpcAsyncIOTransport(channel=channel))
            async with asyncio.timeout(self._connect_seconds):
                # retry=None, timeout=None: the generated defaults would hide a failure for a minute.
                stream = await client.listen(
                    requests=self._requests(target, over), metadata=self._metadata, retry=None, timeout=None
                )
            async with asyncio.timeout(None) as silence:
                proving = asyncio.create_task(self._prove(client, silence))
                try:
                    await self._read(aiter(stream), target, on_head, on_state)
                finally:
                    proving.cancel()
                    await asyncio.gather(proving, return_exceptions=True)
        except StopAsyncIteration:
            raise StreamLost("the server closed the stream") from None
        finally:
            over.set()
            await channel.close()

    async def _read(
        self, responses: AsyncIterator[ListenResponse], target: Watched, on_head: OnHead, on_state: OnState
    ) -> None:
        """What the stream says, until it breaks; its end is StopAsyncIteration."""
        while True:
            async with asyncio.timeout(self._idle_seconds if target.current else self._connect_seconds):
                response = ListenResponse.pb(await anext(responses))
            self.heard_at = asyncio.get_running_loop().time()
            was_current = target.current
            document = target.take(response)
            if document is not None:
                self._tell(document, on_head)
            if target.current and not was_current:
                on_state(FeedState.LIVE)

    async def _prove(self, client: FirestoreAsyncClient, silence: asyncio.Timeout) -> None:
        """A connection that is half open is as silent as a stream with no news; a small request tells them apart, and
        if it stays without any answer the stream is over. gRPC's keepalive does not: after two pings without a request
        of ours between them, it pings once a minute."""
        loop = asyncio.get_running_loop()
        asked = BatchGetDocumentsRequest(
            database=self._database, documents=[f"{self._database}/documents/probes/listener"]
        )
        while True:
            heard = self.heard_at or loop.time()
            await asyncio.sleep(max(self._proof_every / 4, heard + self._proof_every - loop.time()))
            if loop.time() - (self.heard_at or heard) < self._proof_every:
                continue
            try:
                answers = await client.batch_get_documents(
                    request=asked, metadata=self._metadata, retry=None, timeout=self._proof_deadline
                )
                async for _ in answers:
                    pass
            except exceptions.ServiceUnavailable:  # what breaks the stream, too, and that says so itself
                continue
            except exceptions.DeadlineExceeded:
                silence.reschedule(loop.time())
                return
            except exceptions.GoogleAPICallError as error:  # an answer
                log.debug("proof_refused", extra={"why": type(error).__name__})
            except Exception as error:  # without the proof nobody would notice: a new stream has a new one
                log.warning("proof_failed", extra={"why": type(error).__name__})
                silence.reschedule(loop.time())
                return
            self.heard_at = loop.time()

    def _tell(self, document: Any, on_head: OnHead) -> None:
        try:
            on_head(decode_fields(document.fields))
        except Exception as error:  # one poison document must not cost the others
            self.poisoned += 1
            log.warning("feed_poisoned", extra={"document": document.name, "why": type(error).__name__})

    async def _requests(self, target: Watched, over: asyncio.Event) -> AsyncIterator[ListenRequest]:
        """The one request; the stream is half closed, and so ends, when this returns."""
        condition = StructuredQuery.FieldFilter(
            field=StructuredQuery.FieldReference(field_path="active"),
            op=StructuredQuery.FieldFilter.Operator.EQUAL,
            value={"boolean_value": True},
        )
        query = StructuredQuery(
            from_=[StructuredQuery.CollectionSelector(collection_id="calls")],
            where=StructuredQuery.Filter(field_filter=condition),
        )
        wanted = Target(
            query=Target.QueryTarget(parent=f"{self._database}/documents", structured_query=query), target_id=TARGET
        )
        if target.token:
            wanted.resume_token = target.token
        yield ListenRequest(database=self._database, add_target=wanted)
        await over.wait()

    async def _dial_google(self) -> grpc.aio.Channel:
        if self._emulator_host:
            return grpc.aio.insecure_channel(self._emulator_host, options=_OPTIONS)
        scopes = FirestoreGrpcAsyncIOTransport.AUTH_SCOPES
        # Looks for files, and asks the metadata server: not on the event loop.
        credentials, _ = await asyncio.to_thread(google.auth.default, scopes=scopes)
        return FirestoreGrpcAsyncIOTransport.create_channel(HOST, credentials=credentials, options=_OPTIONS)


def _code(error: Exception) -> str:
    """gRPC's status, if the error has one."""
    return str(getattr(error, "grpc_status_code", None) or "")
