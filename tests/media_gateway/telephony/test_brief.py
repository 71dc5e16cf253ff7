"""The ten seconds that the person hears."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.telephony.brief import KEYS, WORDS, spoken_brief
from realtime.call import Call

PER_SECOND = 3


def brief(**state: Any) -> str:
    return spoken_brief(Call(call_id="CA1", conversation_state=state or None))


def test_who_why_and_about_what() -> None:
    slots = {"service_type": "oil_change", "preferred_date": "2026-11-21", "preferred_time": "14:00"}
    said = brief(customer={"first_name": "John"}, escalation_reason="tool_failed", slots=slots)
    assert said == (
        "A call from John. Our calendar failed. About: oil change, Saturday the twenty-first, two in the afternoon."
    )


def test_what_is_not_known_is_not_said() -> None:
    assert brief() == "A call from a caller we do not know. They need a person."
    assert brief(escalation_reason="anger", slots={"preferred_date": "soon"}) == (
        "A call from a caller we do not know. They are upset."
    )
    assert brief(customer={"name": "<script>alert(1)</script>"}).startswith("A call from scriptalertscript.")


@given(
    st.text(max_size=200),
    st.sampled_from(["manager_request", "emergency", "policy", "anything", None]),
    st.fixed_dictionaries(
        {},
        optional={
            "service_type": st.text(max_size=300),
            "preferred_date": st.one_of(st.dates().map(str), st.text(max_size=20)),
            "preferred_time": st.one_of(st.times().map(lambda time: f"{time:%H:%M}"), st.text(max_size=20)),
        },
    ),
)
def test_it_is_never_longer_than_ten_seconds(name: str, reason: str | None, slots: dict[str, str]) -> None:
    said = brief(customer={"name": name}, escalation_reason=reason, slots=slots)
    assert said
    assert len(said.split()) <= WORDS
    assert len(f"{said} {KEYS}".split()) / PER_SECOND <= 10.5
