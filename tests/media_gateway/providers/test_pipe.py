"""Messages survive any cutting of the pipe, and nonsense is named."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_gateway.providers.pipe import MAX_MESSAGE, Garbled, Kind, Unpacker, pack, pack_json, read_message

_MESSAGES = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=50)), max_size=8)


@given(_MESSAGES, st.integers(1, 20))
def test_messages_come_whole_however_the_pipe_cuts_them(messages: list[tuple[Kind, bytes]], size: int) -> None:
    stream = b"".join(pack(kind, payload) for kind, payload in messages)
    unpacker = Unpacker()
    found = [message for at in range(0, len(stream), size) for message in unpacker.feed(stream[at : at + size])]
    assert found == messages


def test_the_blocking_end_reads_the_same_and_knows_the_end() -> None:
    stream = io.BytesIO(pack(Kind.AUDIO, b"abc") + pack_json({"a": 1}) + pack(Kind.AUDIO, b"cut")[:-1])
    assert read_message(stream) == (Kind.AUDIO, b"abc")
    kind_and_payload = read_message(stream)
    assert kind_and_payload is not None
    assert json.loads(kind_and_payload[1]) == {"a": 1}
    assert read_message(stream) is None
    assert read_message(io.BytesIO()) is None


@pytest.mark.parametrize("head", [b"\x09\x00\x00\x00\x01", b"\x01" + (MAX_MESSAGE + 1).to_bytes(4, "big")])
def test_what_is_no_message_is_refused(head: bytes) -> None:
    with pytest.raises(Garbled):
        list(Unpacker().feed(head))
    with pytest.raises(Garbled):
        read_message(io.BytesIO(head))
