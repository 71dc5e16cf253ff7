"""`seed --from customers.csv`: a shop's own customers into the store."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from infra.mistakes import Usage
from media_gateway.opening import open_store
from media_gateway.settings import load
from realtime.records import customers
from realtime.records.customer_rows import BadRow, columns
from realtime.records.customer_rows import customers as read_rows
from realtime.records.customers import Customer
from realtime.stores.port import Delete, DocumentStore, StoreUnavailable

ORG = "default"
BATCH = 50
"""Customers a commit: a few documents each, far under Firestore's limits."""
LONG = 500
"""Customers from which on a bar shows how far it is."""
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Seeded:
    """What came of a file."""

    file: str
    customers: int
    vehicles: int
    bad: Sequence[BadRow]

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        bad = [{"line": one.line, "reason": one.reason} for one in self.bad]
        return {"file": self.file, "customers": self.customers, "vehicles": self.vehicles, "bad_rows": bad}


class SeedFailed(Exception):
    """The store went away in the middle; the text says how far it got."""


def read(file: Path) -> tuple[list[Customer], list[BadRow]]:
    """Raises Usage for a file that cannot be read as a table of customers."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise Usage(f"{file} cannot be read ({problem.strerror})") from problem
    except UnicodeDecodeError as problem:
        raise Usage(f"{file} is not UTF-8 text; save it as 'CSV UTF-8'") from problem
    lines = text.splitlines(keepends=True)
    if not text.strip():
        raise Usage(f"{file} is empty; its first line names the columns: name,phone,vehicle")
    separator = max(",;\t", key=lines[0].count)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    short: list[BadRow] = []

    def rows(where: dict[str, int]) -> Iterator[tuple[int, dict[str, str]]]:
        line = reader.line_num + 1
        for values in reader:
            if any(value.strip() for value in values):
                if len(values) == width:
                    yield line, {name: values[at] for name, at in where.items()}
                else:
                    short.append(BadRow(line, f"{len(values)} fields, and the first line names {width}"))
            line = reader.line_num + 1

    try:
        header = next(reader)
        width = len(header)
        found, bad = read_rows(rows(columns(header)))
    except ValueError as problem:
        raise Usage(f"{file}: {problem}") from problem
    except csv.Error as problem:
        raise Usage(f"{file}, line {reader.line_num}: {problem}; check the quotes") from problem
    return found, sorted([*bad, *short], key=lambda one: one.line)


async def seed(console: Console, file: Path) -> Seeded:
    """Load the file; a bar on the console for a long one. Raises Usage, SettingsError, SeedFailed."""
    found, bad = read(file)
    store = open_store(load(dev=True))
    # A number that went from one customer to another is the other's, whoever comes first in the file.
    claimed = frozenset(write.path for one in found for write in customers.writes(ORG, one))
    done = 0
    try:
        with Progress(console=console, transient=True, disable=len(found) < LONG) as progress:
            bar = progress.add_task("customers", total=len(found))
            for start in range(0, len(found), BATCH):
                await _load(store, found[start : start + BATCH], claimed)
                done = min(start + BATCH, len(found))
                progress.update(bar, completed=done)
    except StoreUnavailable as problem:
        raise SeedFailed(f"The store went away after {done} of {len(found)} customers; run it again.") from problem
    finally:
        await store.aclose()
    return Seeded(str(file), len(found), sum(len(one.vehicles) for one in found), bad)


async def _load(store: DocumentStore, batch: Sequence[Customer], claimed: Collection[str]) -> None:
    before = await store.get(*(customers.path(ORG, one.customer_id) for one in batch))
    writes = {
        write.path: write
        for one, old in zip(batch, before, strict=True)
        for write in customers.writes(ORG, one, old)
        if not (isinstance(write, Delete) and write.path in claimed)
    }
    await store.commit(list(writes.values()))


def show(console: Console, seeded: Seeded) -> None:
    """For people: what is in, and each line that is not, with the reason."""
    console.print(f"{seeded.customers} customers with {seeded.vehicles} vehicles are in.", highlight=False)
    for one in seeded.bad[:SHOWN]:
        console.print(f"[yellow]line {one.line}[/]: {one.reason}", highlight=False, soft_wrap=True)
    if len(seeded.bad) > SHOWN:
        console.print(f"... and {len(seeded.bad) - SHOWN} more lines; --json names them all", highlight=False)
