"""Texts too large for one document, kept in parts under a collection.

The reference is `{"path", "parts"}`; the documents `{path}-{n:04d}` hold the text, cut to stay well below the size of
a document. The path ends in a digest of the text, so that two writers of different texts do not mix their parts, and
writing the same text again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realtime.paths import digest
from realtime.stores.port import DocumentStore, Put

PART = 200_000
"""Characters in a part: 800 kB at the very most in UTF-8."""


async def save(store: DocumentStore, collection: str, text: str, expire_at: str) -> dict[str, Any]:
    """Keep `text` under `collection`; its reference. Meant to be written ahead of the document that refers to it."""
    path = f"{collection}/{digest(text)[:32]}"
    cuts = range(0, len(text), PART)
    for n, at in enumerate(cuts):
        # One by one: a commit has a limit of 10 MiB too.
        await store.commit([Put(f"{path}-{n:04d}", {"text": text[at : at + PART], "expire_at": expire_at})])
    return {"path": path, "parts": len(cuts)}


async def load(store: DocumentStore, ref: Mapping[str, Any]) -> str:
    """The text again. Raises LookupError when a part is gone: it has expired."""
    texts = []
    for n in range(ref["parts"]):
        (doc,) = await store.get(f"{ref['path']}-{n:04d}")
        if doc is None:
            raise LookupError(f"what was kept at {ref['path']} has expired")
        texts.append(doc.data["text"])
    return "".join(texts)
