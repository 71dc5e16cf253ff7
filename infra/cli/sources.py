"""Where the readers read: a running system over REST, else the store on this machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx2

from infra.local.clients import Api
from infra.mistakes import NotThere
from media_gateway.settings import Settings, load
from realtime.journal import Journal
from realtime.stores.embedded import EmbeddedStore

ORG = "default"
INSIDE = ("tail", "owner", "owner_term", "commands", "expire_at")


class Source(Protocol):
    """What the readers need."""

    async def calls(self, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
        """The newest first; `wanted` are the filters of `GET /api/v1/calls`."""

    async def call(self, any_id: str) -> dict[str, Any]:
        """The head. Raises NotThere."""

    async def events(self, call_id: str, after: int) -> list[dict[str, Any]]:
        """The journal behind `after`, as far as one page goes."""


class Rest:
    """A running system."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def calls(self, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
        """See `Source`."""
        found: list[dict[str, Any]] = (await self._api.get("/api/v1/calls", **wanted))["calls"]
        return found

    async def call(self, any_id: str) -> dict[str, Any]:
        """See `Source`."""
        try:
            found: dict[str, Any] = await self._api.get(f"/api/v1/calls/{quote(any_id, safe='')}")
        except httpx2.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise
            raise NotThere(f"There is no call {any_id}; see: python3 run.py calls") from error
        return found

    async def events(self, call_id: str, after: int) -> list[dict[str, Any]]:
        """See `Source`."""
        page = await self._api.get(f"/api/v1/calls/{quote(call_id, safe='')}/events", after=after)
        found: list[dict[str, Any]] = page["events"]
        return found


class Local:
    """The embedded store, while nothing runs."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def calls(self, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
        """See `Source`."""
        filters = {"from_" if name == "from" else name: value for name, value in wanted.items() if name != "limit"}
        found, _ = await self._journal.calls(org=ORG, limit=int(wanted.get("limit", 50)), **filters)
        return [_shown(call.to_dict()) for call in found]

    async def call(self, any_id: str) -> dict[str, Any]:
        """See `Source`."""
        found = await self._journal.find(any_id)
        if found is None or found.org != ORG:
            raise NotThere(f"There is no call {any_id}; see: python3 run.py calls")
        return _shown(found.to_dict())

    async def events(self, call_id: str, after: int) -> list[dict[str, Any]]:
        """See `Source`."""
        return [event.to_dict() for event in await self._journal.events(call_id, after=after)]


def _shown(head: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in head.items() if key not in INSIDE}


def settings_here() -> Settings:
    """The environment, and what `dev` keeps on this machine."""
    return load(os.environ, dev=True)


@asynccontextmanager
async def running(url: str | None) -> AsyncIterator[Api]:
    """A running system, logged in to. Raises NotThere."""
    settings = settings_here()
    address = (url or f"http://127.0.0.1:{settings.port}").rstrip("/")
    try:
        async with Api(address, settings.admin_username, settings.admin_password.get_secret_value()) as api:
            yield api
    except httpx2.TransportError as error:
        hint = "Start it with: python3 run.py (or name another with --url)."
        raise NotThere(f"Nothing answers at {address} ({type(error).__name__}). {hint}") from error
    except httpx2.HTTPStatusError as error:
        raise NotThere(_said(error, address)) from error


def _said(error: httpx2.HTTPStatusError, address: str) -> str:
    """The error in our own shape, if it is one of ours."""
    try:
        told = error.response.json()["error"]
        return f"{told['message']} {told['fix']}"
    except (ValueError, KeyError, TypeError):
        return f"{address} answered {error.response.status_code}."


@asynccontextmanager
async def source(url: str | None) -> AsyncIterator[Source]:
    """The running system at `url`, or the one of this machine; without one, its store. Raises NotThere."""
    if url or await answers(settings_here().port):
        async with running(url) as api:
            yield Rest(api)
        return
    path = Path(settings_here().callboard_data_dir) / "callboard.db"
    if not path.exists():
        raise NotThere(f"Nothing runs here, and there is no {path}. Start with: python3 run.py")
    store = EmbeddedStore(path)
    try:
        yield Local(Journal(store))
    finally:
        await store.aclose()


async def answers(port: int) -> bool:
    """Does a gateway of this machine answer on `port`?"""
    try:
        async with httpx2.AsyncClient(timeout=1.0, trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{port}/livez")).status_code == 200
    except httpx2.HTTPError:
        return False
