"""A table of customers: what is read from it, and what is wrong with a row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.records.customer_rows import BadRow, columns, customers
from realtime.records.customers import Vehicle

JOHN = {"name": "John Miller", "phone": "(415) 555-0177"}


def test_columns_by_whatever_they_are_called() -> None:
    assert columns(["Customer Name", "Phone Number", "VIN", "Notes"]) == {"name": 0, "phone": 1, "vin": 2}
    assert columns(["First Name", "Last Name", "Cell"]) == {"first_name": 0, "last_name": 1, "phone": 2}


@pytest.mark.parametrize(
    ("header", "problem"),
    [(["name", "vin"], "name and phone"), (["phone", "first"], "name and phone"), (["phone", "name", "Mobile"], "two")],
)
def test_a_header_that_will_not_do(header: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        columns(header)


def test_a_whole_row() -> None:
    row = {
        "id": "c-17", "name": " John  Miller ", "phone": "415-555-0123; +1 415 555 0188", "year": "2019",
        "make": "Honda", "model": "Civic", "vin": "1HGCM82633A004352", "email": "john@example.com",
        "timezone": "America/Chicago", "customer_since": "3/15/2021", "last_service": "2026-05-04",
    }  # fmt: skip
    (customer,), bad = customers([(2, row)])
    assert bad == []
    assert (customer.customer_id, customer.name, customer.vehicle) == ("c-17", "John Miller", "2019 Honda Civic")
    assert customer.phones == ("+14155550123", "+14155550188")
    assert customer.vehicles == (Vehicle("2019 Honda Civic", "1HGCM82633A004352"),)
    assert (customer.customer_since, customer.last_service) == ("2021-03-15", "2026-05-04")
    assert (customer.email, customer.timezone) == ("john@example.com", "America/Chicago")


def test_one_line_a_vehicle_is_one_customer() -> None:
    rows = [
        (2, {**JOHN, "vehicle": "2019 Honda Civic", "last_service": "2026-05-04"}),
        (3, {**JOHN, "name": "john miller", "vehicle": "2022 Ford F-150", "last_service": "2025-01-01"}),
        (4, {**JOHN, "vehicle": "2019 Honda Civic"}),
    ]
    (customer,), bad = customers(rows)
    assert bad == []
    assert [one.say for one in customer.vehicles] == ["2019 Honda Civic", "2022 Ford F-150"]
    assert customer.last_service == "2026-05-04"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": " "}, "no name"),
        ({"phone": ""}, "no phone number"),
        ({"phone": ";"}, "no phone number"),
        ({"phone": "12"}, "phone: "),
        ({"phone": "415-555-0177; call the wife"}, "phone: "),
        ({"vin": "1HGCM82633A004353"}, "vin: "),
        ({"vin": "1HGCM82633A004352; 1M8GDM9AXKP042788", "vehicle": "2019 Honda"}, "more VINs"),
        ({"email": "john at example"}, "email: "),
        ({"timezone": "Chicago"}, "timezone: "),
        ({"customer_since": "last spring"}, "customer_since: "),
        ({"id": "a/b"}, "id has characters"),
        ({"name": "x" * 201}, "longer than"),
    ],
)
def test_a_bad_row_is_named_and_the_good_ones_are_kept(change: dict[str, str], reason: str) -> None:
    good = {"name": "Maria Lopez", "phone": "+14155550124"}
    found, bad = customers([(2, {**JOHN, **change}), (3, good)])
    assert [one.name for one in found] == ["Maria Lopez"]
    assert [one.line for one in bad] == [2]
    assert reason in bad[0].reason
    assert "0177" not in bad[0].reason


def test_one_number_with_two_names_and_one_id_with_two_numbers() -> None:
    rows = [
        (2, {**JOHN, "id": "c1"}),
        (3, {**JOHN, "name": "Jane Doe"}),
        (4, {"id": "c1", "name": "Maria", "phone": "+14155550124"}),
    ]
    found, bad = customers(rows)
    assert len(found) == 1
    assert bad == [
        BadRow(3, "the same number as line 2, with another name"),
        BadRow(4, "the same id as line 2, with another number"),
    ]


def test_the_same_file_again_is_the_same_customers() -> None:
    (first,), _ = customers([(2, JOHN)])
    (again,), _ = customers([(9, {**JOHN, "vehicle": "2019 Honda Civic"})])
    assert replace(again, vehicle=None, vehicles=()) == first


@given(st.lists(st.dictionaries(st.sampled_from(["id", "name", "phone", "vin", "vehicle", "email"]), st.text())))
def test_every_row_is_in_or_named(rows: list[dict[str, str]]) -> None:
    found, bad = customers(enumerate(rows, start=2))
    assert len(found) + len(bad) <= len(rows)
    assert (len(bad) == len(rows)) == (not found)
