"""What supervisors tell a call: issued once, taken once, answered once; over two processes' journals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from realtime import audit, commands
from realtime.call import Call, Status
from realtime.commands import CallOver, Claimed, Command, TooMany
from realtime.events import EventType
from realtime.journal import Fenced, Journal
from realtime.stores.port import DocumentStore, Put, StoreUnavailable
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CALL = "CA1"


@dataclass
class Place:
    """Two instances over one store: `there` has the call, `here` is where supervisors come in."""

    store: DocumentStore
    here: Journal
    there: Journal
    term: int

    async def issue(self, kind: commands.Kind = "hangup", actor: str = "ann", now: datetime = NOON) -> Command:
        command = commands.new(CALL, kind, actor, {}, now)
        await commands.issue(self.here, command, "acme", now)
        return command

    async def lines(self) -> list[tuple[str, bool]]:
        events = await self.here.events(CALL)
        return [(event.data["kind"], event.data["ok"]) for event in events if event.type is EventType.COMMAND]

    async def head(self) -> Call:
        call = await self.here.find(CALL)
        assert call
        return call


@asynccontextmanager
async def place(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    open_store = opener(kind, request)
    async with opened(open_store) as store, opened(open_store) as other:
        here, there = Journal(store), Journal(other)
        await here.open(Call(call_id=CALL, org="acme", status=Status.IN_PROGRESS))
        term = (await there.own(CALL, "there")).owner_term
        yield Place(store, here, there, term)


@pytest.mark.parametrize("kind", BOTH)
async def test_it_reaches_the_owner_once_and_is_answered_once(kind: str, request: pytest.FixtureRequest) -> None:
    async with place(kind, request) as at:
        command = await at.issue()
        assert await commands.posted(at.store, "elsewhere") == set()
        assert await commands.posted(at.store, "there") == {CALL}
        assert await commands.posted(at.store, "there") == set()
        taken = await asyncio.gather(*(commands.take(at.there, at.store, CALL, at.term) for _ in range(3)))
        assert [one for each in taken for one in each] == [command]
        for _ in range(2):
            await commands.settle(at.there, command, NOON, ok=True)
        assert await at.lines() == [("hangup", True)]
        assert (await at.head()).commands == {}
        (entry,), _ = await audit.newest(at.store, "acme")
        assert (entry.actor, entry.action, entry.target) == ("ann", "call.hangup", CALL)


@pytest.mark.parametrize("kind", BOTH)
async def test_only_the_owner_takes(kind: str, request: pytest.FixtureRequest) -> None:
    async with place(kind, request) as at:
        command = await at.issue()
        term = (await at.here.own(CALL, "here")).owner_term
        with pytest.raises(Fenced):
            await commands.take(at.there, at.store, CALL, at.term)
        assert await commands.take(at.here, at.store, CALL, term) == [command]


@pytest.mark.parametrize("kind", BOTH)
async def test_what_an_owner_took_and_did_not_do_is_known_to_the_next(
    kind: str, request: pytest.FixtureRequest
) -> None:
    async with place(kind, request) as at:
        taken, waiting = await at.issue("say"), None
        await commands.take(at.there, at.store, CALL, at.term)
        waiting = await at.issue("whisper")
        head = await at.here.own(CALL, "here")
        assert await commands.left(at.here, at.store, head, lambda by: bool(by)) == [taken]
        assert await commands.take(at.here, at.store, CALL, head.owner_term) == [waiting]


async def test_two_supervisors_do_not_fight(request: pytest.FixtureRequest) -> None:
    async with place("embedded", request) as at:
        await at.issue("whisper", "ann")
        with pytest.raises(Claimed) as refused:
            await at.issue("say", "bob")
        assert refused.value.holder == "ann"
        await at.issue("say", "ann", NOON + timedelta(seconds=50))
        with pytest.raises(Claimed):
            await at.issue("say", "bob", NOON + timedelta(seconds=100))
        later = NOON + commands.CLAIM + timedelta(seconds=51)
        await at.issue("say", "bob", later)
        assert commands.holder(await at.head(), later) == "bob"
        release = commands.new(CALL, "release", "admin", {}, later)
        await commands.issue(at.here, release, "acme", later, override=True)
        assert await at.lines() == []


async def test_who_asks_at_the_same_moment_is_told_who_was_first(request: pytest.FixtureRequest) -> None:
    async with place("embedded", request) as at:
        said = [commands.new(CALL, "say", who, {}, NOON) for who in ("ann", "bob", "cat", "dan")]
        journals = [at.here, at.there, at.here, at.there]
        outcomes = await asyncio.gather(
            *(commands.issue(journal, one, "acme", NOON) for journal, one in zip(journals, said, strict=True)),
            return_exceptions=True,
        )
        first = [one for one in outcomes if isinstance(one, Call)]
        others = [one for one in outcomes if isinstance(one, Claimed)]
        assert (len(first), len(others)) == (1, 3)
        assert {one.holder for one in others} == {commands.holder(await at.head(), NOON)}


async def test_a_call_that_is_over_takes_none_and_few_may_wait(request: pytest.FixtureRequest) -> None:
    async with place("embedded", request) as at:
        for _ in range(commands.MOST):
            await at.issue()
        with pytest.raises(TooMany):
            await at.issue()
        await at.here.complete(CALL, Status.COMPLETED, call_data={}, key="end", ts="2026-11-20T12:00:00Z")
        with pytest.raises(CallOver):
            await at.issue()


async def test_what_nobody_takes_is_refused(request: pytest.FixtureRequest) -> None:
    async with place("embedded", request) as at:
        await at.issue("say")
        assert await commands.expire(at.here, at.store, NOON + timedelta(seconds=10)) == 0
        assert await commands.expire(at.here, at.store, NOON + timedelta(seconds=40)) == 1
        assert await commands.expire(at.here, at.store, NOON + timedelta(seconds=40)) == 0
        assert await at.lines() == [("say", False)]
        assert await commands.take(at.there, at.store, CALL, at.term) == []


async def test_an_answer_that_gets_lost_loses_no_command(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store commits and does not say so: the next try finds what was taken."""
    async with place("embedded", request) as at:
        command = await at.issue()
        store = at.there._store
        commit, lost = store.commit, [1]

        async def unsure(writes: object) -> list[str]:
            versions = await commit(writes)  # type: ignore[arg-type]
            if lost.pop() if lost else 0:
                raise StoreUnavailable("the answer got lost")
            return versions

        monkeypatch.setattr(store, "commit", unsure)
        assert await commands.take(at.there, at.store, CALL, at.term) == [command]


def test_a_command_is_read_as_it_was_written() -> None:
    command = commands.new(CALL, "say", "ann", {"text": "hello"}, NOON)
    assert Command.from_dict({**{name: getattr(command, name) for name in command.__slots__}, "new": 1}) == command
    assert replace(command, kind="say").expires == "2026-11-20T12:00:30.000Z"


@pytest.mark.parametrize(
    "broken",
    [{}, {"args": 7}, {"expires": 5}, {"kind": "dance"}, {"actor": None}, {"command_id": "another"}],
)
async def test_a_command_that_cannot_be_read_goes_aside(
    broken: dict[str, object], request: pytest.FixtureRequest
) -> None:
    async with place("embedded", request) as at:
        bad, good = await at.issue("say"), await at.issue("whisper")
        whole = {**asdict(bad), **broken} if broken else {"nothing": 1}
        await at.store.commit([Put(f"calls/{CALL}/commands/{bad.command_id}", whole)])
        assert await commands.take(at.there, at.store, CALL, at.term) == [good]
        assert list((await at.head()).commands) == [good.command_id], "it takes no place any more"
        await commands.settle(at.there, good, NOON, ok=True)
        again = await at.issue("say")
        await at.store.commit([Put(f"calls/{CALL}/commands/{again.command_id}", whole)])
        assert await commands.expire(at.here, at.store, NOON) == 0
        assert (await at.head()).commands == {}


async def test_a_post_that_cannot_be_read_keeps_no_other_from_being_told(request: pytest.FixtureRequest) -> None:
    async with place("embedded", request) as at:
        await at.store.commit([Put("posts/there/commands/0", {"at": 1}), Put("posts/there/commands/1", {"call_id": 5})])
        await at.issue()
        assert await commands.posted(at.store, "there") == {CALL}
        assert await commands.posted(at.store, "there") == set()


async def test_a_head_that_cannot_be_read_hides_no_other(request: pytest.FixtureRequest) -> None:
    async with place("embedded", request) as at:
        head = (await at.head()).to_dict()
        await at.store.commit([Put("calls/CA0", {**head, "call_id": "CA0", "status": "dancing"})])
        assert [call.call_id for call in await at.here.active()] == [CALL]
        assert [call.call_id for call in (await at.here.calls(org="acme"))[0]] == [CALL]
