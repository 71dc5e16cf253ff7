"""What an earlier test left in gRPC's poller is no fault of a later one; everything else is."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc
import pytest

from tests.loops import Loop

ANSWER_S = 0.2


async def cancelled(address: str) -> object:
    """A request that was cancelled and not waited for; what keeps it alive."""
    channel = grpc.aio.insecure_channel(address)
    request = channel.unary_unary("/nobody/Answers")(b"", timeout=ANSWER_S)
    await asyncio.sleep(0.01)
    request.cancel()
    return channel, request


async def listens(address: str) -> None:
    """Reads what the poller tells for longer than that."""
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/nobody/Answers")(b"", timeout=2 * ANSWER_S)


@pytest.mark.parametrize(("kind", "told"), [(asyncio.SelectorEventLoop, True), (Loop, False)])
def test_a_request_of_a_loop_that_is_closed_is_told_to_nobody(
    kind: type[asyncio.SelectorEventLoop], told: bool
) -> None:
    found: list[dict[str, Any]] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        first, second = kind(), kind()
        try:
            _kept = first.run_until_complete(cancelled(address))
        finally:
            first.close()
        try:
            second.set_exception_handler(lambda _loop, context: found.append(context))
            second.run_until_complete(listens(address))
        finally:
            second.close()
    assert bool(found) is told


def test_every_other_fault_is_told() -> None:
    found: list[dict[str, Any]] = []

    def callback() -> None:
        raise RuntimeError("Event loop is closed")

    loop = Loop()
    try:
        loop.set_exception_handler(lambda _loop, context: found.append(context))
        loop.call_soon(callback)
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    assert len(found) == 1
