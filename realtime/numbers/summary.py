"""The numbers of a period, from the facts of its calls. Pure; seconds, milliseconds and US dollars."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from realtime.numbers.facts import Facts

PERCENTILES = (50, 95)


def summary(facts: Sequence[Facts]) -> dict[str, Any]:
    """Everything that the page, the command line and the REST interface show of a period."""
    answered = [one for one in facts if one.answered]
    return {
        "calls": len(facts),
        "answered": len(answered),
        "completed": sum(one.completed for one in facts),
        "booked": sum(one.booked for one in facts),
        "escalated": sum(one.escalated for one in facts),
        "average_handling_s": mean([one.seconds for one in answered]),
        "average_turns": mean([float(one.turns) for one in answered]),
        "interruptions": sum(one.interruptions for one in facts),
        "faults": sum(one.faults for one in facts),
        "tokens": sum(one.tokens for one in facts),
        "cost_usd": money(sum(sum(one.cost.values()) for one in facts)),
        "latency_ms": latency(facts),
        "by_day": by_day(facts),
        "by_hour": by_hour(facts),
        "by_flow": by_flow(facts),
        "by_outcome": dict(Counter(one.outcome for one in facts).most_common()),
        "by_status": dict(Counter(one.status for one in facts).most_common()),
        "drop_off": drop_off(facts),
        "cost_by_vendor": cost_by_vendor(facts),
        "escalation_reasons": dict(Counter(one.reason for one in facts if one.reason).most_common()),
    }


def latency(facts: Iterable[Facts]) -> dict[str, dict[str, float | int | None]]:
    """Per stage: how many turns were measured, p50 and p95."""
    stages: dict[str, list[float]] = defaultdict(list)
    for one in facts:
        for name, values in one.latency.items():
            stages[name] += values
    return {
        name: {"turns": len(values), **{f"p{at}": percentile(values, at) for at in PERCENTILES}}
        for name, values in stages.items()
    }


def by_day(facts: Iterable[Facts]) -> list[dict[str, Any]]:
    """A row for each day that had calls, oldest first."""
    days: dict[str, list[Facts]] = defaultdict(list)
    for one in facts:
        days[one.day].append(one)
    return [
        {
            "day": day,
            "calls": len(those),
            "booked": sum(one.booked for one in those),
            "escalated": sum(one.escalated for one in those),
            "tokens": sum(one.tokens for one in those),
            "cost_usd": money(sum(sum(one.cost.values()) for one in those)),
            "cost_by_vendor": cost_by_vendor(those),
            "p95_ms": percentile([ms for one in those for ms in one.latency.get("total", ())], 95),
        }
        for day, those in sorted(days.items())
    ]


def by_hour(facts: Iterable[Facts]) -> list[int]:
    """Calls that began in each hour of the day, 24 of them, local to the shop."""
    hours = [0] * 24
    for one in facts:
        hours[one.hour] += 1
    return hours


def by_flow(facts: Iterable[Facts]) -> list[dict[str, Any]]:
    """Per flow: calls, those that came to an end of their own, and the rate; busiest first."""
    flows: dict[str, list[Facts]] = defaultdict(list)
    for one in facts:
        flows[one.flow].append(one)
    rows = [
        {
            "flow": flow,
            "calls": len(those),
            "completed": sum(one.completed for one in those),
            "completion_rate": round(sum(one.completed for one in those) / len(those), 4),
            "average_handling_s": mean([one.seconds for one in those if one.answered]),
        }
        for flow, those in flows.items()
    ]
    return sorted(rows, key=lambda row: (-row["calls"], row["flow"]))


def drop_off(facts: Iterable[Facts]) -> list[dict[str, Any]]:
    """What callers were being asked for when they left."""
    counted = Counter(one.asked for one in facts if one.outcome == "abandoned" and one.asked)
    return [{"slot": slot, "calls": calls} for slot, calls in counted.most_common()]


def cost_by_vendor(facts: Iterable[Facts]) -> dict[str, float]:
    """US dollars per vendor, dearest first."""
    vendors: Counter[str] = Counter()
    for one in facts:
        for vendor, dollars in one.cost.items():
            vendors[vendor] += dollars  # type: ignore[assignment]
    return {vendor: money(dollars) for vendor, dollars in vendors.most_common()}


def percentile(values: Sequence[float], at: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * at / 100) - 1)]


def mean(values: Sequence[float]) -> float | None:
    """The average; None of nothing."""
    return round(sum(values) / len(values), 2) if values else None


def money(dollars: float) -> float:
    """US dollars to a hundredth of a cent."""
    return round(dollars, 4)
