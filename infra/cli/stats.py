"""`stats`: the numbers of a period, drawn in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
from rich.bar import Bar
from rich.console import Console, RenderableType
from rich.progress import Progress
from rich.table import Table

from infra.cli import sources
from infra.mistakes import NotThere

ASKED_AT_MOST = 200
"""Requests, each of which counts a portion of a period that was never counted before."""


async def show(console: Console, err: Console, wanted: Mapping[str, str], url: str | None, *, as_json: bool) -> int:
    """Ask the running system until all calls are counted, then print. Raises NotThere."""
    numbers = await _counted(err, wanted, url)
    if as_json:
        sys.stdout.write(json.dumps(numbers, indent=1) + "\n")
    else:
        draw(console, numbers)
    return 0


async def _counted(err: Console, wanted: Mapping[str, str], url: str | None) -> dict[str, Any]:
    async with sources.running(url) as api:
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("counting calls", total=None)
            for _ in range(ASKED_AT_MOST):
                try:
                    numbers: dict[str, Any] = await api.get("/api/v1/metrics", **wanted)
                except httpx2.HTTPStatusError as error:
                    told = error.response.json().get("error", {})
                    raise NotThere(f"{told.get('message')} {told.get('fix') or ''}".strip()) from error
                if not numbers["missing"]:
                    break
                progress.update(task, total=numbers["calls"] + numbers["missing"], completed=numbers["calls"])
    return numbers


def draw(console: Console, numbers: Mapping[str, Any]) -> None:
    """For people: the totals, then a chart for each thing that has a shape."""
    flow = f", {numbers['flow']}" if numbers["flow"] else ""
    console.print(f"[bold]{numbers['from'][:10]} to {numbers['to'][:10]}[/] ({numbers['timezone']}{flow})")
    if not numbers["counted_all"]:
        console.print("[yellow]There are more calls than are counted here; choose a shorter period.[/]")
    console.print(_totals(numbers))
    if not numbers["calls"]:
        console.print("[dim]No call in this period is over yet.[/]")
        return
    days = [(day["day"][5:], day["calls"], f"{day['calls']}, {day['booked']} booked") for day in numbers["by_day"]]
    hours = [(f"{hour:02}", count, str(count)) for hour, count in enumerate(numbers["by_hour"]) if count]
    outcomes = [(name, count, str(count)) for name, count in numbers["by_outcome"].items()]
    flows = [
        (row["flow"], row["completion_rate"], f"{row['completion_rate']:.0%} of {row['calls']}")
        for row in numbers["by_flow"]
    ]
    left = [(row["slot"], row["calls"], str(row["calls"])) for row in numbers["drop_off"]]
    spent = [
        (day["day"][5:], day["cost_usd"], f"${day['cost_usd']:.2f}{_by_vendor(day['cost_by_vendor'])}")
        for day in numbers["by_day"]
        if day["cost_usd"]
    ]
    vendors = [(name, usd, f"${usd:.2f}") for name, usd in numbers["cost_by_vendor"].items()]
    for title, rows in (
        ("calls a day", days),
        ("by hour", hours),
        ("what came of them", outcomes),
        ("flows that came to their end", flows),
        ("asked for, when callers left", left),
        ("cost a day", spent),
        ("cost by vendor", vendors),
    ):
        if rows:
            console.print(_chart(title, rows))
    if numbers["latency_ms"]:
        console.print(_latency(numbers["latency_ms"]))


def _by_vendor(cost: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} ${usd:.2f}" for name, usd in cost.items() if usd)
    return f" ({parts})" if parts else ""


def _totals(numbers: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    handled = numbers["average_handling_s"]
    cells = [
        ("calls", str(numbers["calls"])),
        ("answered", str(numbers["answered"])),
        ("completed", str(numbers["completed"])),
        ("booked", str(numbers["booked"])),
        ("escalated", str(numbers["escalated"])),
        ("handling time", "-" if handled is None else f"{handled:.0f} s"),
        ("tokens", f"{numbers['tokens']:,}"),
        ("cost", f"${numbers['cost_usd']:.2f}"),
        ("running now", str(numbers["active"])),
    ]
    for at in range(0, len(cells), 3):
        table.add_row(*(f"[dim]{name}[/] [bold]{value}[/]" for name, value in cells[at : at + 3]))
    return table


def _chart(title: str, rows: Sequence[tuple[str, float, str]]) -> RenderableType:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(width=40)
    table.add_column(no_wrap=True)
    most = max(count for _, count, _ in rows) or 1
    for name, count, told in rows:
        table.add_row(name, Bar(most, 0, count, color="cyan"), told)
    return table


def _latency(stages: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="latency, ms", title_justify="left", title_style="bold", box=None)
    table.add_column("stage", style="dim")
    for name in ("turns", "p50", "p95"):
        table.add_column(name, justify="right")
    for stage, found in stages.items():
        table.add_row(stage, *(f"{found[name]:.0f}" for name in ("turns", "p50", "p95")))
    return table
