"""OpenAI's Chat Completions on the loopback interface, wire-exact as far as Callboard uses them: streamed (SSE, tools
in pieces, the usage chunk), and whole (JSON schemas). Strict about what OpenAI would refuse (`openai_rules`).

    async with OpenAiApi().serving() as openai:     # OPENAI_BASE_URL=openai.url, OPENAI_API_KEY=sk-simulated
        openai.say(Reply(text="Hello.", rate=50))   # the next answer; afterwards `brain` thinks by itself
        openai.faults.add(Fault(kind=Kind.BUSY))    # what the next requests meet

By hand: python -m infra.simulators.openai_api --port 8091 --first-token-ms 300 --rate 80
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from infra.simulators import openai_brain, openai_rules
from infra.simulators.http_wire import Exchange, HttpWire
from infra.simulators.openai_reply import Envelope, Reply, deltas, sse, usage
from infra.simulators.openai_rules import Refusal
from infra.simulators.vendor_faults import Faults, Kind, Trouble

API_KEY = "sk-simulated"
MODELS = ("gpt-6-luna", "gpt-5.6-luna", "gpt-5.4-mini")
KEPT = 1_000
RETRY_AFTER_S = 1


@dataclass(slots=True)
class Asked:
    """A request that was taken, and what became of its answer: `sent` chunks; `whole` when all of it went out, `gone`
    when the client closed before."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    sent: int = 0
    whole: bool = False
    gone: bool = False


@dataclass(slots=True, kw_only=True)
class OpenAiApi:
    """The service. Every request that was taken is in `asked`, every refusal in `refused`."""

    key: str = API_KEY
    models: tuple[str, ...] = MODELS
    brain: Callable[[Mapping[str, Any]], Reply] = openai_brain.think
    first_s: float = 0.0
    rate: float = 0.0
    faults: Faults = field(default_factory=Faults)
    faults_of: dict[str, Faults] = field(default_factory=dict)
    """Faults that befall the requests to one model only."""
    asked: deque[Asked] = field(default_factory=lambda: deque(maxlen=KEPT))
    refused: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    chunk_sent: Callable[[Asked], None] | None = None
    """Told after each chunk of a streamed answer."""
    port: int = 0
    _script: deque[Reply] = field(default_factory=deque)
    _wire: HttpWire | None = None

    @property
    def url(self) -> str:
        """OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        """How many clients hold a connection now."""
        return len(self._wire.connections) if self._wire else 0

    def say(self, *replies: Reply) -> None:
        """What the next requests are answered with, in this order."""
        self._script.extend(replies)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[OpenAiApi]:
        """On `port`, or a free one."""
        self._wire = HttpWire(self._handle)
        async with self._wire.serving(self.port) as self.port:
            yield self

    # --- the routes ---

    async def _handle(self, exchange: Exchange) -> None:
        headers = {"x-request-id": f"req_{secrets.token_hex(16)}", "openai-processing-ms": "1"}
        try:
            self._authorize(exchange)
            if exchange.method == "POST" and exchange.path == "/v1/chat/completions":
                await self._complete(exchange, headers)
            elif exchange.method == "GET" and exchange.path.startswith("/v1/models"):
                exchange.answer(200, self._models(exchange.path.removeprefix("/v1/models").strip("/")), headers)
            else:
                raise Refusal(f"Unknown request URL: {exchange.method} {exchange.path}.", None, "unknown_url", 404)
        except Refusal as refusal:
            self.refused.append(refusal.body["error"])
            exchange.answer(refusal.status, refusal.body, headers)

    def _authorize(self, exchange: Exchange) -> None:
        given = exchange.headers.get("authorization", "")
        if not given.startswith("Bearer ") or not given[7:].strip():
            raise Refusal("You didn't provide an API key.", status=401)
        if given[7:] != self.key:
            raise Refusal("Incorrect API key provided: sk-*****.", None, "invalid_api_key", 401)

    def _models(self, name: str) -> dict[str, Any]:
        listed = [{"id": one, "object": "model", "created": 0, "owned_by": "system"} for one in self.models]
        if not name:
            return {"object": "list", "data": listed}
        found = [one for one in listed if one["id"] == name]
        if not found:
            raise Refusal(f"The model '{name}' does not exist", "model", "model_not_found", 404)
        return found[0]

    async def _complete(self, exchange: Exchange, headers: Mapping[str, str]) -> None:
        try:
            parsed = json.loads(exchange.body)
        except ValueError:
            raise Refusal("We could not parse the JSON body of your request.") from None
        model = parsed.get("model") if isinstance(parsed, dict) else None
        faults = self.faults_of.get(model) if isinstance(model, str) else None
        trouble = (self.faults if faults is None else faults).take()
        if trouble.fault and trouble.fault.at_once and await _refused(exchange, trouble, headers):
            return
        body = openai_rules.check(parsed, self.models)
        asked = Asked(body, exchange.headers)
        self.asked.append(asked)
        reply = self._script.popleft() if self._script else self._thought(body)
        if trouble.striking is Kind.EMPTY:
            reply = Reply(finish="stop")
        try:
            if body.get("stream"):
                await _Stream(exchange, asked, reply, trouble, headers, self.chunk_sent).run()
            else:
                await self._whole(exchange, asked, reply, trouble, headers)
        finally:
            asked.gone = exchange.gone

    def _thought(self, body: Mapping[str, Any]) -> Reply:
        reply = self.brain(body)
        return replace(reply, first_s=reply.first_s or self.first_s, rate=reply.rate or self.rate)

    async def _whole(
        self, exchange: Exchange, asked: Asked, reply: Reply, trouble: Trouble, headers: Mapping[str, str]
    ) -> None:
        await asyncio.sleep(reply.first_s)
        match trouble.strikes():
            case Kind.GARBAGE:
                exchange.answer(200, _bytes(trouble.garbage()), headers)
            case Kind.SLOW:
                await asyncio.sleep((trouble.fault.delay_ms if trouble.fault else 0) / 1000)
        if not exchange.done:
            used = usage(json.dumps(asked.body["messages"]), reply)
            exchange.answer(200, Envelope(model=asked.body["model"]).completion(reply, used), headers)
        asked.whole = True


async def _refused(exchange: Exchange, trouble: Trouble, headers: Mapping[str, str]) -> bool:
    """A fault that strikes before anything was read of the request."""
    assert trouble.fault
    match trouble.fault.kind:
        case Kind.REFUSED | Kind.CUT:
            exchange.abort()
        case Kind.UNAUTHORIZED:
            raise Refusal("Incorrect API key provided: sk-*****.", None, "invalid_api_key", 401)
        case Kind.BUSY:
            body = Refusal("Rate limit reached for requests", None, "rate_limit_exceeded", 429, "requests").body
            exchange.answer(429, body, {**headers, "Retry-After": str(RETRY_AFTER_S)})
        case Kind.ERROR | Kind.CLOSE:
            status = trouble.fault.code if 500 <= trouble.fault.code < 600 else 500
            exchange.answer(status, Refusal("The server had an error", status=status).body, headers)
        case Kind.HUNG:
            await asyncio.Event().wait()
        case _:
            return False
    return True


class _Stream:
    """One streamed answer."""

    def __init__(
        self,
        exchange: Exchange,
        asked: Asked,
        reply: Reply,
        trouble: Trouble,
        headers: Mapping[str, str],
        chunk_sent: Callable[[Asked], None] | None = None,
    ) -> None:
        self._chunk_sent = chunk_sent
        self._exchange = exchange
        self._asked = asked
        self._reply = reply
        self._trouble = trouble
        self._headers = headers
        options = asked.body.get("stream_options") or {}
        self._envelope = Envelope(
            model=asked.body["model"],
            include_usage=bool(options.get("include_usage")),
            obfuscated=options.get("include_obfuscation", True),
        )

    async def run(self) -> None:
        """All of it, or as far as the fault lets it go."""
        kind = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        self._exchange.begin(200, {**kind, **self._headers})
        await asyncio.sleep(self._reply.first_s)
        for number, delta in enumerate(deltas(self._reply)):
            if number > 1 and self._reply.rate:
                await asyncio.sleep(1 / self._reply.rate)
            if not await self._send(self._envelope.chunk(delta)):
                return
        if not await self._send(self._envelope.chunk({}, self._reply.finish_reason)):
            return
        if self._envelope.include_usage:
            used = usage(json.dumps(self._asked.body["messages"]), self._reply)
            if not await self._send(self._envelope.usage_chunk(used)):
                return
        self._exchange.send(sse("[DONE]"))
        self._exchange.end()
        self._asked.whole = True

    async def _send(self, chunk: Mapping[str, Any]) -> bool:
        """False when the answer is over."""
        match self._trouble.strikes():
            case Kind.HUNG:
                await asyncio.Event().wait()
            case Kind.SLOW:
                assert self._trouble.fault
                await asyncio.sleep(self._trouble.fault.delay_ms / 1000)
            case Kind.GARBAGE:
                self._exchange.send(b"data: " + _bytes(self._trouble.garbage()) + b"\n\n")
                return True
            case Kind.CUT | Kind.REFUSED:
                self._exchange.abort()
                return False
            case Kind.ERROR | Kind.BUSY | Kind.UNAUTHORIZED:
                self._exchange.send(sse(Refusal("The server had an error", status=500).body))
                self._exchange.end()
                return False
            case Kind.CLOSE:
                self._exchange.end()
                return False
        self._exchange.send(sse(chunk))
        self._asked.sent += 1
        if self._chunk_sent:
            self._chunk_sent(self._asked)
        return True


def _bytes(junk: str | bytes) -> bytes:
    return junk.encode() if isinstance(junk, str) else junk


async def _serve(api: OpenAiApi) -> None:
    async with api.serving():
        print(f"OPENAI_BASE_URL={api.url} OPENAI_API_KEY={api.key}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


def main() -> None:
    """Until interrupted."""
    parser = argparse.ArgumentParser(description="OpenAI's Chat Completions on this machine.")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--first-token-ms", type=float, default=300.0)
    parser.add_argument("--rate", type=float, default=80.0, help="tokens a second")
    options = parser.parse_args()
    api = OpenAiApi(port=options.port, first_s=options.first_token_ms / 1000, rate=options.rate)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(api))


if __name__ == "__main__":
    main()
