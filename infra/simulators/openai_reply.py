"""What a simulated model answers, and that as the chunks of a stream or as one completion. Pure."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Finish = Literal["stop", "length", "tool_calls", "content_filter"]
CHARACTERS_A_TOKEN = 4
_TOKEN = re.compile(r"\s?[^\s]{1,8}|\s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool that the model asks for. `arguments` as text are sent as they are, broken or not."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = ""

    @property
    def text(self) -> str:
        """The arguments as they go out."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`first_s` until the first token; `rate` tokens a second after that (0: as fast as it goes)."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    first_s: float = 0.0
    rate: float = 0.0
    finish: Finish | None = None
    refusal: str = ""
    cached: int = 0

    @property
    def finish_reason(self) -> Finish:
        """As said, or what fits."""
        return self.finish or ("tool_calls" if self.calls else "stop")


def tokens(text: str) -> list[str]:
    """Pieces as a model makes them: a short word with its space."""
    return _TOKEN.findall(text)


def counted(text: str) -> int:
    """Tokens, about."""
    return -(-len(text) // CHARACTERS_A_TOKEN)


def usage(prompt: str, reply: Reply) -> dict[str, Any]:
    """The `usage` of an answer."""
    asked = counted(prompt)
    answered = counted(reply.text + reply.refusal) + sum(counted(call.name + call.text) for call in reply.calls)
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": min(reply.cached, asked), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    """The `delta` of each chunk, one token each. Tool calls come one after the other, their arguments in pieces: the
    id and the name only with the first."""
    first = {"role": "assistant", "content": None if reply.calls and not reply.text else "", "refusal": None}
    if reply.text or reply.refusal or not reply.calls:
        yield first
    for piece in tokens(reply.text):
        yield {"content": piece}
    for piece in tokens(reply.refusal):
        yield {"refusal": piece}
    for index, call in enumerate(reply.calls):
        function = {"name": call.name, "arguments": ""}
        asked = {"index": index, "id": call.id or f"call_{secrets.token_hex(12)}", "type": "function"}
        opening = {"tool_calls": [{**asked, "function": function}]}
        yield opening if index or reply.text else {**first, **opening}
        for piece in tokens(call.text):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is the same in every chunk of an answer."""

    model: str
    include_usage: bool = False
    obfuscated: bool = True
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(14)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def _base(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }

    def chunk(self, delta: Mapping[str, Any], finish: Finish | None = None) -> dict[str, Any]:
        """A `chat.completion.chunk`."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        last = {"usage": None} if self.include_usage else {}
        padding = {"obfuscation": secrets.token_urlsafe(6)} if self.obfuscated else {}
        return {**self._base("chat.completion.chunk"), "choices": [choice], **last, **padding}

    def usage_chunk(self, used: Mapping[str, Any]) -> dict[str, Any]:
        """The last one, without a choice."""
        return {**self._base("chat.completion.chunk"), "choices": [], "usage": used}

    def completion(self, reply: Reply, used: Mapping[str, Any]) -> dict[str, Any]:
        """The whole answer at once."""
        calls = [
            {
                "id": call.id or f"call_{secrets.token_hex(12)}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.text},
            }
            for call in reply.calls
        ]
        message = {
            "role": "assistant",
            "content": reply.text or (None if calls or reply.refusal else ""),
            "refusal": reply.refusal or None,
            "annotations": [],
            **({"tool_calls": calls} if calls else {}),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
        return {**self._base("chat.completion"), "choices": [choice], "usage": used}


def sse(data: Mapping[str, Any] | str) -> bytes:
    """One event of the stream."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
