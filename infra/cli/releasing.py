"""`release`, `promote`, `rollback` and `status`: what is printed around the road of a release."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.deploying import Where, gcloud_for, images_of, print_json, teller
from infra.gcloud import release, services, values
from infra.gcloud.access import smoker
from infra.gcloud.gcloud import Gcloud, GcloudFailed
from infra.gcloud.model import Command
from infra.gcloud.observe import AT_ONCE, State, locate, look_at_ours, look_at_services
from infra.gcloud.place import BadPlace, Place
from infra.gcloud.release import Running
from infra.gcloud.resources import components
from infra.gcloud.road import ReleaseFailed, Road

ROLLBACK_S = 240.0
"""For one service to go back; the phone goes first, the others together: five minutes hold both."""


def run_release(err: Console, where: Where, image: Sequence[str], *, road: Mapping[str, Any], dry_run: bool) -> int:
    """`release`: the services that are there, with other images and by the road; nothing else is looked at or changed,
    so that a build may do it with its few permissions."""
    there, images = where.place(), images_of(image)
    if not images:
        raise BadPlace("Which images? --image gateway=NAME@sha256:... --image functions=NAME@sha256:...")
    gcloud, tell = gcloud_for(there, err), teller(err)
    shown = look_at_ours(gcloud, there, [there.named(component.name) for component in components(there)])
    if len(shown) < len(components(there)):
        raise ReleaseFailed("Some services are not there yet: `up` makes them (python3 run.py status).")
    there = replace(there, number=str(next(iter(shown.values()))["metadata"]["namespace"]))
    running = {name: release.running(item) for name, item in shown.items()}
    given = services.Inputs(
        images=images,
        versions=values.pinned(there, running),
        settings=values.settings(there, os.environ, State(services=shown)),
    )
    documents = [services.document(there, component, given) for component in components(there)]
    if dry_run:
        for document in documents:
            name = document["metadata"]["name"]
            tell(f"{name}: {_step(document, running[name])}")
        return 0
    smoke = smoker(gcloud, os.environ, tell)(there)
    Road(gcloud=gcloud, place=there, smoke=smoke, told=tell, one_by_one=True, **road).walk(documents, running)
    _tell_what_serves(err, gcloud, there)
    return 0


def _step(document: Mapping[str, Any], now: Running) -> str:
    revision = document["spec"]["template"]["metadata"]["name"]
    match release.step(document, now):
        case "none":
            return f"{revision} serves already"
        case "settings":
            return "settings of the service only, no revision"
        case _:
            return f"{revision} without traffic, smoke, a tenth, everything; {now.serving} serves until then"


def run_promote(err: Console, where: Where, *, watch_s: float, dry_run: bool) -> int:
    """`promote`."""
    there, gcloud, running = _running(where, err)
    there, tell = locate(gcloud, there), teller(err)
    if dry_run:
        waiting = [one for one in running.values() if one.candidate]
        for one in waiting:
            tell(f"{one.name}: smoke, then everything to {one.candidate} ({one.serving} serves until then)")
        if not waiting:
            tell("No candidate waits; `up` makes one.")
        return 0
    smoke = smoker(gcloud, os.environ, tell)(there)
    Road(gcloud=gcloud, place=there, smoke=smoke, told=tell, watch_s=watch_s).finish(running)
    _tell_what_serves(err, gcloud, there)
    return 0


def run_rollback(err: Console, where: Where, *, dry_run: bool) -> int:
    """`rollback`: every service back to what served before, the phone first. No smoke test, no waiting; a service that
    fails does not keep the others from it."""
    there, gcloud, running = _running(where, err)
    plan = {name: revision for name, one in running.items() if (revision := release.back(one))}
    if not plan:
        raise ReleaseFailed("There is no revision to go back to: nothing was released over another one here.")
    tell, failed = teller(err), []

    def back(name: str) -> None:
        to = f"--to-revisions={plan[name]}=100"
        command = Command(("run", "services", "update-traffic", name, f"--region={there.region}", to))
        tell(f"{name}: everything to {plan[name]}")
        try:
            if not dry_run:
                gcloud.run(command, seconds=ROLLBACK_S)
        except GcloudFailed as problem:
            failed.append(problem)

    phone = there.named(there.phone_service)
    if phone in plan:
        back(phone)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(back, [name for name in plan if name != phone]))
    if failed:
        raise failed[0]
    if not dry_run:
        tell("Everything is back. Candidates stay where they are, without traffic; `up` makes the next one.")
    return 0


def _running(where: Where, err: Console) -> tuple[Place, Gcloud, dict[str, Running]]:
    there = where.place()
    gcloud = gcloud_for(there, err)
    shown = look_at_services(gcloud, there)
    names = [there.named(component.name) for component in components(there)]
    return there, gcloud, {name: release.running(shown[name]) for name in names if name in shown}


def _tell_what_serves(err: Console, gcloud: Gcloud, there: Place) -> None:
    phone = there.named(there.phone_service)
    for one in (release.running(item) for item in look_at_ours(gcloud, there, [phone]).values()):
        what = f"{one.serving} serves everything" if one.shares.get(one.serving) == 100 else "the candidate waits"
        teller(err)(f"{phone}: {what}. Back to {one.previous or 'nothing'}: python3 run.py rollback")


def show_status(out: Console, err: Console, where: Where, *, as_json: bool) -> int:
    """`status`: what serves, what waits, what is not ready. Exit code 1 when something is not as it should be."""
    there, _gcloud, running = _running(where, err)
    names = [there.named(component.name) for component in components(there)]
    if as_json:
        print_json({name: asdict(running[name]) if name in running else None for name in names})
    else:
        _print_status(out, there, {name: running.get(name) for name in names})
    well = all(name in running and running[name].ready and running[name].shares for name in names)
    return 0 if well else 1


def _print_status(out: Console, there: Place, services_: Mapping[str, Running | None]) -> None:
    out.print(f"[bold]{there.prefix}[/] in {there.project}, {there.region}\n", highlight=False)
    table = Table("", "service", "serves", "waits", "before", "image", box=None, padding=(0, 2, 0, 0))

    def short(name: str, revision: str) -> str:
        return revision.removeprefix(f"{name}-")

    for name, one in services_.items():
        component = name.removeprefix(f"{there.prefix}-")
        if one is None:
            table.add_row("[red]✗[/]", component, "[red]missing[/]", "", "", "")
            continue
        shares = ", ".join(
            short(name, each) + (f" {share} %" if share < 100 else "") for each, share in one.shares.items()
        )
        image = one.image.rpartition("@sha256:")[2][:12]
        state = "[green]✓[/]" if one.ready and one.shares else "[red]✗[/]"
        table.add_row(
            state, component, escape(shares or "nothing"), short(name, one.candidate), short(name, one.previous), image
        )
    out.print(table, highlight=False)
    missing = [name for name, one in services_.items() if one is None]
    broken = [name for name, one in services_.items() if one and not one.ready]
    if len(missing) == len(services_):
        out.print("\nNothing is deployed here (is it the right --project, --region, --env?): python3 run.py up")
    elif missing:
        out.print("\nSomething is missing: python3 run.py plan, then up")
    for name in broken:
        out.print(f"\n{name} is not ready: python3 run.py logs --service {name}", highlight=False)
