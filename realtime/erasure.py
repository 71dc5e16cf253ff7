"""Deletion on request: all that is left of a call, or of a phone number.

The head goes last: as long as it is there, whoever is interrupted can begin again. A small mark without any content
stays for as long as news of the call may still come (`erased/{digest of an id}`), so that late news is not parked.
What stays: that a number is not to be called, the audit log (ids only), and the shop's own records of its customers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from realtime import audit, parking, recording
from realtime.blobs import Blobs
from realtime.bus.port import BusMessage
from realtime.call import Call
from realtime.campaigns.book import Book
from realtime.clock import iso
from realtime.dead_letters import Letters, NoLetter, NotNews, news_in
from realtime.numbers import facts
from realtime.paths import digest
from realtime.records.customers import NotANumber, e164
from realtime.retention import OF_A_CALL
from realtime.stores.port import Delete, Doc, DocumentStore, Put, Query, Write

PAGE = 200
"""Documents that go in one commit."""
NUMBERS = ("caller_phone", "from_number", "to_number")
SHORTEST = 7
"""Digits of a number that is looked for in texts."""
log = logging.getLogger(__name__)


class GoesOn(Exception):
    """The call is not over: end it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How much went; `ongoing` are calls of the number that are not over and were left alone."""

    calls: int = 0
    documents: int = 0
    news: int = 0
    letters: int = 0
    messages: int = 0
    files: int = 0
    ongoing: tuple[str, ...] = ()

    def __add__(self, other: Erased) -> Erased:
        counts = {name: getattr(self, name) + getattr(other, name) for name in self.__slots__}
        return Erased(**counts)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "ongoing": list(self.ongoing)}


class Eraser:
    """`letters` are all places where dead letters lie; `days` is CALLBOARD_RETENTION_DAYS."""

    def __init__(self, store: DocumentStore, blobs: Blobs | None, letters: Letters, *, days: int) -> None:
        self._store, self._blobs, self._letters = store, blobs, letters
        self._mark_for = timedelta(days=days)

    async def call(self, call: Call, *, actor: str, now: datetime) -> Erased:
        """Everything of one call, and a line in the audit log. Raises GoesOn, StoreUnavailable, BlobsUnavailable."""
        if not call.status.terminal:
            raise GoesOn(f"call {call.call_id} goes on")
        marks = [Put(_mark(alias), {"expire_at": iso(now + self._mark_for)}) for alias in sorted(call.aliases)]
        await self._store.commit(marks)  # first: what comes from here on is not parked
        gone = await self._around(call)
        last: list[Write] = [Delete(f"aliases/{alias}") for alias in sorted(call.aliases)]
        last += [Delete(facts.path(call.call_id)), Delete(f"interest/{call.call_id}"), Delete(f"calls/{call.call_id}")]
        last.append(audit.entry(call.org, actor, "call.erase", call.call_id, now, {"documents": gone.documents}))
        await self._store.commit(last)
        return gone + Erased(calls=1, documents=1)

    async def phone(self, org: str, phone: str, *, actor: str, now: datetime) -> Erased:
        """Everything of a number: its calls, messages, news and letters that name it. Raises NotANumber,
        StoreUnavailable, BlobsUnavailable."""
        number = e164(phone)
        gone = Erased()
        for call in await self._calls_of(org, number):
            if call.status.terminal:
                gone += await self.call(call, actor=actor, now=now)
            else:
                gone += Erased(ongoing=(call.call_id,))
        gone += await self._messages(org, "callback", number)
        gone += Erased(documents=await Book(self._store).forget(org, number))
        gone += await self._news_naming(number)
        gone += await self._letters_naming((number,), ())
        told = {"calls": gone.calls, "messages": gone.messages, "ongoing": len(gone.ongoing)}
        await audit.record(self._store, org, actor, "phone.erase", digest(number)[:16], now, told)
        return gone

    async def _around(self, call: Call) -> Erased:
        """All but the head and its aliases."""
        gone = Erased()
        for name in OF_A_CALL:
            gone += Erased(documents=await self._emptied(f"calls/{call.call_id}/{name}"))
        for message in await parking.parked(self._store, call.aliases):
            gone += await self._news(message, call.aliases)
        gone += await self._messages(call.org, "call_id", call.call_id)
        gone += await self._letters_naming((), call.aliases)
        gone += await self._file(_text(call.metadata.get("audio"), "name"))
        gone += await self._recording(call.call_id)
        await self._forget_wish(call)
        return gone

    async def _recording(self, call_id: str) -> Erased:
        if self._blobs is None:
            return Erased()
        found = await asyncio.to_thread(recording.parts, self._blobs, call_id)
        for part in found:
            await asyncio.to_thread(self._blobs.delete, part.name)
        return Erased(files=len(found))

    async def _calls_of(self, org: str, number: str) -> list[Call]:
        found: dict[str, Call] = {}
        for name in NUMBERS:
            for doc in await self._all(Query("calls", [("org", "==", org), (name, "==", number)], limit=PAGE)):
                call = Call.from_dict(doc.data)
                found[call.call_id] = call
        return list(found.values())

    async def _messages(self, org: str, field: str, value: str) -> Erased:
        docs = await self._all(Query(f"orgs/{org}/messages", [(field, "==", value)], limit=PAGE))
        await self._delete([doc.path for doc in docs])
        return Erased(messages=len(docs))

    async def _news_naming(self, number: str) -> Erased:
        """News of calls that nobody knows. It belongs to no organisation yet."""
        gone = Erased()
        for message in await parking.waiting(self._store):
            if await asyncio.to_thread(_names, message, number):
                gone += await self._news(message, ())
        return gone

    async def _news(self, message: BusMessage, aliases: Collection[str]) -> Erased:
        await parking.unpark(self._store, aliases, message)
        return Erased(news=1) + await self._file(_text(message.data.get("audio"), "name"))

    async def _letters_naming(self, words: Collection[str], ids: Collection[str]) -> Erased:
        gone = Erased()
        for letter in await self._letters.all():
            named = bool(set(letter.keys.values()) & set(ids))
            try:
                text = await self._letters.show(letter.id)
                if not named and words:
                    named = await asyncio.to_thread(_letter_names, text, words)
                if named:
                    gone += await self._letter_files(text)
                    await self._letters.forget(letter.id)
                    gone += Erased(letters=1)
            except NoLetter:
                log.info("letter_gone", extra={"letter": letter.id})
        return gone

    async def _letter_files(self, text: str) -> Erased:
        try:
            message = await asyncio.to_thread(news_in, text)
        except NotNews:
            return Erased()
        gone = await self._file(_text(message.data.get("audio"), "name"))
        return gone + await self._file(_text(message.data.get("callboard_in_file"), "name"))

    async def _file(self, name: str | None) -> Erased:
        if name is None or self._blobs is None:
            return Erased()
        try:
            await asyncio.to_thread(self._blobs.delete, name)
        except ValueError:  # a pointer that is none
            return Erased()
        return Erased(files=1)

    async def _forget_wish(self, call: Call) -> None:
        """Who was to be called and about what. That it was wished stays: the same key must not ring anybody again."""
        wish = call.metadata.get("intent")
        if not isinstance(wish, str) or "/" in wish or not wish:
            return
        (doc,) = await self._store.get(f"intents/{wish}")
        if doc is not None:
            await self._store.commit([Put(doc.path, {**doc.data, "to": "", "variables": {}}, doc.version)])

    async def _emptied(self, collection: str) -> int:
        gone = 0
        while docs := await self._store.query(Query(collection, limit=PAGE)):
            await self._delete([doc.path for doc in docs])
            gone += len(docs)
        return gone

    async def _all(self, query: Query) -> list[Doc]:
        found: list[Doc] = []
        while docs := await self._store.query(query):
            found += docs
            if len(docs) < query.limit:
                break
            query = replace(query, after=docs[-1].path)
        return found

    async def _delete(self, paths: list[str]) -> None:
        for at in range(0, len(paths), PAGE):
            await self._store.commit([Delete(path) for path in paths[at : at + PAGE]])


async def is_erased(store: DocumentStore, ids: Iterable[str]) -> bool:
    """True if a call of one of these ids was deleted on request: news of it is to be forgotten."""
    paths = [_mark(one) for one in ids if one]
    return any(doc is not None for doc in await store.get(*paths)) if paths else False


def _mark(any_id: str) -> str:
    return f"erased/{digest(any_id)}"


def _names(message: BusMessage, number: str) -> bool:
    return _letter_names(str(message.to_dict()), (number,))


def _letter_names(text: str, numbers: Collection[str]) -> bool:
    """A number is written with or without its plus, and in base64 inside of a push."""
    with suppress(NotNews):
        text += str(news_in(text).to_dict())
    return any(number.lstrip("+") in text for number in numbers if len(number) > SHORTEST)


def _text(value: object, name: str) -> str | None:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else None


__all__ = ["Erased", "Eraser", "GoesOn", "NotANumber", "is_erased"]
