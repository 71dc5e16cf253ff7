"""A gateway in the test's own process, with a writer that is another instance: for faults that need a hand inside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.fleet import Writer, beside
from tests.media_gateway.harness import Running, gateway


@dataclass
class Inside:
    """It, and the writer beside it."""

    running: Running
    writer: Writer

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.running.server.bound_port}"


@asynccontextmanager
async def inside(folder: Path) -> AsyncIterator[Inside]:
    async with gateway(folder, CALLBOARD_ROLE="dashboard") as running, beside(folder) as writer:
        yield Inside(running, writer)
