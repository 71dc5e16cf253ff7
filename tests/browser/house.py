"""A real gateway with invented engines, for conversations in the browser: it hears a scripted line wherever there is
sound, knows three things about France, and speaks in tones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from media_gateway import wiring
from media_gateway.app import create_app
from media_gateway.auth import Principal, Tokens
from media_gateway.conversation.model import ListeningProfile
from media_gateway.server import DrainingServer, server
from media_gateway.settings import Settings, load
from media_gateway.voice.ports import (
    Engines,
    Final,
    Heard,
    Partial,
    SpeechStarted,
    Spoken,
    SpokenAudio,
    TextDelta,
    Thought,
    ToolRequest,
    Usage,
)
from tests.media_gateway.harness import environ
from tests.media_gateway.voice.stage import OpenVoice, Voice

CAPITAL, PEOPLE, TOWER = "What is the capital of France?", "What is its population?", "Tell me about the Eiffel Tower."
ANSWERS = {
    CAPITAL: "The capital of France is Paris.",
    PEOPLE: "About two million people live in Paris.",
    TOWER: "The Eiffel Tower is three hundred and thirty metres high.",
}
_LOUD = 0x58
_SILENT_FRAMES = 30
"""600 ms."""


@dataclass
class Ears:
    """Whoever makes a sound says the next of `lines`."""

    lines: list[str]
    name: str = "ears"

    async def open(self, profile: ListeningProfile, on_heard: Callable[[Heard], None]) -> OpenEars:
        return OpenEars(self.lines, on_heard)


@dataclass
class OpenEars:
    lines: list[str]
    tell: Callable[[Heard], None]
    loud: int = 0
    silent: int = 0
    rest: bytes = b""

    def feed(self, mulaw: bytes) -> None:
        self.rest += mulaw
        while len(self.rest) >= 160:
            self._frame(self.rest[:160])
            self.rest = self.rest[160:]

    def _frame(self, frame: bytes) -> None:
        if min(code & 0x7F for code in frame) < _LOUD:
            self.loud, self.silent = self.loud + 1, 0
            if self.loud == 1:
                self.tell(SpeechStarted())
            words = self.lines[0].split() if self.lines else ["hm"]
            self.tell(Partial(" ".join(words[: 1 + self.loud // 2])))
        elif self.loud:
            self.silent += 1
            if self.silent >= _SILENT_FRAMES:
                self.loud = self.silent = 0
                self.tell(Final(self.lines.pop(0) if self.lines else "hm"))

    def configure(self, profile: ListeningProfile) -> None:
        """It hears whatever it hears."""

    async def aclose(self) -> None:
        """Nothing is held."""


class Slow(Voice):
    """Says its replies slowly enough for a page to show how loud they are; what is rendered beforehand is short."""

    async def open(self, on_spoken: Callable[[Spoken], None]) -> OpenVoice:
        def told(event: Spoken) -> None:
            if isinstance(event, SpokenAudio):
                event = SpokenAudio(event.reply, event.clause, event.mulaw * 8)
            on_spoken(event)

        return await super().open(told)


@dataclass
class Mind:
    """Answers from `ANSWERS`, else with the script. While `closed`, it thinks."""

    name: str = "mind"
    open: threading.Event = field(default_factory=threading.Event)
    last: Thought = field(default_factory=lambda: Thought(0, "", ()))
    """What it was asked last."""

    async def think(self, thought: Thought) -> AsyncIterator[TextDelta | ToolRequest | Usage]:
        asked = next((line.text for line in reversed(thought.history) if line.role == "user"), "")
        self.last = thought
        while not self.open.is_set():
            await asyncio.sleep(0.01)
        for word in ANSWERS.get(asked, thought.script).split(" "):
            yield TextDelta(word + " ")
            await asyncio.sleep(0)
        for request in thought.script_tools:
            yield request
        yield Usage(10, 5)


@dataclass
class House:
    """A gateway that runs in a thread of its own."""

    settings: Settings
    address: str
    lines: list[str]
    mind: Mind

    def token(self, user: str = "ana") -> str:
        """What a login of an operator gives."""
        return Tokens(self.settings.jwt_keys).access(Principal(user, "default", "operator"))


@contextlib.contextmanager
def living(folder: Path, port: int = 0) -> Iterator[House]:
    """Start one, stop it."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        bound = listener.getsockname()[1]
    lines: list[str] = []
    mind = Mind()
    mind.open.set()
    engines = Engines(ears=Ears(lines), mind=mind, voice=Slow())
    more = {"PUBLIC_BASE_URL": f"http://127.0.0.1:{bound}", "LOG_LEVEL": "WARNING", "CALLBOARD_MAX_LAG_MS": "0"}
    settings = load(environ(folder, **more), dev=False)
    app = create_app(settings, build_sessions=wiring.build_sessions)
    running: DrainingServer = server(app, settings, host="127.0.0.1", port=bound)
    thread = threading.Thread(target=lambda: asyncio.run(running._serve()), name="house")
    patched = (
        patch("media_gateway.wiring.build_engines", lambda _: engines),
        patch("media_gateway.conversation.frame.MISSES", 99),  # France is nothing that the shop's flows understand
        # What is said to who waits has tests of its own; here it would depend on the machine.
        patch("media_gateway.voice.turns.FILLER_MS", 60_000),
        patch("media_gateway.voice.turns.APOLOGY_MS", 60_000),
    )
    with contextlib.ExitStack() as stack:
        for one in patched:
            stack.enter_context(one)
        thread.start()
        stack.callback(thread.join, 20)
        stack.callback(setattr, running, "should_exit", True)
        stack.callback(mind.open.set)
        for _ in range(1000):
            if running.started or not thread.is_alive():
                break
            threading.Event().wait(0.02)
        assert running.started
        yield House(settings, f"http://127.0.0.1:{bound}", lines, mind)
