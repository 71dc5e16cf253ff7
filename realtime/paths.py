"""Ids and keys as parts of a document path."""

from __future__ import annotations

import hashlib
import re

_ID = re.compile(r"(?!__)[A-Za-z0-9_.:@+=~-]{1,200}", re.ASCII)


def is_id(text: str) -> bool:
    """True for what can be a call id, a CallSid or a conversation id, and so a part of a document's path."""
    return bool(_ID.fullmatch(text)) and text not in (".", "..")


def digest(key: str) -> str:
    """A name for a key of any length and any characters: its SHA-256 in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def check_document(path: str) -> None:
    """Raises ValueError unless `path` is that of a document: pairs of collection and name."""
    parts = path.split("/")
    if len(parts) % 2 or not all(parts):
        raise ValueError(f"{path!r} is not the path of a document")
