"""Call ids that are ours alone, and `Idempotency-Key`: the same request again is the same call, never a second one.

`call_ids/{call_id}` is create-only: two calls to one driver in the same millisecond do not share an id.
`orgs/{org}/idempotency/{digest of door and key}` is `{call_id, request}`, written in the same commit and before the
call itself, so that a repetition finds the id even when everything after it was cut short.
"""

from __future__ import annotations

from media_gateway.http_errors import ApiError
from realtime.paths import digest
from realtime.stores.port import Conflict, Create, DocumentStore

HEADER = "Idempotency-Key"
LONGEST = 255


async def reserve(
    store: DocumentStore, org: str, *, door: str, key: str | None, request: str, call_id: str, expire_at: str
) -> str | None:
    """`call_id`, now ours; the id that `key` stood for already; None when another call has taken this id.

    `request` is a digest of what was asked. Raises ApiError (422) for a key that is none, or was used for another
    request; StoreUnavailable (with a key, it is safe to ask again).
    """
    mine = Create(f"call_ids/{call_id}", {"expire_at": expire_at})
    if key is None:
        return call_id if await _created(store, mine) else None
    if not 1 <= len(key) <= LONGEST or not key.isprintable():
        raise ApiError(422, f"{HEADER} must be 1 to {LONGEST} printable characters.")
    path = f"orgs/{org}/idempotency/{digest(f'{door} {key}')}"
    bound = Create(path, {"call_id": call_id, "request": request, "expire_at": expire_at})
    if await _created(store, mine, bound):
        return call_id
    (known,) = await store.get(path)
    if known is None:
        return None
    if known.data["request"] != request:
        fix = f"Send a new {HEADER} with a new request."
        raise ApiError(422, f"This {HEADER} belongs to another request.", code="key_reused", fix=fix)
    found: str = known.data["call_id"]
    return found


async def _created(store: DocumentStore, *writes: Create) -> bool:
    try:
        await store.commit(writes)
    except Conflict:
        return False
    return True
