"""How a plan is shown: on one screen, as commands, as YAML, as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console
from rich.markup import escape

from infra.cost.model import Assumptions, estimate, money, total
from infra.gcloud import release, services
from infra.gcloud.images import submit
from infra.gcloud.model import Change, Command
from infra.gcloud.place import Place
from infra.gcloud.saying import counted, listed, said, short
from infra.gcloud.up import Plan, ours

AREAS = {
    "api": "APIs", "account": "accounts", "grant": "access", "repository": "images", "bucket": "files",
    "secret": "secrets", "database": "memory", "index": "memory", "ttl": "memory", "backup": "memory",
    "topic": "bus", "subscription": "bus", "queue": "schedule", "job": "schedule",
    "metric": "watch", "policy": "watch", "channel": "watch", "budget": "watch",
}  # fmt: skip
WIDTH = 100
_MARGIN = 19
FEW = 3
"""Changes of one area that are told one by one."""
HOW = {"first": "the first time", "candidate": "a tenth first", "settings": "settings only"}


def print_plan(out: Console, todo: Plan) -> None:
    """A line for each area; 24 lines of 100 columns hold the largest of plans."""
    there = todo.place
    out.print(f"[bold]{there.prefix}[/] in {there.project}, {there.region}", highlight=False)
    out.print(f"profile {there.profile.name}: {there.profile.about}\n", highlight=False)
    for action, area, what in rows(todo):
        color = {"remove": "red", "update": "yellow"}.get(action, "green")
        out.print(f"[{color}]{action:<8}[/] {area:<9} {escape(what)}", highlight=False, soft_wrap=True)
    if todo.empty:
        out.print("Nothing to do: everything is as it should be.")
    for name, why in todo.missing.items():
        out.print(f"[yellow]set[/]      {name}: {escape(why)}", highlight=False, soft_wrap=True)
    for line in todo.stuck:
        out.print(f"[red]stuck[/]    {escape(line)}", highlight=False, soft_wrap=True)
    print_cost_line(out, there)


def rows(todo: Plan) -> Iterator[tuple[str, str, str]]:
    """(what is done, to what area, in words)."""
    grouped: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in todo.phases.all:
        grouped[change.action, AREAS[change.kind]].append(change)
    for (action, area), changes in grouped.items():
        yield action, area, _area(todo.place, changes)
    stored = [one for one in todo.secrets if one.adds]
    if stored:
        reasons: dict[str, list[str]] = defaultdict(list)
        for one in stored:
            why = {"first version": "given", "made up": "made up"}.get(one.adds, "changed")
            reasons[why].append(one.secret.name)
        for why, names in reasons.items():
            yield "store", "secrets", listed(names, WIDTH - _MARGIN - len(why) - 3) + f" ({why})"
    if todo.builds:
        yield "build", "images", ", ".join(todo.builds)
    if todo.first and todo.steps[todo.place.named(todo.place.phone_service)] != "first":
        yield "try", "services", "the first version, whose smoke test has not passed yet"
    steps: dict[str, list[str]] = defaultdict(list)
    for name, step in todo.steps.items():
        steps[step].append(short(todo.place, name))
    for how, names in steps.items():
        if how != "none":
            how = HOW.get(how, how)
            yield "release", "services", listed(names, WIDTH - _MARGIN - len(how) - 3) + f" ({how})"


def _area(place: Place, changes: Sequence[Change]) -> str:
    kinds: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        kinds[change.kind].append(change)
    if "api" in kinds:
        names = changes[0].name.split()
        return f"{counted('api', len(names))}: " + listed(
            (name.removesuffix(".googleapis.com") for name in names), WIDTH - _MARGIN - 9
        )
    if len(changes) <= FEW:
        return ", ".join(said(place, change) for change in changes)
    if "grant" in kinds:
        return f"{counted('grant', len(changes))}, each on the one resource that a component uses"
    text = ", ".join(counted(kind, len(each)) for kind, each in kinds.items())
    if len(kinds) == 1:
        return f"{text}: " + listed((short(place, one.name) for one in changes), WIDTH - _MARGIN - len(text) - 2)
    return text


def command_lines(todo: Plan) -> Iterator[str]:
    """Every command that `up` would run, in its order; values of secrets come on standard input."""
    yield from _commands(todo.phases.ground)
    for one in todo.secrets:
        if one.adds:
            name = todo.place.named(one.secret.name)
            yield f"gcloud secrets versions add {name} --data-file=-   # {one.adds}; on standard input"
    if todo.builds:
        yield submit(todo.place, todo.tags).shown()
    for name, step in todo.steps.items():
        if step != "none":
            where = ("run", "services", "replace", f"{name}.yaml", f"--region={todo.place.region}")
            yield f"{Command(where).shown()}   # {HOW.get(step, step)}; --yaml shows it"
    yield from _commands(todo.phases.wires)


def _commands(changes: Sequence[Change]) -> Iterator[str]:
    return (command.shown() for change in changes for command in change.commands)


def print_yaml(out: Console, todo: Plan) -> None:
    """The services, as they would be handed to `gcloud run services replace`."""
    there = ours(todo.place, todo.state)
    for item in todo.documents:
        wanted, traffic = release.prepared(item, there.get(item["metadata"]["name"]))
        out.print("---\n" + services.text(wanted, traffic), markup=False, highlight=False, soft_wrap=True, end="")


def plan_dict(todo: Plan) -> dict[str, Any]:
    """For scripts. No value of a secret is in it."""
    return {
        "project": todo.place.project,
        "empty": todo.empty,
        "changes": [
            {"action": one.action, "kind": one.kind, "name": one.name, "detail": one.detail} for one in todo.phases.all
        ],
        "secrets": [{"name": one.secret.name, "version": one.version, "adds": one.adds} for one in todo.secrets],
        "builds": todo.builds,
        "services": dict(todo.steps),
        "missing": dict(todo.missing),
        "stuck": list(todo.stuck),
        "cost": cost_dict(todo.place, Assumptions()),
    }


def cost_dict(there: Place, given: Assumptions) -> dict[str, Any]:
    """For scripts."""
    lines = estimate(there.profile, given)
    return {
        "profile": there.profile.name,
        "minutes": given.minutes,
        "google": round(total(lines, vendor=False), 2),
        "vendors": round(total(lines, vendor=True), 2),
        "idle_month": round(total(estimate(there.profile, replace(given, minutes=0)), vendor=False), 2),
        "lines": [asdict(line) for line in lines],
    }


def print_cost_line(out: Console, there: Place) -> None:
    """Two figures: to be there, and a thousand minutes."""
    idle = total(estimate(there.profile, Assumptions(minutes=0)), vendor=False)
    thousand = estimate(there.profile, Assumptions(minutes=1000))
    more, vendors = total(thousand, vendor=False) - idle, total(thousand, vendor=True)
    out.print(
        f"\nGoogle: about {money(idle)} a month, and {money(more)} for every 1,000 minutes of calls.\n"
        f"Twilio and the engines' vendors: about {money(vendors)} for those. List prices: docs/costs.md",
        highlight=False,
    )
