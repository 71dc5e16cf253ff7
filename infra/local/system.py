"""The whole system as processes of this machine: gateway, functions, and the bus's push between them."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from infra.local.child import Child
from infra.mistakes import DidNotStart
from media_gateway.settings import Settings, load
from realtime.bus.embedded import Dispatcher
from realtime.queue.dispatcher import TaskDispatcher

READY_S = 40.0


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True, kw_only=True)
class LocalSystem:
    """`environment` goes over the process's own. Use as an async context manager: inside, everything is ready."""

    port: int
    functions_port: int
    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    output: int | None = None
    """File descriptor of the parts' logs; None: our standard output."""
    demo_code: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    push_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """What a push to the applier must carry; the functions and the dispatcher have it."""
    settings: Settings = field(init=False)
    children: list[Child] = field(default_factory=list)
    _dispatching: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.settings = load(self._base(), dev=True)

    @property
    def url(self) -> str:
        """The gateway, as seen from this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def functions_url(self) -> str:
        """The functions; an entry point is a path below it."""
        return f"http://127.0.0.1:{self.functions_port}"

    @property
    def push_url(self) -> str:
        """Where the bus delivers to."""
        return f"{self.functions_url}/apply_call_event"

    @property
    def database(self) -> Path:
        """The one file of the embedded store and bus."""
        return self.data_dir / "callboard.db"

    def _base(self) -> dict[str, str]:
        own = {
            "PORT": str(self.port),
            "FUNCTIONS_PORT": str(self.functions_port),
            "CALLBOARD_DATA_DIR": str(self.data_dir),
        }
        return {**os.environ, **self.environment, **own}

    def _child_environment(self) -> dict[str, str]:
        """What the settings settled on, said explicitly: a function has no settings of its own to guess with."""
        chosen = {
            "CALLBOARD_STORE": self.settings.callboard_store,
            "CALLBOARD_BUS": self.settings.callboard_bus,
            "CALLBOARD_STT": self.settings.callboard_stt,
            "CALLBOARD_LLM": self.settings.callboard_llm,
            "CALLBOARD_TTS": self.settings.callboard_tts,
            "CALLBOARD_DEMO_CODE": self.demo_code,
        }
        if self.settings.elevenlabs_webhook_secret:
            chosen["ELEVENLABS_WEBHOOK_SECRET"] = self.settings.elevenlabs_webhook_secret.get_secret_value()
        if self.settings.elevenlabs_personalize_secret:
            chosen["ELEVENLABS_PERSONALIZE_SECRET"] = self.settings.elevenlabs_personalize_secret.get_secret_value()
        return {**self._base(), **chosen}

    def _functions_environment(self) -> dict[str, str]:
        """How the functions reach the gateway. Not for the gateway itself: there a secret that is given counts as a
        real one, and a generated one must not."""
        return {
            "PUBLIC_BASE_URL": self.url,
            "JWT_SECRET": self.settings.jwt_secret.get_secret_value(),
            "CALLBOARD_TIMEZONE": self.settings.callboard_timezone,
        }

    async def __aenter__(self) -> Self:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = self._child_environment()
        try:
            of_functions = {**self._functions_environment(), "CALLBOARD_PUSH_TOKEN": self.push_token}
            for name, own in (("gateway", {}), ("functions_host", of_functions)):
                module = [f"infra.local.{name}"]
                self.children.append(await Child.start(name, module, {**environment, **own}, output=self.output))
            await asyncio.gather(self._ready("gateway", self.url), self._ready("functions_host", self.functions_url))
        except BaseException:
            await self.aclose()
            raise
        if self.settings.callboard_bus == "embedded":
            self._dispatching = asyncio.create_task(self._dispatch(), name="dispatcher")
        return self

    async def _dispatch(self) -> None:
        """The bus's news go to the applier, the queue's requests to where they are addressed."""
        async with asyncio.TaskGroup() as group:
            days = self.settings.callboard_retention_days
            news = Dispatcher(self.database, self.push_url, token=self.push_token, retention_days=days)
            group.create_task(news.run())
            group.create_task(TaskDispatcher(self.database).run())

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop everything; safe to call twice."""
        if self._dispatching:
            self._dispatching.cancel()
            with suppress(asyncio.CancelledError):
                await self._dispatching
            self._dispatching = None
        children, self.children = self.children, []
        await asyncio.gather(*(child.stop() for child in children))

    async def _ready(self, name: str, url: str) -> None:
        """Wait for 200 on `/readyz`. Raises DidNotStart."""
        child = next(child for child in self.children if child.name == name)
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S), httpx2.AsyncClient(timeout=2.0) as client:
                while child.running:
                    with suppress(httpx2.HTTPError):
                        if (await client.get(f"{url}/readyz")).status_code == 200:
                            return
                    await asyncio.sleep(0.05)
                raise DidNotStart(f"The {name.split('_')[0]} ended before it was ready (its last words are above).")
        raise DidNotStart(f"The {name.split('_')[0]} was not ready within {READY_S:.0f} s at {url}/readyz.")

    async def until_one_ends(self) -> str:
        """Wait until a part ends by itself; its name."""
        waits = {asyncio.create_task(child.process.wait()): child.name for child in self.children}
        done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return waits[next(iter(done))]
