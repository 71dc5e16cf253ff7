"""Chat Completions on the wire: what is asked, and what comes back as server-sent events. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from media_gateway.providers.openai_tools import Asking, StrictTool, as_request
from media_gateway.voice.ports import Message, ProviderFault, TextDelta, Thinking, Thought, ToolRequest, Usage

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

MOST_CALLS = 16
MOST_ARGUMENTS = 16_384
MOST_LINE = 262_144
"""Bytes of an event; more is no event."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Cached(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Cached | None = None


class _Error(msgspec.Struct, gc=False):
    message: str | None = None
    code: str | int | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | None = None


class _Refusal(msgspec.Struct, gc=False):
    error: _Error = msgspec.field(default_factory=_Error)


_DECODER = msgspec.json.Decoder(_Chunk)


def request(model: str, thought: Thought, tools: Mapping[str, StrictTool], options: Mapping[str, Any]) -> bytes:
    """The body of a streamed completion."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": thought.system}, *map(_message, thought.history)],
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        **options,
    }
    if tools:
        body |= {"tools": [tool.param for tool in tools.values()], "parallel_tool_calls": True}
    return msgspec.json.encode(cast("CompletionCreateParamsStreaming", body))


def _message(line: Message) -> ChatCompletionMessageParam:
    if line.role == "tool":
        return {"role": "tool", "tool_call_id": line.tool_call_id or "", "content": line.text}
    if line.role == "user":
        return {"role": "user", "content": line.text}
    if not line.tool_calls:
        return {"role": "assistant", "content": line.text}
    return {
        "role": "assistant",
        "content": line.text or None,
        "tool_calls": [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments), default=str)},
            }
            for call in line.tool_calls
        ],
    }


class Reading:
    """One answer as it comes. `begun` once there was anything to say or do."""

    def __init__(self, provider: str, offered: Mapping[str, StrictTool]) -> None:
        self.begun = False
        self.over = False
        self._provider = provider
        self._offered = offered
        self._line = b""
        self._asked: dict[int, Asking] = {}
        self._size = 0
        self._refused = False
        self._spoke = False
        self._finish = ""

    def feed(self, data: bytes) -> Iterator[Thinking]:
        """More bytes of the answer. Raises ProviderFault for what is none."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > MOST_LINE:
            raise self._broken("an event without end")
        for line in lines:
            if not line.startswith(b"data:"):
                continue  # a comment, a blank line, an event's name
            content = line[5:].strip()
            if content == b"[DONE]":
                self.over = True
                return
            yield from self._chunk(content)

    def ended(self) -> Iterator[ToolRequest]:
        """The connection has no more. Tool calls are given only now that they are whole. Raises ProviderFault if it
        ended too soon, or with nothing said for a reason."""
        if not self._finish:
            raise self._broken("the answer broke off")
        if self._finish == "content_filter":
            raise self._broken("stopped by the content filter")
        if self._refused and not self._spoke:
            raise self._broken("the model declines to answer")
        if not self.begun:
            raise self._broken("an empty answer")
        taken: list[str] = []
        for index in sorted(self._asked):
            made = as_request(self._asked[index], self._offered, taken)
            taken.append(made.call_id)
            yield made

    def _chunk(self, content: bytes) -> Iterator[Thinking]:
        try:
            chunk = _DECODER.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._broken("an event that is none") from None
        if chunk.error:
            raise self._broken(chunk.error.message or str(chunk.error.code))
        if chunk.usage:
            details = chunk.usage.prompt_tokens_details
            cached = details.cached_tokens or 0 if details else 0
            yield Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens, cached)
        for choice in chunk.choices[:1]:
            self._finish = choice.finish_reason or self._finish
            if choice.delta:
                yield from self._delta(choice.delta)

    def _delta(self, delta: _Delta) -> Iterator[TextDelta]:
        if delta.content:
            self.begun = self._spoke = True
            yield TextDelta(delta.content)
        self._refused = self._refused or bool(delta.refusal)
        for call in delta.tool_calls or ():
            self.begun = True
            asking = self._asked.setdefault(call.index, Asking())
            asking.id = call.id or asking.id
            if call.function:
                asking.name = call.function.name or asking.name
                asking.arguments.append(call.function.arguments or "")
                self._size += len(asking.arguments[-1])
            if len(self._asked) > MOST_CALLS or self._size > MOST_ARGUMENTS:
                raise self._broken("more tool calls than anybody needs")

    def _broken(self, detail: str) -> ProviderFault:
        return ProviderFault(self._provider, "broken", detail)


def refusal(provider: str, status: int, body: bytes) -> ProviderFault:
    """An answer that is not 200, as a fault with what the vendor says about it."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    kinds = {401: "unauthorized", 403: "unauthorized", 404: "missing", 408: "timeout", 429: "busy", 503: "busy"}
    detail = f"HTTP {status}" + (f" {error.code}" if error.code else "")
    if status in (400, 404, 422) and error.message:  # what is wrong with our request: for the journal, not for the log
        detail += f": {error.message[:200]}"
    return ProviderFault(provider, kinds.get(status, "broken"), detail)
