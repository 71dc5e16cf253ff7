"""Plain frames past the core: the same bytes as the library's own, and everything else left to it."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from media_gateway import ws_frames

SIZES = (0, 1, 125, 126, 127, 160, 65_535, 65_536, 70_000)


def heard(wire: bytes) -> list[Frame]:
    """What a strict server makes of it."""
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(wire)
    assert server.parser_exc is None
    return [event for event in server.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("size", SIZES)
def test_a_masked_message_is_what_the_library_reads(size: int) -> None:
    data = bytes(n & 0xFF for n in range(size))
    (frame,) = heard(ws_frames.masked(ws_frames.BINARY, data))
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode.BINARY, data, True)


def test_masks_are_fresh_over_the_end_of_the_pool() -> None:
    wires = [ws_frames.masked(ws_frames.TEXT, b"\0\0\0\0") for _ in range(3_000)]
    assert len({wire[2:6] for wire in wires}) > 2_990
    assert all(wire[2:6] == wire[6:] for wire in wires)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_where_the_payload_is(size: int, mask: bool) -> None:
    wire = b"xx" + Frame(Opcode.TEXT, b"a" * size).serialize(mask=mask) + b"yy"
    span = ws_frames.payload(wire, 2)
    assert span is not None
    assert span == (len(wire) - 2 - size, len(wire) - 2)


@pytest.mark.parametrize("head", [b"", b"\x81", b"\x81\x7e\x00", b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00"])
def test_a_head_that_is_not_whole(head: bytes) -> None:
    assert ws_frames.payload(head, 0) is None
