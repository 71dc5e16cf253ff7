"""The OpenAI adapter against the simulated service: what it sends is accepted, what comes is understood, what goes
wrong is met in time."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from infra.simulators.openai_api import API_KEY, Asked, OpenAiApi
from infra.simulators.openai_reply import Call, Reply
from infra.simulators.vendor_faults import Fault, Faults, Kind
from media_gateway.providers.openai_mind import MindOptions, MindPatience, OpenAiMind
from media_gateway.tools.router import Router
from media_gateway.voice.ports import (
    Message,
    ProviderFault,
    StoodIn,
    TextDelta,
    Thinking,
    Thought,
    ToolRequest,
    Usage,
)

pytestmark = pytest.mark.anyio

MODEL, STAND_IN = "gpt-6-luna", "gpt-5.4-mini"
ROUTER = Router()
EASY = MindPatience(first_word=6.0, between=1.0, pause=(0.0, 0.01))
QUICK = MindPatience(first_word=0.6, between=0.6, pause=(0.0, 0.01))
LINE = "It is forty-nine dollars. Shall I book that for you?"


@asynccontextmanager
async def minded(
    *models: str, key: str = API_KEY, patience: MindPatience = EASY, **more: Any
) -> AsyncIterator[tuple[OpenAiApi, OpenAiMind]]:
    async with OpenAiApi(**more).serving() as api:
        options = MindOptions(api_key=key, base_url=api.url, models=models or (MODEL,), patience=patience)
        mind = OpenAiMind(options)
        try:
            yield api, mind
        finally:
            await mind.aclose()
            await mind.aclose()


def thought(*tools: str, history: tuple[Message, ...] = (Message("user", "how much?"),)) -> Thought:
    system = f"You are kind.\nNow say, in your own words: {json.dumps(LINE)}"
    return Thought(1, system, history, ROUTER.schemas(tools), LINE)


async def all_of(mind: OpenAiMind, about: Thought | None = None) -> list[Thinking]:
    async with aclosing(mind.think(about or thought())) as items:
        return [item async for item in items]


def said(items: list[Thinking]) -> str:
    return "".join(item.text for item in items if isinstance(item, TextDelta))


async def test_words_as_they_come_and_the_tokens_they_cost() -> None:
    async with minded() as (api, mind):
        api.say(Reply(text=LINE, cached=2))
        items = await all_of(mind)
        assert said(items) == LINE
        assert len(items) > 5
        assert isinstance(items[-1], Usage)
        assert (items[-1].cached, items[-1].completion) == (2, -(-len(LINE) // 4))
        prompt = json.dumps(api.asked[0].body["messages"])
        assert sum(item.prompt for item in items if isinstance(item, Usage)) == -(-len(prompt) // 4)
        body = api.asked[0].body
        assert (body["model"], body["reasoning_effort"]) == (MODEL, "none")
        assert api.asked[0].headers["authorization"] == f"Bearer {API_KEY}"


@pytest.mark.parametrize(("url", "key"), [("", "sk-1\nsk-2"), ("", "sk-\u00e4"), ("api.openai.com/v1", API_KEY)])
async def test_a_key_or_an_address_that_is_none_is_told_at_the_start_with_its_remedy(url: str, key: str) -> None:
    async with OpenAiApi().serving() as api:
        mind = OpenAiMind(MindOptions(api_key=key, base_url=url or api.url, models=(MODEL,)))
        with pytest.raises(ProviderFault, match="OPENAI_BASE_URL and OPENAI_API_KEY") as told:
            await mind.warm()
        assert key not in told.value.detail
        with pytest.raises(ProviderFault):
            await all_of(mind)
        await mind.aclose()


async def test_one_connection_serves_one_turn_after_the_other() -> None:
    async with minded() as (api, mind):
        for _ in range(5):
            await all_of(mind)
        assert api.open_connections == 1
        await asyncio.gather(*(all_of(mind) for _ in range(8)))
        assert api.open_connections == 8


async def test_every_tool_there_is_fits_strict_mode() -> None:
    async with minded() as (api, mind):
        assert said(await all_of(mind, thought(*ROUTER.names))) == LINE
        sent = api.asked[0].body["tools"]
        assert [tool["function"]["name"] for tool in sent] == list(ROUTER.names)
        assert all(tool["function"]["strict"] for tool in sent)
        assert not api.refused


async def test_a_history_with_tools_is_one_that_openai_takes() -> None:
    calls = (ToolRequest("script_1", "get_available_slots", {"date": "2026-11-23"}), ToolRequest("c2", "end_call", {}))
    history = (
        Message("assistant", "Hello."),
        Message("user", "book it"),
        Message("assistant", "", tool_calls=calls),
        Message("tool", '{"times": []}', tool_call_id="script_1"),
        Message("tool", "{}", tool_call_id="c2"),
        Message("assistant", "Nothing is free."),
    )
    async with minded() as (api, mind):
        assert said(await all_of(mind, thought(history=history))) == LINE
        sent = api.asked[0].body["messages"]
        assert [message["role"] for message in sent] == [
            "system",
            "assistant",
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
        ]
        assert json.loads(sent[3]["tool_calls"][0]["function"]["arguments"]) == {"date": "2026-11-23"}


async def test_tools_side_by_side_come_whole_and_null_means_left_out() -> None:
    calls = (
        Call(name="get_available_slots", arguments={"date": "2026-11-23", "service_type": None}, id="call_1"),
        Call(name="transfer_to_human", arguments={"reason": "anger"}),
    )
    async with minded() as (api, mind):
        api.say(Reply(text="One moment.", calls=calls))
        items = await all_of(mind, thought("get_available_slots", "transfer_to_human"))
        first, second = [item for item in items if isinstance(item, ToolRequest)]
        assert first == ToolRequest("call_1", "get_available_slots", {"date": "2026-11-23"})
        assert (second.name, second.arguments, second.problem) == ("transfer_to_human", {"reason": "anger"}, "")
        assert said(items) == "One moment."


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (Call(name="end_call", arguments='{"reason": '), "no JSON"),
        (Call(name="end_call", arguments='["now"]'), "no JSON object"),
        (Call(name="get customer's record", arguments={"id": "7"}), "no such tool"),
        (Call(name="book_appointment", arguments={}), "no such tool"),
    ],
)
async def test_a_call_that_is_none_comes_with_its_problem_and_fits_a_history(call: Call, problem: str) -> None:
    async with minded() as (api, mind):
        api.say(Reply(calls=(call,)))
        (asked,) = [item for item in await all_of(mind, thought("end_call")) if isinstance(item, ToolRequest)]
        assert problem in asked.problem
        assert asked.arguments == {}
        history = (Message("assistant", "", tool_calls=(asked,)), Message("tool", "{}", tool_call_id=asked.call_id))
        assert said(await all_of(mind, thought(history=history))) == LINE


async def test_two_calls_with_one_id_get_one_each() -> None:
    async with minded() as (api, mind):
        api.say(Reply(calls=(Call(name="end_call", id="c"), Call(name="end_call", id="c"))))
        asked = [item for item in await all_of(mind, thought("end_call")) if isinstance(item, ToolRequest)]
        assert len({one.call_id for one in asked}) == 2


async def gone(asked: Asked) -> None:
    async with asyncio.timeout(3):
        while not asked.gone:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("after", [0, 1, 4])
async def test_who_stops_listening_stops_the_answer_at_the_service(after: int) -> None:
    async with minded() as (api, mind):
        api.say(Reply(text=LINE * 20, rate=50, first_s=0.0 if after else 30.0))
        heard = 0

        async def listen() -> None:
            nonlocal heard
            async with aclosing(mind.think(thought())) as items:
                async for _ in items:
                    heard += 1

        task = asyncio.create_task(listen())
        async with asyncio.timeout(5):
            while not api.asked or heard < after:
                await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait({task})
        await gone(api.asked[0])
        assert not api.asked[0].whole
        assert api.asked[0].sent < 100
        assert not api.open_connections
        assert said(await all_of(mind)) == LINE


async def test_an_iterator_that_is_closed_early_closes_the_connection() -> None:
    async with minded() as (api, mind):
        api.say(Reply(text=LINE * 20, rate=50))
        async with aclosing(mind.think(thought())) as items:
            used = await anext(items)
            assert isinstance(used, Usage)
            assert used.prompt > 50, "what was asked is paid for"
            assert isinstance(await anext(items), TextDelta)
        await gone(api.asked[0])


BEFORE = [
    (Fault(kind=Kind.REFUSED), "refused"),
    (Fault(kind=Kind.BUSY), "busy"),
    (Fault(kind=Kind.ERROR, code=500), "broken"),
    (Fault(kind=Kind.ERROR, code=503), "busy"),
    (Fault(kind=Kind.CUT), "refused"),
    (Fault(kind=Kind.CUT, after_messages=1), "broken"),
    (Fault(kind=Kind.CLOSE, after_messages=1), "broken"),
    (Fault(kind=Kind.ERROR, after_messages=1), "broken"),
    (Fault(kind=Kind.GARBAGE), "broken"),
    (Fault(kind=Kind.EMPTY), "broken"),
    (Fault(kind=Kind.HUNG), "timeout"),
    (Fault(kind=Kind.HUNG, after_messages=1), "timeout"),
]


@pytest.mark.parametrize(("fault", "kind"), BEFORE)
async def test_before_the_first_word_a_second_model_stands_in(fault: Fault, kind: str) -> None:
    hung = MindPatience(first_word=2.5, share=0.3, pause=(0.0, 0.01))
    async with minded(MODEL, STAND_IN, patience=hung if kind == "timeout" else EASY) as (api, mind):
        api.faults_of[MODEL] = Faults(*[fault] * 9)
        items = await all_of(mind)
        assert said(items) == LINE
        (stood_in,) = [item for item in items if isinstance(item, StoodIn)]
        assert (stood_in.kind, stood_in.by) == (kind, STAND_IN)


@pytest.mark.parametrize(("fault", "kind"), BEFORE)
async def test_with_no_other_model_the_fault_is_told_in_time(fault: Fault, kind: str) -> None:
    async with minded(patience=QUICK if kind in ("timeout", "busy") else EASY) as (api, mind):
        api.faults.add(*[fault] * 9)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProviderFault) as raised:
            await all_of(mind)
        assert raised.value.kind == kind
        assert asyncio.get_running_loop().time() - began < 3
        assert len(api.faults.met) <= 2
    assert API_KEY not in str(raised.value)


@pytest.mark.parametrize("fault", [fault for fault, kind in BEFORE if kind not in ("timeout", "busy")])
async def test_one_more_try_mends_what_was_short(fault: Fault) -> None:
    async with minded() as (api, mind):
        api.faults.add(fault)
        assert said(await all_of(mind)) == LINE


async def test_who_is_told_to_come_back_later_does_not_come_at_once() -> None:
    async with minded(patience=QUICK) as (api, mind):
        api.faults.add(Fault(kind=Kind.BUSY))
        with pytest.raises(ProviderFault, match="429"):  # Retry-After is a second, and there is less time than that
            await all_of(mind)
        assert len(api.faults.met) == 1
        assert not api.asked


BROKEN = [Kind.CUT, Kind.CLOSE, Kind.ERROR, Kind.GARBAGE, Kind.HUNG]


@pytest.mark.parametrize("kind", BROKEN)
async def test_once_there_were_words_nothing_is_tried_again(kind: Kind) -> None:
    async with minded(MODEL, STAND_IN) as (api, mind):
        api.faults.add(Fault(kind=kind, after_messages=4))
        items: list[Thinking] = []

        async def listen() -> None:
            async with aclosing(mind.think(thought())) as stream:
                async for item in stream:
                    items.append(item)  # noqa: PERF401 - what came before the fault counts

        with pytest.raises(ProviderFault) as raised:
            await listen()
        assert raised.value.kind in ("broken", "timeout")
        assert LINE.startswith(said(items))
        assert said(items)
        assert not any(isinstance(item, StoodIn) for item in items)
        assert len(api.asked) == 1


@pytest.mark.parametrize("kind", BROKEN)
async def test_half_a_tool_call_is_none_and_another_answer_is_fetched(kind: Kind) -> None:
    async with minded(MODEL, STAND_IN) as (api, mind):
        call = Call(name="get_available_slots", arguments={"date": "2026-11-23", "service_type": "oil_change"})
        api.say(Reply(calls=(call,)))
        api.faults.add(Fault(kind=kind, after_messages=4))
        items = await all_of(mind, thought("get_available_slots"))
        assert not any(isinstance(item, ToolRequest) for item in items)
        assert said(items) == LINE


async def test_slow_words_are_words() -> None:
    async with minded() as (api, mind):
        api.faults.add(Fault(kind=Kind.SLOW, delay_ms=20))
        assert said(await all_of(mind)) == LINE


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (Reply(text="", refusal="I cannot help with that."), "declines"),
        (Reply(text="", finish="content_filter"), "content filter"),
    ],
)
async def test_a_model_that_will_not_answer(reply: Reply, detail: str) -> None:
    async with minded() as (api, mind):
        api.say(reply, reply)
        with pytest.raises(ProviderFault, match=detail):
            await all_of(mind)


async def test_a_service_that_keeps_failing_is_left_alone_for_a_while() -> None:
    now = 0.0
    async with OpenAiApi().serving() as api:
        options = MindOptions(api_key=API_KEY, base_url=api.url, models=(MODEL,), patience=EASY)
        mind = OpenAiMind(options, now=lambda: now)
        api.faults.add(*[Fault(kind=Kind.ERROR, code=500)] * 4)
        for _ in range(5):
            with pytest.raises(ProviderFault):
                await all_of(mind)
        assert len(api.faults.met) == 3
        now = 11.0
        with pytest.raises(ProviderFault):
            await all_of(mind)  # the one that tries
        assert len(api.faults.met) == 4
        now = 22.0
        assert said(await all_of(mind)) == LINE
        assert said(await all_of(mind)) == LINE
        await mind.aclose()


async def test_a_good_key_and_known_models_are_warm() -> None:
    async with minded(MODEL, STAND_IN) as (_, mind):
        await mind.warm()


async def test_a_wrong_key_stops_the_start_and_says_what_to_do() -> None:
    async with minded(key="sk-wrong") as (_, mind):
        with pytest.raises(ProviderFault, match=r"OPENAI_API_KEY is refused at .* set a valid key") as raised:
            await mind.warm()
        assert raised.value.kind == "unauthorized"
        with pytest.raises(ProviderFault, match="401"):
            await all_of(mind)


@pytest.mark.parametrize(("models", "variable"), [(("gpt-1",), "OPENAI_MODEL"), ((MODEL, "x"), "OPENAI_MODEL_STANDIN")])
async def test_a_model_that_there_is_not_stops_the_start(models: tuple[str, ...], variable: str) -> None:
    async with minded(*models) as (_, mind):
        with pytest.raises(ProviderFault, match=f"set {variable} to one that there is"):
            await mind.warm()


async def test_a_service_that_cannot_be_reached_does_not_stop_the_start() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        mind = OpenAiMind(MindOptions(api_key=API_KEY, base_url=url, models=(MODEL,), patience=EASY))
        await mind.warm()
        with pytest.raises(ProviderFault) as raised:
            await all_of(mind)
        assert raised.value.kind == "refused"
        await mind.aclose()


async def test_a_service_that_is_well_again_is_so_even_if_nobody_listens_to_the_end() -> None:
    async with minded() as (api, mind):
        api.faults.add(*[Fault(kind=Kind.ERROR, code=500)] * 2)
        with pytest.raises(ProviderFault):
            await all_of(mind)
        for _ in range(3):
            async with aclosing(mind.think(thought())) as items:
                assert [isinstance(await anext(items), kind) for kind in (Usage, TextDelta)] == [True, True]
        api.faults.add(Fault(kind=Kind.ERROR, code=500))
        assert said(await all_of(mind)) == LINE, "one fault after that is the first, not the third"
