"""A TCP proxy that fails as networks do: it resets, refuses, swallows, or sends new connections somewhere else."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """In front of one address or several, at random; those that do not answer are passed over."""

    def __init__(self, *targets: str) -> None:
        self.targets = list(targets)
        self._random = random.Random(7)
        self.refusing = False
        self.swallowing = False
        """Connections that are open stay so, and nothing comes through them any more; new ones are fine."""
        self.opened = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._swallowed: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def address(self) -> str:
        """host:port of the proxy."""
        return f"127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Every open connection ends with a RST."""
        for writer in list(self._open):
            sock: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError, AttributeError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def refuse(self) -> None:
        """Nobody gets through any more."""
        self.refusing = True
        self.reset()

    def swallow(self) -> None:
        """What is open now is half open from now on."""
        self._swallowed |= self._open

    def mend(self) -> None:
        """All is well again, for new connections."""
        self.refusing = False

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        self.opened += 1
        try:
            if self.refusing:
                self.reset()
                return
            async with self._dial() as (other_reader, other_writer):
                self._open.add(other_writer)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._pump(reader, other_writer))
                        group.create_task(self._pump(other_reader, writer))
                finally:
                    self._open.discard(other_writer)
        except* OSError:
            pass
        finally:
            self._open.discard(writer)
            self._swallowed.discard(writer)
            writer.transport.abort()
            self._tasks.discard(task)

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        for target in self._random.sample(self.targets, len(self.targets)):
            host, _, port = target.partition(":")
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                continue
            try:
                yield reader, writer
            finally:
                writer.transport.abort()
            return
        raise ConnectionRefusedError("nobody answers behind the proxy")

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one side ends; then the other is ended, too."""
        while data := await reader.read(65_536):
            if writer in self._swallowed:
                continue
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one side has ended")
