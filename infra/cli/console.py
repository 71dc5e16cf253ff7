"""Where the command line writes, and the option that every reader has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

T = TypeVar("T")


def console(*, stderr: bool) -> Console:
    """As wide as the terminal; without one nothing is wrapped: a script or a file wants whole lines."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 10_000)


out = console(stderr=False)
err = console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def table(to: Console, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A plain table of these columns; nothing is a blank."""
    drawn = Table(*columns, box=None)
    for row in rows:
        drawn.add_row(*("" if row[name] is None else escape(str(row[name])) for name in columns))
    to.print(drawn)


def attempted(work: Callable[[], T]) -> T:
    """What `work` gives. What a user did wrong, or what is away, becomes one line and an exit code."""
    from media_gateway.settings import SettingsError
    from realtime.accounts import Invalid, NoAccount, Taken
    from realtime.blobs import BlobsUnavailable
    from realtime.bus.port import PublishFailed
    from realtime.dead_letters import NoLetter
    from realtime.records.customers import NotANumber
    from realtime.stores.port import Conflict, StoreUnavailable

    try:
        return work()
    except (Invalid, NotANumber) as problem:
        err.print(f"[red]{escape(str(problem))}[/]", soft_wrap=True)
        raise typer.Exit(2) from None
    except (
        SettingsError,
        StoreUnavailable,
        BlobsUnavailable,
        PublishFailed,
        Taken,
        NoAccount,
        Conflict,
        NoLetter,
    ) as problem:
        err.print(f"[red]{escape(str(problem))}[/]", soft_wrap=True)
        raise typer.Exit(1) from None
