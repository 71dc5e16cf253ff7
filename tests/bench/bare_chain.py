"""The floor of `webhook_to_browser`: the same hops with nothing to them.

`verify` checks a signature and publishes, `apply` takes the push and writes one document, both functions of the
framework; `python -m tests.bench.bare_chain --port P` listens to the documents and sends each to every socket. No
journal, order, duplicate, history, record, authorisation or resumption.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator
from typing import Any

COLLECTION = "bare"
TOPIC = "bare-events"
PROJECT = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
_made: dict[str, Any] = {}


def verify(request: Any) -> tuple[str, int]:
    """A webhook: 200 when Pub/Sub has it."""
    import urllib3

    body = request.get_data()
    stamp, _, digest = request.headers["ElevenLabs-Signature"].partition(",v0=")
    secret = os.environ["ELEVENLABS_WEBHOOK_SECRET"].encode()
    wanted = hmac.new(secret, stamp.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, digest):
        return "no", 401
    pool = _made.setdefault("pool", urllib3.PoolManager(maxsize=16))
    key = json.loads(body)["data"]["conversation_id"]
    message = {"data": base64.b64encode(body).decode(), "orderingKey": key}
    url = f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/v1/projects/{PROJECT}/topics/{TOPIC}:publish"
    answer = pool.request("POST", url, body=json.dumps({"messages": [message]}))
    return "ok", answer.status


def apply(request: Any) -> tuple[str, int]:
    """A push: 200 when the document is written."""
    if "store" not in _made:
        from google.cloud import firestore

        _made["store"] = firestore.Client(project=PROJECT)
    data = json.loads(base64.b64decode(request.get_json()["message"]["data"]))["data"]
    name = data["conversation_id"]
    fields = {"active": True, "conversation_id": name, "data": json.dumps(data)}
    _made["store"].collection(COLLECTION).document(name).set(fields)
    return "ok", 200


class Listener:
    """One stream on the collection; each document that comes is a frame for everybody."""

    def __init__(self) -> None:
        self._open: set[Any] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI: sockets that are only sent to."""
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        self._open.add(send)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            self._open.discard(send)

    async def run(self) -> None:
        """Until cancelled."""
        import grpc.aio
        from google.cloud.firestore_v1.services.firestore.async_client import FirestoreAsyncClient
        from google.cloud.firestore_v1.services.firestore.transports.grpc_asyncio import FirestoreGrpcAsyncIOTransport
        from google.cloud.firestore_v1.types import ListenRequest, StructuredQuery, Target

        database = f"projects/{PROJECT}/databases/(default)"
        condition = StructuredQuery.FieldFilter(
            field=StructuredQuery.FieldReference(field_path="active"),
            op=StructuredQuery.FieldFilter.Operator.EQUAL,
            value={"boolean_value": True},
        )
        query = StructuredQuery(
            from_=[StructuredQuery.CollectionSelector(collection_id=COLLECTION)],
            where=StructuredQuery.Filter(field_filter=condition),
        )
        target = Target(query=Target.QueryTarget(parent=f"{database}/documents", structured_query=query), target_id=1)

        async def requests() -> AsyncIterator[ListenRequest]:
            yield ListenRequest(database=database, add_target=target)
            await asyncio.Event().wait()

        channel = grpc.aio.insecure_channel(os.environ["FIRESTORE_EMULATOR_HOST"])
        client = FirestoreAsyncClient(transport=FirestoreGrpcAsyncIOTransport(channel=channel))
        metadata = [("google-cloud-resource-prefix", database), ("authorization", "Bearer owner")]
        stream = await client.listen(requests=requests(), metadata=metadata, retry=None, timeout=None)
        told: dict[str, str] = {}
        async for response in stream:
            document = type(response).pb(response).document_change.document
            if document.name and told.get(document.name) != str(document.update_time):
                told[document.name] = str(document.update_time)
                fields = document.fields
                text = json.dumps({"name": fields["conversation_id"].string_value, "data": fields["data"].string_value})
                for send in list(self._open):
                    await send({"type": "websocket.send", "text": text})


async def _serve(port: int) -> None:
    import uvicorn

    listener = Listener()
    config = uvicorn.Config(listener, port=port, ws="websockets-sansio", log_level="error", lifespan="off")
    config.ws_per_message_deflate = False
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.run())
        group.create_task(uvicorn.Server(config).serve())


if __name__ == "__main__":
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))
