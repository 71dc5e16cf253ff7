"""A number that calls is a hint: nothing on file is told or changed before a second fact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from media_gateway.tools.identity import same_last_name
from tests.media_gateway.tools.scene import JOHN, MARIA, NOW, STRANGER, Scene
from tests.realtime.stores import BOTH, opened, opener

pytestmark = pytest.mark.anyio


@pytest.fixture(params=BOTH)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    async with opened(opener(request.param, request, clock=lambda: NOW)) as store:
        yield await Scene(store).open()


async def test_nothing_on_file_is_told_or_changed_without_it(scene: Scene) -> None:
    mine = await scene.booked()
    for name, given in (
        ("get_upcoming_appointments", {}),
        ("cancel_appointment", {}),
        ("cancel_appointment", {"appointment_id": mine["appointment_id"]}),
        ("reschedule_appointment", {"date": "2026-11-24", "time": "09:00"}),
        ("confirm_appointment", {"appointment_id": mine["reference"]}),
    ):
        for phone in (JOHN.phone, STRANGER, None):
            refused = await scene.do("CA1", phone, name, **given)
            assert (refused.ok, refused.data["reason"]) == (False, "verification_needed")
            assert refused.data["message"].endswith(".")
            assert "14:00" not in str(refused.data)
    assert (await scene.kept(mine["appointment_id"])).status == "booked"


@pytest.mark.parametrize(
    "fact", [{"last_name": "de la Cruz"}, {"last_name": "CRUZ"}, {"last_four": "01 88"}, {"last_four": "415 555 0188"}]
)
async def test_one_fact_opens_the_record_for_this_call_only(scene: Scene, fact: dict[str, str]) -> None:
    await scene.booked()
    found = await scene.do("CA1", JOHN.phone, "verify_caller", **fact)
    assert (found.ok, found.data["verified"], found.data["first_name"]) == (True, True, "John")
    (one,) = (await scene.do("CA1", JOHN.phone, "get_upcoming_appointments")).data["appointments"]
    assert one["say"] == "oil change at 2 PM on Monday, November 23"
    again = await scene.do("CA1", JOHN.phone, "verify_caller", last_name="whatever")
    assert again.data == found.data
    other = await scene.do("CA2", JOHN.phone, "get_upcoming_appointments")
    assert other.data["reason"] == "verification_needed"


async def test_the_number_that_calls_proves_nothing_of_itself(scene: Scene) -> None:
    refused = await scene.do("CA1", JOHN.phone, "verify_caller", last_four="0123")
    assert (refused.ok, refused.data["reason"]) == (False, "same_number")
    assert not (await scene.do("CA1", JOHN.phone, "get_upcoming_appointments")).ok
    found = await scene.do("CA1", JOHN.other_phones[0], "verify_caller", last_four="0123")
    assert found.ok


async def test_a_reference_opens_that_appointment_and_nothing_else(scene: Scene) -> None:
    """Whoever forges a number can book under it, and is told a reference; they must not see the rest with it."""
    mine = await scene.booked(time="09:00")
    planted = await scene.booked(call_id="CA-forged")
    found = await scene.do("CA1", JOHN.phone, "verify_caller", reference=" ".join(planted["reference"]))
    assert found.ok
    told = (await scene.do("CA1", JOHN.phone, "get_upcoming_appointments")).data["appointments"]
    assert [one["appointment_id"] for one in told] == [planted["appointment_id"]]
    refused = await scene.do("CA1", JOHN.phone, "cancel_appointment", appointment_id=mine["appointment_id"])
    assert refused.data["reason"] == "not_found"
    assert (await scene.do("CA1", JOHN.phone, "cancel_appointment")).ok


async def test_from_a_strange_phone_two_facts_one_after_the_other(scene: Scene) -> None:
    mine = await scene.booked()
    first = await scene.do("CA1", STRANGER, "verify_caller", last_name="Cruz")
    assert (first.ok, first.data["reason"]) == (False, "one_more_fact")
    found = await scene.do("CA1", STRANGER, "verify_caller", reference=mine["reference"])
    assert found.ok
    assert found.data["by"] == "last_name+reference"
    assert (await scene.do("CA1", STRANGER, "get_upcoming_appointments")).data["count"] == 1
    assert (await scene.do("CA1", STRANGER, "lookup_customer")).data["first_name"] == "John"


async def test_the_facts_of_another_customer_open_nothing(scene: Scene) -> None:
    hers = await scene.booked(phone=MARIA.phone)
    for fact in ({"last_name": "Lopez"}, {"reference": hers["reference"]}, {"last_four": "0124"}):
        call_id = f"CA-{'-'.join(fact)}"
        refused = await scene.do(call_id, JOHN.phone, "verify_caller", **fact)
        assert (refused.ok, refused.data["reason"]) == (False, "not_verified")
    both = await scene.do("CA8", JOHN.phone, "verify_caller", last_name="Cruz", reference=hers["reference"])
    assert not both.ok, "everything that is said must be true"


async def test_three_wrong_answers_are_the_end_of_it(scene: Scene) -> None:
    reasons = [
        (await scene.do("CA1", JOHN.phone, "verify_caller", last_name=guess)).data["reason"]
        for guess in ("Smith", "Jones", "Brown", "Cruz")
    ]
    assert reasons == ["not_verified"] * 3 + ["too_many_tries"]


async def test_guesses_at_once_count_each(scene: Scene) -> None:
    guesses = [scene.do("CA1", JOHN.phone, "verify_caller", last_name="Smith" + "x" * n) for n in range(8)]
    reasons = sorted([(await one).data["reason"] for one in asyncio.as_completed(guesses)])
    assert reasons == ["not_verified"] * 3 + ["too_many_tries"] * 5


async def test_nothing_said_asks_for_a_fact(scene: Scene) -> None:
    known = await scene.do("CA1", JOHN.phone, "verify_caller", last_name=" ")
    assert (known.data["reason"], known.data["facts"]) == ("verification_needed", ["last_name", "reference"])
    unknown = await scene.do("CA1", None, "verify_caller", last_name=None)
    assert unknown.data["facts"] == ["reference", "last_name"]


async def test_a_number_without_a_customer_needs_the_reference(scene: Scene) -> None:
    theirs = await scene.booked(phone=STRANGER)
    assert not (await scene.do("CA1", STRANGER, "verify_caller", reference="000000")).ok
    assert (await scene.do("CA1", STRANGER, "verify_caller", reference=theirs["reference"])).ok
    assert (await scene.do("CA1", STRANGER, "cancel_appointment")).data["status"] == "canceled"


async def test_a_number_that_we_dialled_needs_no_second_fact(scene: Scene) -> None:
    await scene.booked()
    await scene.dialled("CA1", JOHN.phone)
    # The caller of such a call is us.
    confirmed = await scene.do("CA1", "+18005550000", "confirm_appointment")
    assert (confirmed.ok, confirmed.data["status"]) == (True, "confirmed")
    other = await scene.do("CA2", JOHN.phone, "confirm_appointment")
    assert other.data["reason"] == "verification_needed"


@pytest.mark.parametrize(
    ("name", "said", "same"),
    [
        ("John Miller", "Miller", True),
        ("John Miller", "m i l l e r", True),
        ("John Miller", "M. I. L. L. E. R.", True),
        ("John Miller", "John Miller.", True),
        ("John Miller", "John", False),
        ("John Miller", "Mill", False),
        ("John Miller", "M", False),
        ("John Miller", "", False),
        ("Maria López", "lopez", True),
        ("Sean O'Brien", "O Brien", True),
        ("Anna Smith-Jones", "Smith Jones", True),
        ("Cher", "Cher", False),
    ],
)
async def test_last_names_as_they_are_heard(name: str, said: str, same: bool) -> None:
    assert same_last_name(name, said) is same


async def test_the_fact_is_journalled_with_the_tool_and_never_the_answer(scene: Scene) -> None:
    result: Any = await scene.do("CA1", JOHN.phone, "verify_caller", last_name="Cruz")
    assert result.data == {"verified": True, "by": "last_name", "first_name": "John"}
    (facts,) = await scene.store.get("calls/CA1/facts/verified")
    assert facts is not None
    assert facts.data["customer_id"] == "c1"
    assert facts.data["expire_at"] == "2026-11-21T15:15:00.000Z"
