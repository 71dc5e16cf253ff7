"""`seed --from`: the command as a shop's owner runs it."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli import seeding
from realtime.records.customers import Customer, find_by_phone
from realtime.stores.embedded import EmbeddedStore
from tests.infra.cli.test_cli import callboard

TABLE = """\
name,phone,vehicle,vin,last_service
John Miller,(415) 555-0123,2019 Honda Civic,1HGCM82633A004352,2026-05-04
No Number,,2020 Kia,,
"Lopez, Maria",+14155550124,2022 Ford F-150,,
Bad Car,+14155550125,2001 Fiat,123,
too,few
"""


def caller(folder: Path, phone: str) -> Customer | None:
    async def look() -> Customer | None:
        store = EmbeddedStore(folder / "callboard.db")
        try:
            return await find_by_phone(store, "default", phone)
        finally:
            await store.aclose()

    return asyncio.run(look())


def test_good_rows_are_in_and_bad_ones_are_named(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text(TABLE, encoding="utf-8-sig")
    done = callboard("seed", "--from", str(file), "--json", CALLBOARD_DATA_DIR=str(tmp_path))
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["customers"], told["vehicles"]) == (2, 2)
    assert [row["line"] for row in told["bad_rows"]] == [3, 5, 6]
    assert told["bad_rows"][2]["reason"] == "2 fields, and the first line names 5"
    john = caller(tmp_path, "+14155550123")
    assert john is not None
    assert (john.name, john.vehicles[0].vin) == ("John Miller", "1HGCM82633A004352")
    maria = caller(tmp_path, "+14155550124")
    assert maria is not None
    assert maria.name == "Lopez, Maria"


def test_people_read_the_lines_and_the_reasons(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text(TABLE)
    done = callboard("seed", "--from", str(file), CALLBOARD_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "2 customers with 2 vehicles are in." in done.stdout
    assert "line 3: there is no phone number" in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"name,car\nJohn,Honda\n", "name and phone are needed"),
        (b"name,phone\nJos\xe9,+14155550123\n", "CSV UTF-8"),
        (b'name,phone\n"John,+14155550123\n', "line 2"),
    ],
)
def test_what_is_no_table_of_customers(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "customers.csv"
    if content is not None:
        file.write_bytes(content)
    done = callboard("seed", "--from", str(file), CALLBOARD_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_file_must_be_named() -> None:
    assert callboard("seed").returncode == 2


def test_a_long_file_shows_how_far_it_is_and_a_second_load_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    file = tmp_path / "customers.csv"
    rows = [f"c{n};Person {n};+1415555{n:04d};" for n in range(1200)]
    file.write_text("\n".join(["id;name;phone;car", *rows]))
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)
    done = asyncio.run(seeding.seed(console, file))
    assert (done.customers, done.bad) == (1200, [])
    assert "customers" in shown.getvalue()
    assert "%" in shown.getvalue()
    # Two people swap numbers, one gets a new one: the old ways lead nowhere, or to whoever has the number now.
    rows[:3] = ["c0;Person 0;+14155550001;", "c1;Person 1;+14155550000;", "c2;Person 2;+14155559999;Kia"]
    file.write_text("\n".join(["id;name;phone;car", *rows]))
    asyncio.run(seeding.seed(Console(file=io.StringIO()), file))
    found = [caller(tmp_path, phone) for phone in ("+14155550000", "+14155550001", "+14155559999", "+14155550002")]
    assert [one and one.customer_id for one in found] == ["c1", "c0", "c2", None]
