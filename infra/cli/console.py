"""Where the command line writes, and the option that every reader has."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console


def console(*, stderr: bool) -> Console:
    """As wide as the terminal; without one nothing is wrapped: a script or a file wants whole lines."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 10_000)


out = console(stderr=False)
err = console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
