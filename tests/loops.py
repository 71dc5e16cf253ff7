"""The event loop of the tests."""

from __future__ import annotations

import asyncio
from typing import Any

_POLLER = "Exception in callback PollerCompletionQueue._handle_events("


class Loop(asyncio.SelectorEventLoop):
    """gRPC has one poller for all loops of a process. What it hears of a request whose test was over before it was
    answered (it was cancelled, say) belongs to a loop that is closed; that is told to whichever loop reads, the one of
    some later test, whose fault it is not. Only this is left out."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """See asyncio."""
        if not _of_an_earlier_test(context):
            super().call_exception_handler(context)


def _of_an_earlier_test(context: dict[str, Any]) -> bool:
    where = str(context.get("message"))
    return str(context.get("exception")) == "Event loop is closed" and where.startswith(_POLLER)


BACKEND = ("asyncio", {"loop_factory": Loop})
"""For anyio."""
