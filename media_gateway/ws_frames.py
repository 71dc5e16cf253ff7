"""WebSocket frames that are whole and plain (RFC 6455, 5.2), taken apart and put together without the library's core.

Sound is fifty of them a second and call, and the core spends ten times as long on one as there is to do. Whatever is
not whole and plain (fragments, control frames, what is too long or not allowed) is the core's business: whoever reads
this way hands it over, so that everything is checked as strictly as before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

try:
    from websockets.speedups import apply_mask
except ImportError:  # the same in Python
    from websockets.utils import apply_mask

__all__ = ["BINARY", "FIN", "MASKED", "TEXT", "apply_mask", "header", "masked", "payload"]

FIN, MASKED = 0x80, 0x80
TEXT, BINARY = 0x81, 0x82
"""First bytes of a whole message: FIN and the opcode."""
_POOL = 4_096


def payload(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload (behind the mask, if there is one) of the frame that begins at `at` begins and where it ends,
    which may be beyond the data; None when not even its head is whole."""
    size = len(data) - at
    if size < 2:
        return None
    second = data[at + 1]
    length, start = second & 0x7F, at + 2
    if length == 126:
        if size < 4:
            return None
        length, start = data[at + 2] << 8 | data[at + 3], at + 4
    elif length == 127:
        if size < 10:
            return None
        length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
    if second & MASKED:
        start += 4
    return start, start + length


def header(first: int, size: int, mask: int = 0) -> bytes:
    """The head of a frame of `size` bytes; `mask` is the bit that says that a mask follows."""
    if size < 126:
        return bytes((first, mask | size))
    if size < 65_536:
        return bytes((first, mask | 126, size >> 8, size & 0xFF))
    return bytes((first, mask | 127)) + size.to_bytes(8, "big")


_masks: Iterator[bytes] = iter(())
_header = lru_cache(64)(header)
"""Sound comes in pieces of one size, or of a few."""


def masked(first: int, data: bytes) -> bytes:
    """A client's whole message. The mask is fresh and cannot be guessed, as the RFC wants it; it is drawn from the
    system's generator a thousand at a time."""
    global _masks
    mask = next(_masks, None)
    if mask is None:
        pool = os.urandom(_POOL)
        _masks = iter([pool[at : at + 4] for at in range(0, _POOL, 4)])
        mask = next(_masks)
    return _header(first, len(data), MASKED) + mask + apply_mask(data, mask)
