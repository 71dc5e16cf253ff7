"""The document store of production: Firestore in native mode, or its emulator.

It stands on the generated asyncio client of google-cloud-firestore, with requests built as protocol buffers. A
commit's preconditions are `exists` and `update_time`; a document's version is its update time in microseconds. Reads
are retried once; a commit only after answers that say that it did not happen (ABORTED, RESOURCE_EXHAUSTED).

A connection that has swallowed a request without a word is not asked again: the next request gets a new one. gRPC's
keepalive alone does not find it, as it pings only while a request is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import google.auth
import grpc.aio
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport
from google.cloud.firestore_v1.types import BatchGetDocumentsRequest, CommitRequest, RunQueryRequest
from google.protobuf.timestamp_pb2 import Timestamp

from realtime.backoff import delay
from realtime.paths import check_document
from realtime.stores.firestore_codec import decode_fields, encode_fields
from realtime.stores.firestore_query import fill_query
from realtime.stores.port import Conflict, Create, Delete, Doc, HeadFeed, Put, Query, StoreUnavailable, Write

HOST = "firestore.googleapis.com"
DATABASE = "(default)"
DEADLINE = 10.0
"""Seconds for a whole call, retries and credentials included."""
RPC = 5.0
"""Seconds for one request."""
REFUSALS = 6
"""Times a commit is sent that the server answers it has not carried out."""
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel would be given the dead one's connection
    # A dead connection is noticed within 15 s; the library's own default takes 60.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]
_NOT_DONE = (exceptions.Aborted, exceptions.ResourceExhausted)
_TRANSIENT = (
    *_NOT_DONE,
    exceptions.ServiceUnavailable,
    exceptions.InternalServerError,
    exceptions.Unknown,
    exceptions.DeadlineExceeded,
)

Result = TypeVar("Result")


class FirestoreStore:
    """`DocumentStore` in a database of `project`. Belongs to the event loop that first uses it."""

    def __init__(self, project: str, *, emulator_host: str | None = None, database: str = DATABASE) -> None:
        """`emulator_host` is `host:port`; without it the credentials of the environment are used. No I/O here."""
        self.project = project
        self.emulator_host = emulator_host
        self.database = database
        self._database = f"projects/{project}/databases/{database}"
        self._root = f"{self._database}/documents/"
        self._metadata = [("google-cloud-resource-prefix", self._database)]
        if emulator_host:
            self._metadata.append(("authorization", "Bearer owner"))
        self._client: FirestoreAsyncClient | None = None
        self._connecting = asyncio.Lock()
        self._heard = 0
        """Requests that were answered, with whatever answer: proof that the connection lives."""
        self._closing: set[asyncio.Task[None]] = set()
        """Connections that were given up, while the last requests on them end."""
        self._closed = False

    async def get(self, *paths: str) -> list[Doc | None]:
        """The documents at these paths, in this order, None where there is none."""
        if not paths:
            return []
        request = BatchGetDocumentsRequest(database=self._database, documents=[self._root + path for path in paths])

        async def read(client: FirestoreAsyncClient) -> dict[str, Doc]:
            stream = await client.batch_get_documents(request=request, metadata=self._metadata, retry=None, timeout=RPC)
            docs = [self._doc(pb.found) async for pb in _buffers(stream) if pb.HasField("found")]
            return {doc.path: doc for doc in docs}

        found = await self._call(read, again=_TRANSIENT, times=2)
        return [found.get(path) for path in paths]

    async def query(self, query: Query) -> list[Doc]:
        """At most `limit` documents."""
        parent, _, collection = query.collection.rpartition("/")
        request = RunQueryRequest.pb(RunQueryRequest())
        request.parent = (self._root + parent).rstrip("/")
        fill_query(query, collection, request.structured_query, root=self._root)

        async def read(client: FirestoreAsyncClient) -> list[Doc]:
            stream = await client.run_query(
                request=RunQueryRequest.wrap(request), metadata=self._metadata, retry=None, timeout=RPC
            )
            return [self._doc(pb.document) async for pb in _buffers(stream) if pb.HasField("document")]

        return await self._call(read, again=_TRANSIENT, times=2)

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        """All or nothing. Raises Conflict; StoreUnavailable; ValueError for what Firestore does not take."""
        request = CommitRequest.pb(CommitRequest(database=self._database))
        for write in writes:
            self._fill(write, request.writes.add())

        async def send(client: FirestoreAsyncClient) -> list[str]:
            answer = await client.commit(
                request=CommitRequest.wrap(request), metadata=self._metadata, retry=None, timeout=RPC
            )
            results = type(answer).pb(answer).write_results
            return [
                "" if isinstance(write, Delete) else _version(result.update_time)
                for write, result in zip(writes, results, strict=True)
            ]

        return await self._call(send, again=_NOT_DONE, times=REFUSALS)

    def feed(self) -> HeadFeed:
        """A feed of `calls/*` where `active == true`: one listener with a connection of its own."""
        from realtime.listener import FirestoreHeadFeed

        return FirestoreHeadFeed(self.project, emulator_host=self.emulator_host, database=self.database)

    async def aclose(self) -> None:
        """Close the connection; safe to call twice."""
        self._closed = True
        client, self._client = self._client, None
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if client is not None:
            await client.transport.close()

    def _fill(self, write: Write, into: Any) -> None:
        check_document(write.path)
        name = self._root + write.path
        if isinstance(write, Delete):
            into.delete = name
        else:
            into.update.name = name
            encode_fields(write.data, into.update.fields)
        if isinstance(write, Create):
            into.current_document.exists = False
        elif write.version is not None:
            into.current_document.update_time.FromMicroseconds(_microseconds(write))

    def _doc(self, document: Any) -> Doc:
        path = document.name.removeprefix(self._root)
        return Doc(path, decode_fields(document.fields), _version(document.update_time))

    async def _call(
        self,
        work: Callable[[FirestoreAsyncClient], Awaitable[Result]],
        *,
        again: tuple[type[Exception], ...],
        times: int,
    ) -> Result:
        """The result of `work`, sent at most `times` times while it fails as `again` says, in the port's errors."""
        try:
            async with asyncio.timeout(DEADLINE):
                for attempt in range(1, times):
                    try:
                        return await self._ask(work)
                    except again:
                        await asyncio.sleep(delay(attempt, base=0.02, cap=0.5))
                return await self._ask(work)
        except TimeoutError:
            raise StoreUnavailable(f"Firestore did not answer in {DEADLINE} s") from None
        except GoogleAuthError as error:
            raise StoreUnavailable(f"no credentials for Firestore of {self.project}: {error}") from error
        except exceptions.GoogleAPICallError as error:
            raise _translated(error) from error

    async def _ask(self, work: Callable[[FirestoreAsyncClient], Awaitable[Result]]) -> Result:
        """Once. If nothing at all was heard while this request waited in vain, its connection is given up."""
        client, heard = await self._connected(), self._heard
        try:
            result = await work(client)
        except exceptions.DeadlineExceeded:
            if self._heard == heard:
                self._give_up(client)
            raise
        except exceptions.GoogleAPICallError as error:
            if not isinstance(error, exceptions.ServiceUnavailable):  # that one may be said by our own side
                self._heard += 1
            raise
        self._heard += 1
        return result

    def _give_up(self, client: FirestoreAsyncClient) -> None:
        """The next request opens a new connection; what is under way on this one may still end."""
        if client is not self._client:
            return
        self._client = None
        task = asyncio.create_task(_close(client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _connected(self) -> FirestoreAsyncClient:
        if self._closed:
            raise StoreUnavailable("this store is closed")
        async with self._connecting:
            if self._client is None:
                self._client = FirestoreAsyncClient(transport=FirestoreGrpcAsyncIOTransport(channel=await self._dial()))
            return self._client

    async def _dial(self) -> grpc.aio.Channel:
        if self.emulator_host:
            return grpc.aio.insecure_channel(self.emulator_host, options=_OPTIONS)
        scopes = FirestoreGrpcAsyncIOTransport.AUTH_SCOPES
        # Looks for files, and asks the metadata server: not on the event loop.
        credentials, _ = await asyncio.to_thread(google.auth.default, scopes=scopes)
        return FirestoreGrpcAsyncIOTransport.create_channel(HOST, credentials=credentials, options=_OPTIONS)


async def _close(client: FirestoreAsyncClient) -> None:
    """When the requests on it have ended, at the latest after their own deadline."""
    channel: grpc.aio.Channel = client.transport.grpc_channel
    try:
        await channel.close(RPC)
    except asyncio.CancelledError:
        await channel.close()
        raise


async def _buffers(stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """The protocol buffers of a stream, one at a time: a page that is decoded at one go would hold up the loop."""
    async for answer in stream:
        yield type(answer).pb(answer)


def _translated(error: exceptions.GoogleAPICallError) -> Exception:
    missing_database = (
        isinstance(error, exceptions.NotFound) and "database" in error.message and "exist" in error.message
    )
    if isinstance(error, exceptions.AlreadyExists | exceptions.FailedPrecondition | exceptions.NotFound):
        return StoreUnavailable(error.message) if missing_database else Conflict(error.message)
    if isinstance(error, exceptions.InvalidArgument):
        return ValueError(f"Firestore does not take this: {error.message}")
    return StoreUnavailable(f"Firestore answered {error.grpc_status_code}: {error.message}")


def _version(stamp: Timestamp) -> str:
    return str(stamp.ToMicroseconds())


def _microseconds(write: Put | Delete) -> int:
    try:
        return int(write.version or "")
    except ValueError:
        raise ValueError(f"{write.version!r} is not a version of {write.path}") from None
