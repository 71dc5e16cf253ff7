"""What an earlier test left in gRPC's poller is no fault of a later one; everything else is."""

from __future__ import annotations

from typing import Any

import pytest
from grpc._cython import cygrpc

from tests.loops import Loop

POLLER = "Exception in callback PollerCompletionQueue._handle_events(<Loop>)()"
CLOSED = RuntimeError("Event loop is closed")


@pytest.mark.parametrize(
    ("message", "problem", "told"),
    [
        (POLLER, CLOSED, False),
        (POLLER, RuntimeError("something else"), True),
        ("Exception in callback Somebody.else()", CLOSED, True),
    ],
    ids=["of an earlier test", "of this one", "of somebody else"],
)
def test_only_the_poller_with_a_closed_loop_is_left_out(message: str, problem: Exception, told: bool) -> None:
    found: list[dict[str, Any]] = []
    loop = Loop()
    try:
        loop.set_exception_handler(lambda _loop, context: found.append(context))
        loop.call_exception_handler({"message": message, "exception": problem})
    finally:
        loop.close()
    assert bool(found) is told


def test_the_poller_is_still_called_so() -> None:
    assert callable(cygrpc.PollerCompletionQueue._handle_events)
