"""`Idempotency-Key`: the same request again is the same call, never a second one.

`orgs/{org}/idempotency/{digest of door and key}` is `{call_id, request}`; create-only. It is written before the call
itself, so that a repetition finds the call id even when everything after it was cut short.
"""

from __future__ import annotations

from media_gateway.http_errors import ApiError
from realtime.paths import digest
from realtime.stores.port import Conflict, Create, DocumentStore, StoreUnavailable

HEADER = "Idempotency-Key"
LONGEST = 255


async def call_id_for(
    store: DocumentStore, org: str, *, door: str, key: str, request: str, call_id: str, expire_at: str
) -> str:
    """The call id that `key` stands for: `call_id` the first time, that of the first time ever after. `request` is a
    digest of what was asked. Raises ApiError (422) for a key that is none, or was used for another request;
    StoreUnavailable."""
    if not 1 <= len(key) <= LONGEST or not key.isprintable():
        raise ApiError(422, f"{HEADER} must be 1 to {LONGEST} printable characters.")
    path = f"orgs/{org}/idempotency/{digest(f'{door} {key}')}"
    try:
        await store.commit([Create(path, {"call_id": call_id, "request": request, "expire_at": expire_at})])
    except Conflict:
        (known,) = await store.get(path)
        if known is None:
            raise StoreUnavailable("the request was known a moment ago and is not any more") from None
        if known.data["request"] != request:
            fix = f"Send a new {HEADER} with a new request."
            raise ApiError(422, f"This {HEADER} belongs to another request.", code="key_reused", fix=fix) from None
        found: str = known.data["call_id"]
        return found
    return call_id
