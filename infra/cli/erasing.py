"""`erase NUMBER`: everything of a phone number, on request of the person it belongs to."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer

from infra.cli.console import Json, attempted, err, out


def erase(
    phone: Annotated[str, typer.Argument(help="The number, +1415...")],
    org: Annotated[str, typer.Option(help="The organisation.")] = "default",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete all calls of a number and what belongs to them. Not to be undone. Exit code 1 if a call goes on."""
    from infra.cli.sources import settings_here
    from media_gateway.letters import places
    from media_gateway.opening import blobs_of, open_store
    from realtime.clock import utcnow
    from realtime.dead_letters import Letters
    from realtime.erasure import Erased, Eraser, NotANumber

    if not yes and (as_json or not sys.stdin.isatty()):
        err.print("[red]Say --yes: this cannot be undone.[/]")
        raise typer.Exit(2)
    if not yes and not typer.confirm("Delete everything of this number?"):
        raise typer.Exit(1)

    async def work() -> Erased:
        settings = settings_here()
        store, blobs = open_store(settings), blobs_of(settings)
        try:
            letters = Letters(places(settings, store))
            eraser = Eraser(store, blobs, letters, days=settings.callboard_retention_days)
            return await eraser.phone(org, phone, actor="cli", now=utcnow())
        finally:
            if blobs is not None:
                await asyncio.to_thread(blobs.close)
            await store.aclose()

    try:
        gone = attempted(lambda: asyncio.run(work()))
    except NotANumber as problem:
        err.print(f"[red]{problem}[/]", soft_wrap=True)
        raise typer.Exit(2) from None
    if as_json:
        sys.stdout.write(json.dumps(gone.to_dict()) + "\n")
    else:
        told = gone.to_dict()
        out.print(", ".join(f"{told[name]} {name}" for name in told if name != "ongoing") + " deleted")
        if gone.ongoing:
            err.print(f"[yellow]These go on; end them and ask again: {', '.join(gone.ongoing)}[/]")
    raise typer.Exit(1 if gone.ongoing else 0)
