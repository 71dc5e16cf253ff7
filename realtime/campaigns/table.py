"""A table of people to call, checked row by row. Pure.

The first line names the columns: `phone` (or `to`, `number`, `phonenumber`), every other column is a variable of the
call by its own name; `appointment.date` becomes `{"appointment": {"date": ...}}`. Good rows are kept and bad ones named
with their line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

PHONE_COLUMNS = ("phone", "to", "number", "phonenumber", "phone_number")
MOST_ROWS = 2_000
MOST_CHARACTERS = 1_000_000
MOST_CELL = 500


class NoTable(ValueError):
    """The text is no table that can be used; says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Good:
    """A row that can be called."""

    line: int
    to: str
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot, and why."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a table came to."""

    good: tuple[Good, ...]
    bad: tuple[Bad, ...]
    columns: tuple[str, ...]


def check(text: str, callable_number: Callable[[str], str]) -> Checked:
    """`callable_number` gives the number to dial, or raises ValueError with the reason. A number that came before is
    bad: nobody is called twice. Raises NoTable."""
    if len(text) > MOST_CHARACTERS:
        raise NoTable(f"The table has more than {MOST_CHARACTERS:,} characters; split it.")
    lines = csv.reader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    try:
        columns = [name.strip() for name in next(lines, [])]
        phone = _phone_column(columns)
        good: list[Good] = []
        bad: list[Bad] = []
        seen: dict[str, int] = {}
        for line, cells in _rows(lines):
            if len(good) + len(bad) == MOST_ROWS:
                raise NoTable(f"The table has more than {MOST_ROWS:,} rows; split it.")
            try:
                row = _row(line, columns, phone, cells, callable_number)
                if row.to in seen:
                    raise ValueError(f"the same number as in line {seen[row.to]}")
            except ValueError as problem:
                bad.append(Bad(line, str(problem)))
            else:
                seen[row.to] = line
                good.append(row)
    except csv.Error as error:
        raise NoTable(f"Line {lines.line_num} is no CSV: {error}.") from error
    return Checked(tuple(good), tuple(bad), tuple(columns))


def _phone_column(columns: list[str]) -> int:
    if not any(columns):
        raise NoTable("The table is empty. Its first line names the columns, for example: phone,first_name")
    plain = [name.lower().replace(" ", "_") for name in columns]
    twice = {name for name in columns if columns.count(name) > 1}
    if twice or "" in columns:
        raise NoTable("Every column needs a name of its own in the first line.")
    for name in PHONE_COLUMNS:
        if name in plain:
            return plain.index(name)
    raise NoTable(f"No column is called phone. There are: {', '.join(columns)[:200]}.")


def _rows(lines: Any) -> Iterator[tuple[int, list[str]]]:
    for cells in lines:
        if any(cell.strip() for cell in cells):
            yield lines.line_num, cells


def _row(line: int, columns: list[str], phone: int, cells: list[str], number: Callable[[str], str]) -> Good:
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells, and {len(columns)} columns")
    if any(len(cell) > MOST_CELL for cell in cells):
        raise ValueError(f"a cell has more than {MOST_CELL} characters")
    variables: dict[str, Any] = {}
    for at, (name, cell) in enumerate(zip(columns, cells, strict=True)):
        if at != phone and cell.strip():
            _put(variables, name, cell.strip())
    return Good(line, number(cells[phone].strip()), variables)


def _put(variables: dict[str, Any], name: str, value: str) -> None:
    first, dot, rest = name.partition(".")
    if not dot:
        variables[first] = value
        return
    inner = variables.setdefault(first, {})
    if not isinstance(inner, dict):
        raise ValueError(f"column {name} and column {first} are in each other's way")
    inner[rest] = value
