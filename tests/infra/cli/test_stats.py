"""The numbers as the terminal shows them."""

from __future__ import annotations

import io

from rich.console import Console

from infra.cli.stats import draw
from realtime.numbers.facts import Facts
from realtime.numbers.summary import summary


def drawn(*facts: Facts) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    head = {"from": "2026-11-14T05:00", "to": "2026-11-20T12:00", "timezone": "America/New_York", "flow": None}
    draw(console, {**head, "active": 0, "counted_all": True, "missing": 0, **summary(facts)})
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def fact(**more: object) -> Facts:
    values = {
        **{"call_id": "CA1", "org": "default", "seq": 1, "started_at": "2026-11-20T12:00:00.000Z", "day": "2026-11-20"},
        **{"hour": 7, "flow": "f", "direction": "inbound", "status": "completed", "outcome": "booked"},
    }
    return Facts(**{**values, **more})  # type: ignore[arg-type]


def test_what_has_a_shape_is_drawn() -> None:
    text = drawn(
        fact(answered=True, booked=True, seconds=62.0, cost={"openai": 0.5}, latency={"total": [400, 900]}),
        fact(day="2026-11-19", hour=9, outcome="abandoned", asked="preferred_date"),
    )
    assert "2026-11-14 to 2026-11-20" in text
    assert "62 s" in text
    assert "$0.50" in text
    assert "11-20" in text
    assert "1, 1 booked" in text
    assert "abandoned" in text
    assert "900" in text
    assert "█" in text
    assert "flows that came to their end" in text
    assert "asked for, when callers left" in text
    assert "preferred_date" in text
    assert "$0.50 (openai $0.50)" in text
    assert text.count("openai") == 2, "by day and by vendor"


def test_a_period_without_calls() -> None:
    assert "No call in this period is over yet." in drawn()
