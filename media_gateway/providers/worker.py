"""A demo engine in a process of its own, as the event loop sees it.

The engines hold the interpreter's lock for 20 to 300 ms at a time (measured: pocketsphinx never lets go of it), and
espeak-ng must not be loaded into the server; so each runs as a program of its own and speaks
`pipe` messages. No task is needed here: the loop calls this protocol when something comes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import structlog

from media_gateway.providers.pipe import Garbled, Kind, Unpacker
from media_gateway.voice.ports import ProviderFault

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 10.0
_END_SECONDS = 3.0
log = structlog.get_logger(__name__)


class Worker(asyncio.SubprocessProtocol):
    """One process. `on_message(kind, payload)` and `on_exit()` are called on the loop, never after `aclose`."""

    def __init__(self, on_message: Callable[[Kind, bytes], None], on_exit: Callable[[], None], backlog: int) -> None:
        self._on_message = on_message
        self._on_exit = on_exit
        self._unpacker = Unpacker()
        self._waiting: deque[bytes] = deque()
        self._backlog = backlog
        self._paused = False
        self._open = True
        self._gone = asyncio.get_running_loop().create_future()
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None

    @classmethod
    async def start(
        cls,
        module: str,
        *arguments: str,
        on_message: Callable[[Kind, bytes], None],
        on_exit: Callable[[], None],
        backlog: int = 250,
    ) -> Worker:
        """Start `python -m <module>`. `backlog` is how many messages may wait when the process does not
        keep up. Raises ProviderFault."""
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        try:
            async with asyncio.timeout(_START_SECONDS):
                _, worker = await asyncio.get_running_loop().subprocess_exec(
                    lambda: cls(on_message, on_exit, backlog),
                    *(sys.executable, "-m", module, *arguments),
                    env={**os.environ, "PYTHONPATH": path},
                    stderr=None,
                )
        except (OSError, TimeoutError) as error:
            raise ProviderFault(module, "missing", f"its process did not start: {error!r}") from error
        return worker

    def attach(self, on_message: Callable[[Kind, bytes], None], on_exit: Callable[[], None]) -> None:
        """Hand a process that was started ahead to whoever uses it now."""
        self._on_message = on_message
        self._on_exit = on_exit

    @property
    def alive(self) -> bool:
        """False once the process has ended or was told to."""
        return self._open and not self._gone.done()

    def send(self, message: bytes) -> bool:
        """Hand a packed message over without waiting. False if the backlog was full and its oldest message was lost."""
        if not self.alive or self._stdin is None:
            return True
        if not self._paused:
            self._stdin.write(message)
            return True
        lost = len(self._waiting) >= self._backlog
        if lost:
            self._waiting.popleft()
        self._waiting.append(message)
        return not lost

    async def aclose(self) -> None:
        """End the process and wait for it; safe to call twice."""
        self._open = False
        self._waiting.clear()
        if self._transport is not None:
            self._transport.close()
            try:
                async with asyncio.timeout(_END_SECONDS):
                    await asyncio.shield(self._gone)
            except TimeoutError:
                log.warning("engine_process_stays", pid=self._transport.get_pid())

    # --- what the loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != 1:
            return
        try:
            for kind, payload in self._unpacker.feed(data):
                if self._open:
                    self._on_message(kind, payload)
        except Garbled:
            self.kill()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        while self._waiting and not self._paused and self._stdin is not None:
            self._stdin.write(self._waiting.popleft())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport.close()
        if not self._gone.done():
            self._gone.set_result(None)
        if self._open:
            self._open = False
            self._on_exit()

    def kill(self) -> None:
        """End it the hard way; `on_exit` follows."""
        if self._transport is not None and self._transport.get_returncode() is None:
            self._transport.kill()


def missing(*packages: str) -> str:
    """What to do about packages that are not installed; empty when all are there."""
    absent = [package for package in packages if find_spec(package) is None]
    return f"{' and '.join(absent)} not installed; `python3 run.py` installs the demo engines" if absent else ""
