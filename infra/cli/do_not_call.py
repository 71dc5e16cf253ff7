"""`do-not-call list|add|remove`: the numbers that nobody calls, straight on the store that the settings name."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from infra.cli.console import Json, attempted, out, table

do_not_call_app = typer.Typer(help="Numbers that nobody calls.", no_args_is_help=True)
Org = Annotated[str, typer.Option(help="The organisation.")]
ACTOR = "cli"


@do_not_call_app.command(name="list")
def list_numbers(org: Org = "default", as_json: Json = False) -> None:
    """The numbers on the list."""
    from realtime.records import do_not_call

    async def work(store: Any) -> Any:
        found, after = await do_not_call.page(store, org, limit=do_not_call.MOST)
        while after:
            more, after = await do_not_call.page(store, org, after=after, limit=do_not_call.MOST)
            found += more
        return found

    _tell(_with(work), as_json=as_json)


@do_not_call_app.command(name="add")
def add_number(phone: str, org: Org = "default", as_json: Json = False) -> None:
    """Nobody calls this number any more."""
    from realtime.clock import utcnow
    from realtime.records import do_not_call

    _with(lambda store: do_not_call.add(store, org, phone, now=utcnow(), actor=ACTOR))
    _tell([{"phone": phone, "listed": True}], as_json=as_json)


@do_not_call_app.command(name="remove")
def remove_number(phone: str, org: Org = "default", as_json: Json = False) -> None:
    """This number may be called again."""
    from realtime.clock import utcnow
    from realtime.records import do_not_call

    _with(lambda store: do_not_call.remove(store, org, phone, now=utcnow(), actor=ACTOR))
    _tell([{"phone": phone, "listed": False}], as_json=as_json)


def _with(work: Callable[[Any], Awaitable[Any]]) -> Any:
    from infra.cli.sources import settings_here
    from media_gateway.opening import open_store

    async def opened() -> Any:
        store = open_store(settings_here())
        try:
            return await work(store)
        finally:
            await store.aclose()

    return attempted(lambda: asyncio.run(opened()))


def _tell(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    table(out, rows, ("phone", "listed") if rows and "listed" in rows[0] else ("phone", "reason", "added_at"))
