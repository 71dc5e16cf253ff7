"""Opening hours as a grid of half hours, and the document they are kept in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, time

import pytest

from realtime.records.shop import DEFAULT_SHOP, Service, Shop

FRIDAY, SATURDAY, SUNDAY = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22)


def test_the_grid_is_every_half_hour_of_opening() -> None:
    friday = DEFAULT_SHOP.grid(FRIDAY)
    assert (friday[0], friday[1], friday[-1], len(friday)) == ("08:00", "08:30", "17:30", 20)
    assert DEFAULT_SHOP.grid(SATURDAY)[-1] == "16:30"
    week = (*DEFAULT_SHOP.hours[:6], None)
    assert replace(DEFAULT_SHOP, hours=week).grid(SUNDAY) == ()


def test_a_holiday_is_closed_and_odd_hours_lose_their_rest() -> None:
    assert replace(DEFAULT_SHOP, closed_on=frozenset({FRIDAY})).grid(FRIDAY) == ()
    odd = replace(DEFAULT_SHOP, hours=((time(9, 10), time(10, 30)),) * 7)
    assert odd.grid(FRIDAY) == ("09:10", "09:40")


@pytest.mark.parametrize(("minutes", "steps"), [(30, 1), (31, 2), (45, 2), (60, 2), (90, 3)])
def test_a_service_takes_whole_steps(minutes: int, steps: int) -> None:
    assert Service("x", "x", minutes).steps == steps


def test_a_service_is_found_by_key_or_name_in_any_case() -> None:
    for wanted in ("oil_change", "Oil Change", " oil change "):
        found = DEFAULT_SHOP.service(wanted)
        assert found is not None
        assert found.key == "oil_change"
    assert DEFAULT_SHOP.service("paint job") is None


def test_it_survives_json() -> None:
    shop = replace(DEFAULT_SHOP, closed_on=frozenset({FRIDAY, SUNDAY}), bays=3)
    assert Shop.from_dict(json.loads(json.dumps(shop.to_dict()))) == shop


@pytest.mark.parametrize("change", [{"hours": [None]}, {"bays": 0}, {"hours": ["8-late"] * 7}])
def test_a_poison_document_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Shop.from_dict({**DEFAULT_SHOP.to_dict(), **change})
