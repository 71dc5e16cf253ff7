"""Effects outside the store, on both stores: the intent first, at most once, and looked up when the answer was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_gateway.tools.effects import SKEW, Outcome, once
from media_gateway.tools.port import ToolContext
from media_gateway.tools.services import EffectFailed, EffectRefused, EffectUnknown
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Doc, DocumentStore, Query, StoreUnavailable, Write
from tests.media_gateway.tools.scene import NOW, Scene
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio


@pytest.fixture(params=BOTH)
async def context(request: pytest.FixtureRequest) -> AsyncIterator[ToolContext]:
    async with opened(opener(request.param, request, clock=lambda: NOW)) as store:
        yield Scene(store).context("CA1", None)


@dataclass
class Outside:
    """Does a thing and knows what was done; `plan` says how each attempt goes: ok, lost (done, answer gone), refused,
    failed."""

    plan: list[str] = field(default_factory=list)
    done: int = 0
    blind: bool = False
    since: list[datetime] = field(default_factory=list)

    async def act(self) -> Mapping[str, Any]:
        await asyncio.sleep(0)
        match self.plan.pop(0) if self.plan else "ok":
            case "refused":
                raise EffectRefused("no")
            case "failed":
                raise EffectFailed
            case "unsent":
                raise EffectUnknown
            case "lost":
                self.done += 1
                raise EffectUnknown
        self.done += 1
        return {"id": f"X{self.done}"}

    async def look_up(self, since: datetime) -> Mapping[str, Any] | None:
        self.since.append(since)
        if self.blind:
            raise EffectFailed
        return {"id": f"X{self.done}"} if self.done else None


async def do(context: ToolContext, outside: Outside, **arguments: Any) -> Outcome:
    return await once(context, "order", arguments, outside.act, outside.look_up)


async def test_once_for_the_same_arguments_in_any_order(context: ToolContext) -> None:
    outside = Outside()
    first = await do(context, outside, part="tyre", count=4)
    again = await do(context, outside, count=4, part="tyre")
    assert first == again == Outcome("done", {"id": "X1"})
    assert await do(context, outside, part="tyre", count=2) == Outcome("done", {"id": "X2"})
    other = replace(context, call_id="CA2")
    assert (await do(other, outside, part="tyre", count=4)).detail == {"id": "X3"}


async def test_a_lost_answer_is_looked_up(context: ToolContext) -> None:
    outside = Outside(["lost"], blind=True)
    assert (await do(context, outside)).status == "unknown"
    assert (await do(context, outside)).status == "unknown"
    outside.blind = False
    assert await do(context, outside) == Outcome("done", {"id": "X1"})
    assert outside.since[-1] == (NOW - SKEW).astimezone(outside.since[-1].tzinfo)
    assert (await do(context, outside)).status == "done"
    assert (outside.done, len(outside.since)) == (1, 2)


async def test_refused_for_good_and_failed_for_now(context: ToolContext) -> None:
    outside = Outside(["failed", "failed", "refused"])
    statuses = [(await do(context, outside)).status for _ in range(4)]
    assert statuses == ["failed", "failed", "refused", "refused"]
    assert outside.done == 0


async def test_twenty_at_once_act_once(context: ToolContext) -> None:
    outside = Outside()
    outcomes = await asyncio.gather(*(do(context, outside) for _ in range(20)))
    assert outside.done == 1
    assert {outcome.status for outcome in outcomes} <= {"done", "unknown"}
    assert (await do(context, outside)).status == "done"


async def test_whoever_looks_it_up_while_it_is_done_does_not_stand_in_the_doers_way(context: ToolContext) -> None:
    """The second one finds the effect outside before the first has written down that it is done."""
    outside = Outside()

    async def act() -> Mapping[str, Any]:
        detail = await outside.act()
        assert (await do(context, outside)).status == "done"
        return detail

    outcome = await once(context, "order", {}, act, outside.look_up)
    assert (outcome.status, outside.done) == ("done", 1)
    assert (await do(context, outside)).status == "done"
    assert outside.done == 1


class Flaky:
    """A store that goes away after so many commits."""

    def __init__(self, store: DocumentStore, commits: int) -> None:
        self._store = store
        self.commits = commits

    async def get(self, *paths: str) -> list[Doc | None]:
        return await self._store.get(*paths)

    async def query(self, query: Query) -> list[Doc]:
        return await self._store.query(query)

    async def commit(self, writes: Sequence[Write]) -> list[str]:
        if not self.commits:
            raise StoreUnavailable("away")
        self.commits -= 1
        return await self._store.commit(writes)

    def feed(self) -> Any:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError


async def test_a_store_that_is_away_before_or_after(context: ToolContext) -> None:
    outside = Outside()
    flaky = Flaky(context.store, 0)
    with pytest.raises(StoreUnavailable):
        await do(replace(context, store=flaky), outside)
    assert outside.done == 0, "without an intent nothing leaves the house"
    flaky.commits = 1
    with pytest.raises(StoreUnavailable):
        await do(replace(context, store=flaky), outside)
    assert outside.done == 1
    assert await do(context, outside) == Outcome("done", {"id": "X1"})
    assert outside.done == 1


@settings(max_examples=40, deadline=timedelta(seconds=5), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["ok", "lost", "unsent", "refused", "failed"]), max_size=5), st.lists(st.integers(0, 2))
)
def test_whatever_happens_it_is_done_at_most_once(
    tmp_path_factory: pytest.TempPathFactory, plan: list[str], commits: list[int]
) -> None:
    async def scene() -> int:
        store = EmbeddedStore(tmp_path_factory.mktemp("effects") / "callboard.db", clock=lambda: NOW)
        outside = Outside(list(plan))
        context = Scene(store).context("CA1", None)
        for left in [*commits, 9, 9]:
            try:
                await do(replace(context, store=Flaky(store, left)), outside)
            except StoreUnavailable:
                continue
        await store.aclose()
        return outside.done

    assert asyncio.run(scene()) <= 1
