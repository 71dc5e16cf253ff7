"""A scripted Firestore `Listen` server: what the emulator never does (resume, filters, removals, silence)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from google.cloud.firestore_v1.types import (
    DocumentChange,
    DocumentRemove,
    ExistenceFilter,
    ListenRequest,
    ListenResponse,
    TargetChange,
)

from realtime.call import Call
from realtime.listener import TARGET
from realtime.stores.firestore_codec import encode_fields

ROOT = "projects/demo/databases/(default)/documents/calls"
Change = TargetChange.TargetChangeType

SILENCE = "silence"
ABORT = "abort"
Line = Any
"""A `ListenResponse` to send, or what to do: stay silent for ever, or break the stream off."""


def document(call: Call | dict[str, Any], *, name: str = "") -> ListenResponse:
    data = call.to_dict() if isinstance(call, Call) else call
    change = DocumentChange(target_ids=[TARGET])
    change.document.name = f"{ROOT}/{name or data['call_id']}"
    encode_fields(data, DocumentChange.pb(change).document.fields)
    return ListenResponse(document_change=change)


def left(name: str) -> ListenResponse:
    return ListenResponse(document_remove=DocumentRemove(document=f"{ROOT}/{name}", removed_target_ids=[TARGET]))


def target(change: Any, token: bytes = b"", code: int = 0) -> ListenResponse:
    about = TargetChange(target_change_type=change, resume_token=token)
    if change is not Change.NO_CHANGE:
        about.target_ids = [TARGET]
    if code:
        TargetChange.pb(about).cause.code = code
    return ListenResponse(target_change=about)


def count(number: int) -> ListenResponse:
    return ListenResponse(filter=ExistenceFilter(target_id=TARGET, count=number))


class ListenServer:
    """Plays one script per stream; the last one is played for all further streams. Keeps the tokens it was given."""

    def __init__(self, *scripts: Sequence[Line]) -> None:
        self.scripts = scripts
        self.tokens: list[bytes] = []
        self.peers: list[str] = []
        self.address = ""

    async def listen(self, requests: AsyncIterator[ListenRequest], context: Any) -> AsyncIterator[ListenResponse]:
        request = await anext(aiter(requests))
        script = self.scripts[min(len(self.tokens), len(self.scripts) - 1)]
        self.tokens.append(request.add_target.resume_token)
        self.peers.append(context.peer())
        for line in script:
            if line == SILENCE:
                await asyncio.Event().wait()
            elif line != ABORT:
                yield line
            else:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the script says so")

    async def dial(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])


@asynccontextmanager
async def serving(*scripts: Sequence[Line], kind: type[ListenServer] = ListenServer) -> AsyncIterator[ListenServer]:
    here = kind(*scripts)
    server = grpc.aio.server()
    method = grpc.stream_stream_rpc_method_handler(
        here.listen, request_deserializer=ListenRequest.deserialize, response_serializer=ListenResponse.serialize
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("google.firestore.v1.Firestore", {"Listen": method}),)
    )
    here.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield here
    finally:
        await server.stop(grace=0)
