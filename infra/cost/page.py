"""docs/costs.md, from the same numbers as `cost` and `plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from infra.cost.model import Assumptions, estimate, money, total
from infra.cost.prices import PRICES
from infra.gcloud.profiles import PROFILES

MONTHS = (0, 1_000, 10_000, 100_000)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown; the first row is its head."""
    head, *rest = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rest]


def page() -> str:
    """The whole page."""
    given = Assumptions()
    rows = [["profile", *[f"{minutes:,} min" for minutes in MONTHS], "what it is"]]
    for profile in PROFILES.values():
        sums = [total(estimate(profile, replace(given, minutes=minutes)), vendor=False) for minutes in MONTHS]
        rows.append([f"`{profile.name}`", *[money(each) for each in sums], profile.about])
    items = [["1,000 minutes", *[f"`{name}`" for name in PROFILES]]]
    bills = [estimate(profile, given) for profile in PROFILES.values()]
    for number, line in enumerate(bills[0]):
        if not line.vendor:
            items.append([line.name, *[money(bill[number].dollars) for bill in bills]])
    items.append(["**Google**", *[f"**{money(total(bill, vendor=False))}**" for bill in bills]])
    items += [[line.name, *[money(line.dollars)] * len(bills)] for line in bills[0] if line.vendor]
    items.append(["**vendors**", *[f"**{money(total(bill, vendor=True))}**" for bill in bills]])
    prices = [["price", "USD", "for one", "read at", "on"]]
    prices += [[name, f"{one.usd:.3g}", one.unit, one.source, one.checked] for name, one in PRICES.items()]
    return "\n".join([*_INTRO, *table(rows), *_ITEMS, *table(items), *_assumed(given), *_PRICES, *table(prices), ""])


_INTRO = [
    "# What it costs",
    "",
    "Written by `python -m infra.cost`, the code behind `python3 run.py cost` and `plan` (`infra/cost/`). Estimates",
    "from list prices without the free quotas, in US dollars; your bill is Google's and the vendors', not this page.",
    "",
    "Google's part of a month, by profile and minutes of calls:",
    "",
]
_ITEMS = [
    "",
    "A warm instance is what a small installation pays for; the minutes themselves cost Google's side little, and the",
    "vendors' minutes cost more than everything here. What lowers the bill: `dev` when nobody minds a cold start, and",
    "calls at the same time on one instance (`CALLBOARD_MAX_CALLS`).",
    "",
    "The items of 1,000 minutes in a month:",
    "",
]
_PRICES = [
    "",
    "## Prices",
    "",
    "`stored copy`: read on that day in an archived copy of the page, whose own date is not known. `unchecked`: not",
    "read at its source. Look there before you rely on either.",
    "",
]


def _assumed(given: Assumptions) -> list[str]:
    return [
        "",
        f"Assumed: calls of {given.call_minutes:g} minutes, instances {given.full:.0%} full while they are busy, "
        f"{given.viewers} dashboard watching, {given.turns} turns and {given.characters} spoken characters a minute, "
        f"{given.tokens_in:,} tokens read and {given.tokens_out} written by the model a minute. "
        "Other figures: `python3 run.py cost --minutes 5000 --viewers 3`.",
    ]
