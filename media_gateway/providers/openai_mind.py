"""Thinking with OpenAI's Chat Completions (or whatever speaks the same protocol at OPENAI_BASE_URL).

One keep-alive pool for all calls. Until the first word, a fault is met with one more try, then with the stand-in model,
all within one budget; afterwards it is the caller's to know. An iterator that is closed closes its connection, so that
nothing is generated for nobody.

The SDK's own client costs 6 ms of CPU a turn, httpx2 alone 3 and aiohttp 1; on 200 calls that is a fifth of a core for
nothing, or some hundredths. So requests keep the SDK's types and go out through `http_pool`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import structlog

from media_gateway.providers.breaker import Breaker
from media_gateway.providers.http_pool import Answer, HttpPool
from media_gateway.providers.openai_stream import Reading, refusal, request
from media_gateway.providers.openai_tools import StrictTool, StrictTools
from media_gateway.voice.ports import ProviderFault, StoodIn, Thinking, Thought, Usage

log = structlog.get_logger()

NAME = "openai"
CONNECT_S = 3.0
MOST_REFUSAL = 65_536
WARM_S = 10.0
END_S = 0.05
CHARACTERS_A_TOKEN = 4
_STREAMED = {"Content-Type": "application/json", "Accept": "text/event-stream"}
_AGAIN = frozenset({"refused", "busy", "broken"})
"""Faults that another try may mend; a deadline that has passed leaves no time for one."""


class _Later(ProviderFault):
    """Busy, and said for how long (seconds)."""

    def __init__(self, fault: ProviderFault, after_s: float) -> None:
        super().__init__(fault.provider, fault.kind, fault.detail)
        self.after_s = after_s


def _later(answer: Answer, fault: ProviderFault) -> ProviderFault:
    after = answer.headers.get("retry-after", "")
    return _Later(fault, float(after)) if after.isdecimal() else fault


@dataclass(frozen=True, slots=True, kw_only=True)
class MindPatience:
    """In seconds. `first_word` for the first word, whatever is tried on the way there; of it the first model gets
    `share` if another one stands in; `between` two pieces of an answer; `pause` before one more try."""

    first_word: float = 2.4
    share: float = 0.6
    between: float = 2.0
    pause: tuple[float, float] = (0.05, 0.2)
    tries: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MindOptions:
    """`models`: the first choice, then its stand-in. `effort` is `reasoning_effort`; empty: the model's own."""

    api_key: str = field(repr=False)
    base_url: str
    models: Sequence[str]
    effort: str = "none"
    most_tokens: int = 500
    most_connections: int = 256
    patience: MindPatience = field(default_factory=MindPatience)


class OpenAiMind:
    """The ports `Mind` and `Warmable`."""

    name = NAME

    def __init__(self, options: MindOptions, *, now: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._patience = options.patience
        self._now = now
        self._url = options.base_url.rstrip("/")  # for what a person reads
        self._tools = StrictTools()
        self._breakers = {model: Breaker() for model in options.models}
        self._pool: HttpPool | None = None
        self._extra: dict[str, Any] = {"max_completion_tokens": options.most_tokens}
        if options.effort:
            self._extra["reasoning_effort"] = options.effort

    # --- before the first call ---

    async def warm(self) -> None:
        """Is the key good, and are the models there? Raises ProviderFault with the remedy. A vendor that cannot be
        reached now is no reason not to start: the script stands in until it can."""
        for model in self._options.models:
            try:
                answer = await self._connections().request("GET", f"/models/{quote(model, safe='/:')}", within=WARM_S)
                try:
                    self._looked(model, answer.status, await answer.whole(MOST_REFUSAL, WARM_S))
                finally:
                    answer.release()
            except (OSError, TimeoutError) as problem:
                log.warning("mind_not_reached", model=model, problem=type(problem).__name__)
            except ValueError as wrong:
                raise ProviderFault(NAME, "refused", f"check OPENAI_BASE_URL and OPENAI_API_KEY: {wrong}") from wrong

    def _looked(self, model: str, status: int, body: bytes) -> None:
        if status == 200:
            return
        fault = refusal(NAME, status, body)
        if fault.kind == "unauthorized":
            remedy = f"OPENAI_API_KEY is refused at {self._url}; set a valid key, or CALLBOARD_LLM=scripted"
            raise ProviderFault(NAME, fault.kind, f"{remedy} ({fault.detail})")
        if fault.kind == "missing" and "model" in fault.detail:
            variable = "OPENAI_MODEL" if model == self._options.models[0] else "OPENAI_MODEL_STANDIN"
            remedy = f"there is no model {model} for this key at {self._url}; set {variable} to one that there is"
            raise ProviderFault(NAME, fault.kind, f"{remedy} ({fault.detail})")
        log.warning("mind_not_checked", model=model, status=status)

    async def aclose(self) -> None:
        """Let the connections go; safe to call twice."""
        pool, self._pool = self._pool, None
        if pool:
            await pool.aclose()

    def _connections(self) -> HttpPool:
        if self._pool is None:
            headers = {"Authorization": f"Bearer {self._options.api_key}", "User-Agent": "callboard"}
            self._pool = HttpPool(self._url, headers=headers, most=self._options.most_connections, connect_s=CONNECT_S)
        return self._pool

    # --- a thought ---

    async def think(self, thought: Thought) -> AsyncGenerator[Thinking, None]:
        """See `Mind`. The deadlines are this adapter's own."""
        tools = self._tools.of(thought.tools)
        until = self._now() + self._patience.first_word
        fault: ProviderFault | None = None
        for model, again in self._attempts():
            if again and (fault is None or not await self._paused(fault, until)):
                continue
            if not self._breakers[model].allows(self._now()):
                fault = fault or ProviderFault(NAME, "busy", f"{model} is left alone after several faults")
                continue
            second = model != self._options.models[0]
            stands_in = StoodIn(fault.kind, fault.detail, model) if fault and second else None
            begun = False
            try:
                async with aclosing(self._answer(model, thought, tools, self._deadline(model, until))) as items:
                    async for item in items:
                        if stands_in:
                            yield stands_in
                            stands_in = None
                        begun = begun or not isinstance(item, Usage)
                        yield item
                return
            except ProviderFault as problem:
                if begun or problem.kind == "unauthorized":
                    raise
                fault = problem
        raise fault or ProviderFault(NAME, "missing", "no model")

    def _attempts(self) -> Iterator[tuple[str, bool]]:
        """Each model, and whether it was asked just before."""
        for model in self._options.models:
            for number in range(self._patience.tries):
                yield model, number > 0

    def _deadline(self, model: str, until: float) -> float:
        """When this model's first word is due."""
        last = model == self._options.models[-1]
        return until if last else until - self._patience.first_word * (1 - self._patience.share)

    async def _paused(self, fault: ProviderFault, until: float) -> bool:
        """Wait a moment before one more try, if there is time for one and it may help."""
        pause = random.uniform(*self._patience.pause)  # noqa: S311 - jitter
        if fault.kind not in _AGAIN or (fault.detail.startswith("HTTP 4") and fault.kind != "busy"):
            return False
        pause += fault.after_s if isinstance(fault, _Later) else 0.0
        if self._now() + pause >= until:
            return False
        await asyncio.sleep(pause)
        return True

    async def _answer(
        self, model: str, thought: Thought, tools: Mapping[str, StrictTool], due: float
    ) -> AsyncGenerator[Thinking, None]:
        """One attempt. The breaker knows of its first word and of what it raises; whoever hears it may go any time."""
        breaker = self._breakers[model]
        try:
            async with aclosing(self._stream(model, thought, tools, due)) as items:
                async for item in items:
                    if not isinstance(item, Usage):
                        breaker.worked()
                    yield item
        except ProviderFault as fault:
            if not fault.detail.startswith(("HTTP 400", "HTTP 422")):  # those are this request's fault, not the model's
                breaker.failed(self._now())
            raise

    async def _stream(
        self, model: str, thought: Thought, tools: Mapping[str, StrictTool], due: float
    ) -> AsyncGenerator[Thinking, None]:
        body = request(model, thought, tools, self._extra)
        reading = Reading(NAME, tools)
        answer = await self._post(body, due)
        try:
            if answer.status != 200:
                raise _later(
                    answer,
                    refusal(NAME, answer.status, await self._read(answer.whole(MOST_REFUSAL, due - self._now()))),
                )
            # What was taken is paid for, even if it is cut before it says what it cost.
            guessed = len(body) // CHARACTERS_A_TOKEN
            yield Usage(prompt=guessed)
            while not reading.over:
                wait = self._patience.between if reading.begun else due - self._now()
                data = await self._read(answer.read(wait))
                if not data:
                    break
                for item in reading.feed(data):
                    if isinstance(item, Usage):
                        item = Usage(item.prompt - guessed, item.completion, item.cached)
                    yield item
            for asked in reading.ended():
                yield asked
            if not answer.over:  # the end of the body, so that the connection can be kept
                with suppress(ProviderFault):
                    await self._read(answer.read(END_S))
        finally:
            answer.release()  # if nobody listens any more, the vendor is to stop

    async def _post(self, body: bytes, due: float) -> Answer:
        try:
            return await self._connections().request(
                "POST", "/chat/completions", within=due - self._now(), body=body, headers=_STREAMED
            )
        except TimeoutError as late:
            raise ProviderFault(NAME, "timeout", "no answer in time") from late
        except (OSError, ValueError) as problem:
            raise ProviderFault(NAME, "refused", type(problem).__name__) from problem

    async def _read(self, reading: Awaitable[bytes]) -> bytes:
        """What has come; empty at the end."""
        try:
            return await reading
        except TimeoutError as late:
            raise ProviderFault(NAME, "timeout", "no word in time") from late
        except OSError as problem:
            raise ProviderFault(NAME, "broken", type(problem).__name__) from problem
