"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Mapping, Sequence

STOP_S = 10.0
"""As long as Cloud Run gives between SIGTERM and SIGKILL."""


def exit_with_parent() -> None:
    """Called by a child: when the parent's end of standard input closes (it died, even by SIGKILL), end too."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), 15)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


class Child:
    """A Python module run as a process of its own."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process

    @classmethod
    async def start(
        cls, name: str, arguments: Sequence[str], environment: Mapping[str, str], *, output: int | None = None
    ) -> Child:
        """`python -m arguments...`, in a session of its own: Ctrl-C reaches it only through us. `output`: the file
        descriptor of its standard output, else ours."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            env=dict(environment),
            start_new_session=True,
        )
        return cls(name, process)

    @property
    def running(self) -> bool:
        """Not ended yet."""
        return self.process.returncode is None

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL when it does not end in time."""
        if self.running:
            self.process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
