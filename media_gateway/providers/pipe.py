"""How a demo engine's process and the gateway talk: messages over a pipe, a kind and a length before each.

Used by both ends, so it imports nothing heavy.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, BinaryIO

_HEADER = struct.Struct(">BI")
MAX_MESSAGE = 4 * 1024 * 1024
"""A generous language model's phrases are a few hundred kB; more than this is a stream out of step."""


class Kind(IntEnum):
    """What a message carries: sound (mu-law, with whatever header the engine agrees on) or a JSON object."""

    AUDIO = 1
    JSON = 2


class Garbled(Exception):
    """The other end sent what is not a message."""


def pack(kind: Kind, payload: bytes) -> bytes:
    """One message as it goes over the pipe."""
    return _HEADER.pack(kind, len(payload)) + payload


def pack_json(data: Mapping[str, Any]) -> bytes:
    """One JSON message as it goes over the pipe."""
    return pack(Kind.JSON, json.dumps(data, separators=(",", ":")).encode())


class Unpacker:
    """Puts messages together again from pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The messages that are complete with this piece. Raises Garbled."""
        self._buffer += piece
        while len(self._buffer) >= _HEADER.size:
            kind, length = _header(self._buffer[: _HEADER.size])
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield kind, payload


def read_message(stream: BinaryIO) -> tuple[Kind, bytes] | None:
    """The next message of a blocking stream, None at its end. Raises Garbled."""
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return None
    kind, length = _header(head)
    payload = stream.read(length)
    return (kind, payload) if len(payload) == length else None


def _header(head: bytes | bytearray) -> tuple[Kind, int]:
    kind, length = _HEADER.unpack(head)
    if length > MAX_MESSAGE or kind not in Kind.__members__.values():
        raise Garbled(f"kind {kind}, length {length}")
    return Kind(kind), length
