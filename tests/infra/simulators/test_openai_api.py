"""The simulated OpenAI, checked with OpenAI's own SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from infra.simulators.openai_api import API_KEY, OpenAiApi
from infra.simulators.openai_brain import LOST, instance
from infra.simulators.openai_reply import Call, Reply
from infra.simulators.openai_rules import not_strict
from infra.simulators.vendor_faults import Fault, Kind

pytestmark = pytest.mark.anyio

MODEL = "gpt-6-luna"
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]
OBJECT = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "look", "description": "d", "parameters": OBJECT, "strict": True}}


@asynccontextmanager
async def service(**more: Any) -> AsyncIterator[tuple[OpenAiApi, AsyncOpenAI]]:
    async with (
        OpenAiApi(**more).serving() as api,
        AsyncOpenAI(api_key=API_KEY, base_url=api.url, max_retries=0, timeout=5) as client,
    ):
        yield api, client


async def streamed(client: AsyncOpenAI, **more: Any) -> list[ChatCompletionChunk]:
    body: dict[str, Any] = {"model": MODEL, "messages": HELLO, "stream_options": {"include_usage": True}, **more}
    return [chunk async for chunk in await client.chat.completions.create(stream=True, **body)]


def said(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def test_a_text_comes_in_tokens_then_its_finish_then_its_usage() -> None:
    async with service() as (api, client):
        api.say(Reply(text="You are booked for Monday.", cached=1))
        chunks = await streamed(client)
        assert said(chunks) == "You are booked for Monday."
        assert len(chunks) > 5
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-2:] == [None, "stop"]
        assert chunks[-1].choices == []
        usage = chunks[-1].usage
        assert usage
        assert usage.prompt_tokens > 0
        assert usage.prompt_tokens_details
        assert usage.prompt_tokens_details.cached_tokens == 1
        assert len({chunk.id for chunk in chunks}) == 1
        assert api.asked[0].whole
        assert not any(chunk.usage for chunk in await streamed(client, stream_options=None))


async def test_tool_calls_side_by_side_come_with_their_arguments_in_pieces() -> None:
    async with service() as (api, client):
        api.say(Reply(calls=(Call(name="look", arguments={"day": "2026-11-23"}), Call(name="look", id="call_2"))))
        chunks = await streamed(client, tools=[TOOL], parallel_tool_calls=True)
        pieces = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
        assert {piece.index for piece in pieces if piece.id} == {0, 1}
        assert sum(piece.index == 0 for piece in pieces) > 2
        first = "".join(p.function.arguments or "" for p in pieces if p.index == 0 and p.function)
        assert json.loads(first) == {"day": "2026-11-23"}
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"


async def test_a_whole_answer_fits_the_schema_that_was_wanted() -> None:
    schema = {
        "type": "object",
        "properties": {
            "mood": {"enum": ["good", "bad"], "type": "string"},
            "count": {"type": "integer"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
        },
        "required": ["mood", "count", "note", "tags"],
        "additionalProperties": False,
        "$defs": {"tag": {"type": "string"}},
    }
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "analysis", "schema": schema, "strict": True}}
    async with service() as (_, client):
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO, response_format=wanted)  # type: ignore[arg-type]
        assert json.loads(answer.choices[0].message.content or "") == instance(schema)
        assert instance(schema) == {"mood": "good", "count": 0, "note": None, "tags": [""]}
        assert answer.usage


async def test_the_brain_does_what_its_instructions_say() -> None:
    system = 'Rules.\nAsk for the tool look with {"day": "x"}.\nNow say, in your own words: "It is \\"fine\\"."'
    asked: list[dict[str, Any]] = [{"role": "system", "content": system}, *HELLO]
    async with service() as (_, client):
        assert said(await streamed(client, messages=asked)) == 'It is "fine".'
        chunks = await streamed(client, messages=asked, tools=[TOOL])
        assert [c.choices[0].delta.tool_calls for c in chunks if c.choices and c.choices[0].delta.tool_calls]
        call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        answered = [
            *asked,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "{}"},
        ]
        assert said(await streamed(client, messages=answered, tools=[TOOL])) == 'It is "fine".'
        assert said(await streamed(client)) == LOST


def calls(*ids: str) -> dict[str, Any]:
    made = [{"id": one, "type": "function", "function": {"name": "look", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": made}


def answer(one: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": one, "content": "{}"}


def tool(schema: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": "look", "parameters": schema, "strict": True, **more}}]


LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": [*HELLO, calls("a", "b"), answer("a")]}, "did not have response messages: b"),
        ({"messages": [*HELLO, calls("a"), *HELLO]}, "did not have response messages: a"),
        ({"messages": [*HELLO, answer("a")]}, "must be a response to a preceeding message"),
        ({"messages": [*HELLO, calls("a"), answer("a"), answer("a")]}, "must be a response"),
        ({"messages": [*HELLO, calls("a", "a")]}, "used twice"),
        ({"messages": [*HELLO, calls("a" * 41)]}, "string too long"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": []}]}, "empty array"),
        ({"messages": [{"role": "caller", "content": "x"}]}, "Invalid value: 'caller'"),
        ({"messages": [{"role": "user", "content": None}]}, "Invalid value for 'content'"),
        ({"messages": [{"role": "user", "content": "x", "mood": "y"}]}, "Unknown parameter"),
        ({"messages": []}, "empty array"),
        ({"extra_body": {"speed": 2}}, "Unknown parameter: 'speed'"),
        ({"parallel_tool_calls": True}, "only allowed when 'tools' are specified"),
        ({"max_tokens": 5}, "max_completion_tokens"),
        ({"temperature": 0.2}, "temperature"),
        ({"reasoning_effort": "huge"}, "Invalid value: 'huge'"),
        ({"tools": []}, "array"),
        ({"tools": tool(LOOSE)}, "'required' is required"),
        ({"tools": tool({**OBJECT, "additionalProperties": True})}, "additionalProperties"),
        ({"tools": tool(OBJECT, name="no spaces")}, "does not match"),
        ({"tools": tool(OBJECT, speed=1)}, "Unknown parameter"),
        ({"tools": tool({"type": "string"})}, "must be of type 'object'"),
    ],
)
async def test_what_openai_would_refuse_is_refused(body: dict[str, Any], told: str) -> None:
    async with service() as (api, client):
        with pytest.raises(openai.BadRequestError, match=told):
            await streamed(client, **body)
        assert not api.asked
        assert len(api.refused) == 1


def test_what_strict_mode_cannot_keep() -> None:
    nested = {**OBJECT, "properties": {"a": {"type": "string", "default": "x"}}, "required": ["a"]}
    listed = {**OBJECT, "properties": {"a": {"type": "array", "items": {"minLength": 1}}}, "required": ["a"]}
    assert [problem for _, problem in not_strict(nested, ())] == ["'default' is not permitted"]
    assert len(list(not_strict(listed, ()))) == 2
    assert not list(not_strict(OBJECT, ()))


async def test_who_has_no_key_or_a_wrong_one_or_wants_an_unknown_model() -> None:
    async with service() as (api, client):
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            await streamed(client.with_options(api_key="sk-wrong"))
        with pytest.raises(openai.AuthenticationError, match="didn't provide"):
            await streamed(client, extra_headers={"Authorization": "Basic eA=="})
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            await streamed(client, model="gpt-1")
        assert (await client.models.retrieve(MODEL)).id == MODEL
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-1")
        assert not api.asked


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (Fault(kind=Kind.REFUSED), openai.APIConnectionError),
        (Fault(kind=Kind.UNAUTHORIZED), openai.AuthenticationError),
        (Fault(kind=Kind.BUSY), openai.RateLimitError),
        (Fault(kind=Kind.ERROR, code=503), openai.InternalServerError),
        (Fault(kind=Kind.CUT, after_messages=3), openai.APIConnectionError),
        (Fault(kind=Kind.ERROR, after_messages=3), openai.APIError),
        (Fault(kind=Kind.GARBAGE, after_messages=2), json.JSONDecodeError),
        (Fault(kind=Kind.HUNG), openai.APITimeoutError),
        (Fault(kind=Kind.HUNG, after_messages=2), openai.APITimeoutError),
    ],
)
async def test_faults_at_the_socket(fault: Fault, raised: type[Exception]) -> None:
    async with service() as (api, client):
        api.faults.add(fault)
        with pytest.raises(raised) as caught:
            await streamed(client.with_options(timeout=0.3))
        if isinstance(caught.value, openai.RateLimitError):
            assert caught.value.response.headers["retry-after"] == "1"
        assert said(await streamed(client)) == LOST


async def test_an_empty_answer_a_slow_one_and_one_that_ends_too_soon() -> None:
    async with service() as (api, client):
        api.faults.add(
            Fault(kind=Kind.EMPTY),
            Fault(kind=Kind.SLOW, delay_ms=1),
            Fault(kind=Kind.CLOSE, after_messages=2),
        )
        assert said(await streamed(client)) == ""
        assert said(await streamed(client)) == LOST
        assert 0 < len(said(await streamed(client))) < len(LOST)


async def test_it_sees_that_the_client_went_away() -> None:
    async with service(first_s=30.0) as (api, client):
        asking = asyncio.create_task(streamed(client))
        while not api.asked:
            await asyncio.sleep(0.005)
        asking.cancel()
        await asyncio.wait({asking})
        while not api.asked[0].gone:
            await asyncio.sleep(0.005)
        assert not api.asked[0].whole
        assert not api.open_connections
