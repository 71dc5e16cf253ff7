"""`dead-letters list|show|replay`: news that could not be applied or not be delivered."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.console import Json, err, out, table

if TYPE_CHECKING:
    from realtime.bus.port import Bus
    from realtime.dead_letters import Letters

letters_app = typer.Typer(help="News that could not be applied or delivered.", no_args_is_help=True)


@letters_app.command(name="list")
def list_letters(as_json: Json = False) -> None:
    """All of them, oldest first, each with the reason."""
    found = [letter.to_dict() for letter in _with(lambda letters, _: letters.all())]
    if as_json:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        table(out, found, ("id", "at", "source", "type", "why"))


@letters_app.command(name="show")
def show_letter(letter_id: str, as_json: Json = False) -> None:
    """What came, as it came. It may hold what callers said."""
    text = _with(lambda letters, _: letters.show(letter_id))
    sys.stdout.write((json.dumps({"id": letter_id, "text": text}) if as_json else text) + "\n")


@letters_app.command(name="replay")
def replay_letters(
    letter_id: Annotated[str | None, typer.Argument(help="One of them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that can be published again.")] = False,
    as_json: Json = False,
) -> None:
    """Publish again: what can be applied now is, and what cannot comes back. Exit code 1 if one could not be sent."""
    if (letter_id is None) != every:
        err.print("[red]Name one letter, or say --all.[/]")
        raise typer.Exit(2)

    async def work(letters: Letters, bus: Bus) -> list[dict[str, Any]]:
        ids = [letter.id for letter in await letters.all()] if letter_id is None else [letter_id]
        return [await _replayed(letters, bus, one) for one in ids]

    done = _with(work)
    if as_json:
        sys.stdout.write(json.dumps(done, indent=1) + "\n")
    else:
        table(out, done, ("id", "replayed", "why"))
    raise typer.Exit(0 if all(one["replayed"] for one in done) else 1)


async def _replayed(letters: Letters, bus: Bus, letter_id: str) -> dict[str, Any]:
    from realtime.bus.port import PublishFailed
    from realtime.dead_letters import NoLetter, NotNews

    try:
        await letters.replay(letter_id, bus)
    except (NoLetter, NotNews, PublishFailed) as problem:
        return {"id": letter_id, "replayed": False, "why": str(problem)}
    return {"id": letter_id, "replayed": True, "why": None}


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Letters, Bus]]:
    """The letters of this installation, and its bus."""
    from infra.cli.sources import settings_here
    from media_gateway.letters import places
    from media_gateway.opening import open_bus, open_store
    from realtime.dead_letters import Letters

    settings = settings_here()
    store, bus = open_store(settings), open_bus(settings)
    try:
        yield Letters(places(settings, store)), bus
    finally:
        await bus.aclose()
        await store.aclose()


def _with(work: Callable[[Letters, Bus], Awaitable[Any]]) -> Any:
    from infra.cli.console import attempted

    async def run() -> Any:
        async with opened() as (letters, bus):
            return await work(letters, bus)

    return attempted(lambda: asyncio.run(run()))
