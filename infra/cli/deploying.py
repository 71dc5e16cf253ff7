"""The verbs on Google Cloud: what is printed around `infra.gcloud`. Progress goes to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.cost.model import Assumptions, estimate, money, total
from infra.gcloud import release, services, values
from infra.gcloud.access import smoker
from infra.gcloud.gcloud import Gcloud, GcloudFailed, NoGcloud
from infra.gcloud.images import PARTS
from infra.gcloud.observe import State, locate, look_at_ours, look_at_services
from infra.gcloud.place import BadPlace, Place, place
from infra.gcloud.resources import components
from infra.gcloud.road import ReleaseFailed, Road
from infra.gcloud.up import Plan, Stuck, Up, make_plan, ours
from infra.gcloud.values import Missing
from infra.gcloud.vendors import VendorFailed
from media_gateway.settings import SettingsError

FAILURES = (GcloudFailed, NoGcloud, ReleaseFailed, Missing, Stuck, VendorFailed, SettingsError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What was said on the command line about the place."""

    project: str | None
    region: str
    profile: str
    env: str
    public_url: str = ""
    alert_email: str = ""
    budget: int = 0

    def place(self) -> Place:
        """Raises BadPlace."""
        project = self.project or os.environ.get("GOOGLE_CLOUD_PROJECT", "") or _configured()
        if not project:
            raise BadPlace("Which project? Say --project ID (gcloud projects list).")
        return place(
            project,
            self.region,
            self.profile,
            self.env,
            public_url=self.public_url,
            alert_email=self.alert_email,
            budget=self.budget,
        )


def _configured() -> str:
    from infra.gcloud.gcloud import program

    try:
        return program(["config", "get-value", "project"], None, 30.0).out.strip().replace("(unset)", "")
    except NoGcloud:
        return ""


def guarded(err: Console, work: Callable[[], int]) -> int:
    """Exit code 2 for what was said wrong, 1 for what could not be done; each with its remedy."""
    try:
        return work()
    except BadPlace as problem:
        err.print(f"[red]{problem}[/]", soft_wrap=True)
        return 2
    except FAILURES as problem:
        err.print(str(problem), style="red", soft_wrap=True, markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        err.print("Stopped. Run the same command again: it goes on where it was.")
        return 1


def images_of(given: Iterable[str]) -> dict[str, str]:
    """`gateway=NAME@sha256:...` and so on. Raises BadPlace."""
    found = dict(one.partition("=")[::2] for one in given)
    wrong = [name for name, image in found.items() if name not in PARTS or "@sha256:" not in image]
    if wrong or (found and set(found) != set(PARTS)):
        raise BadPlace("--image wants both: --image gateway=NAME@sha256:... --image functions=NAME@sha256:...")
    return found


def gcloud_for(there: Place, err: Console) -> Gcloud:
    """The gcloud of this machine, on this project."""
    return Gcloud(there.project, told=lambda line: err.print(f"[dim]{line}[/]", highlight=False))


def show_plan(out: Console, err: Console, where: Where, *, yaml: bool, commands: bool, as_json: bool) -> int:
    """`plan`."""
    there = where.place()
    todo = make_plan(gcloud_for(there, err), there, os.environ)
    if as_json:
        _print_json(plan_dict(todo))
    elif yaml:
        print_yaml(out, todo)
    elif commands:
        for change in todo.phases.all:
            for command in change.commands:
                out.print(command.shown(), markup=False, highlight=False, soft_wrap=True)
    else:
        print_plan(out, todo)
    return 0


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


def print_plan(out: Console, todo: Plan) -> None:
    """On one screen: a line for each kind, not one for each thing."""
    there = todo.place
    out.print(f"[bold]{there.prefix}[/] in {there.project}, {there.region}, profile {there.profile.name}\n")
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for change in todo.phases.all:
        grouped[change.action, change.kind].append(change.name)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for (action, kind), names in grouped.items():
        shown = [name.removeprefix(f"{there.prefix}-") for name in (names[0].split() if kind == "api" else names)]
        what = ", ".join(shown) if kind != "grant" else "each component what it uses, and nothing else"
        table.add_row(action, f"{len(shown)} {kind}", what if len(what) <= 90 else what[:87] + "...")
    for one in todo.secrets:
        if one.adds:
            table.add_row("add", "secret version", f"{one.secret.name} ({one.adds})")
    if todo.builds:
        table.add_row("build", f"{len(todo.builds)} image", ", ".join(todo.builds))
    steps: dict[str, list[str]] = defaultdict(list)
    for name, step in todo.steps.items():
        steps[step].append(name.removeprefix(f"{there.prefix}-"))
    for how, names in steps.items():
        if how != "none":
            table.add_row("release", f"{len(names)} service", f"{', '.join(names)} ({how})")
    out.print("Nothing to do: everything is as it should be." if todo.empty else table)
    for name, why in todo.missing.items():
        out.print(f"[yellow]missing[/] {name}: {why}")
    for line in todo.stuck:
        out.print(f"[red]stuck[/] {line}")
    print_cost_line(out, there)


def print_yaml(out: Console, todo: Plan) -> None:
    """The services, as they would be handed to `gcloud run services replace`."""
    there = ours(todo.place, todo.state)
    for item in todo.documents:
        wanted, traffic = release.prepared(item, there.get(item["metadata"]["name"]))
        out.print("---\n" + services.text(wanted, traffic), markup=False, highlight=False, soft_wrap=True, end="")


def run_up(
    out: Console,
    err: Console,
    where: Where,
    *,
    yes: bool,
    dry_run: bool,
    images: Mapping[str, str],
    watch_s: float,
    promote: bool,
    confirm: Callable[[str], bool],
) -> int:
    """`up`."""
    if dry_run:
        return show_plan(out, err, where, yaml=False, commands=True, as_json=False)
    there = where.place()
    gcloud = gcloud_for(there, err)
    err.print("Looking at what is there ...")
    todo = make_plan(gcloud, there, os.environ, given=images or None)
    print_plan(err, todo)
    if todo.missing:
        raise Missing(todo.missing)
    if todo.stuck:
        raise Stuck("\n".join(todo.stuck))
    if todo.empty:
        _print_addresses(out, todo.place)
        return 0
    if not yes:
        if not sys.stdin.isatty():
            err.print("[red]Say --yes to do it, or --dry-run to look.[/]")
            return 2
        if not confirm("Do it?"):
            return 1

    def tell(line: str) -> None:
        err.print(line, markup=False, highlight=False, soft_wrap=True)

    road = {"watch_s": watch_s, "promote": promote}
    up = Up(gcloud=gcloud, environ=os.environ, told=tell, smoke=smoker(gcloud, os.environ, tell), road=road)
    _print_addresses(out, up(todo))
    return 0


def _print_addresses(out: Console, there: Place) -> None:
    addresses = {
        "dashboard": there.url(there.desk_service) if not there.public_url or there.profile.split else there.public_url,
        "phone": f"{there.base_url}/api/v1/voice/incoming",
        "media": f"{there.base_url.replace('http', 'ws', 1)}/api/v1/voice/media-stream",
        "webhook": there.webhook_url,
        "fallback": there.url("fallback"),
    }
    for name, address in addresses.items():
        out.print(f"{name:<10} {address}", highlight=False, soft_wrap=True)
    login = f"gcloud secrets versions access latest --secret={there.named('admin-password')} --project={there.project}"
    out.print(f"{'login':<10} admin, with the password that this prints: {login}", highlight=False, soft_wrap=True)
    out.print(f"{'next':<10} python3 run.py wire   (points your number and ElevenLabs here)", highlight=False)


def run_release(err: Console, where: Where, images: Mapping[str, str], *, watch_s: float, promote: bool) -> int:
    """`release`: the services that are there, with other images and by the road; nothing else is looked at or changed,
    so that a build may do it with its few permissions."""
    there = where.place()
    if not images:
        raise BadPlace("Which images? --image gateway=NAME@sha256:... --image functions=NAME@sha256:...")
    gcloud = gcloud_for(there, err)
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

    def tell(line: str) -> None:
        err.print(line, markup=False, highlight=False, soft_wrap=True)

    smoke = smoker(gcloud, os.environ, tell)(there)
    road = Road(gcloud=gcloud, place=there, smoke=smoke, told=tell, watch_s=watch_s, promote=promote, one_by_one=True)
    road.walk(documents, running)
    return 0


def run_promote(err: Console, where: Where, *, watch_s: float, dry_run: bool) -> int:
    """`promote`."""
    there, gcloud, running = _running(where, err)
    if dry_run:
        for name, one in running.items():
            if one.candidate:
                err.print(f"{name}: smoke, then everything to {one.candidate} (serves now: {one.serving})")
        return 0

    def tell(line: str) -> None:
        err.print(line, markup=False, highlight=False, soft_wrap=True)

    smoke = smoker(gcloud, os.environ, tell)(there)
    Road(gcloud=gcloud, place=there, smoke=smoke, told=tell, watch_s=watch_s).finish(running)
    return 0


def run_rollback(err: Console, where: Where, *, dry_run: bool) -> int:
    """`rollback`: every service back to what served before, the phone first. No smoke test, no waiting."""
    from infra.gcloud.model import Command

    there, gcloud, running = _running(where, err)
    plan = {name: release.back(one) for name, one in running.items()}
    if not any(plan.values()):
        raise ReleaseFailed("There is no revision to go back to.")
    for name, revision in sorted(plan.items(), key=lambda pair: pair[0] != there.named(there.phone_service)):
        if not revision:
            continue
        argv = ("run", "services", "update-traffic", name, f"--region={there.region}", f"--to-revisions={revision}=100")
        err.print(f"{name}: everything to {revision}")
        if not dry_run:
            gcloud.run(Command(argv))
    return 0


def _running(where: Where, err: Console) -> tuple[Place, Gcloud, dict[str, release.Running]]:
    there = where.place()
    gcloud = gcloud_for(there, err)
    there = locate(gcloud, there)
    shown = look_at_services(gcloud, there)
    names = [there.named(component.name) for component in components(there)]
    return there, gcloud, {name: release.running(shown[name]) for name in names if name in shown}


def show_status(out: Console, err: Console, where: Where, *, as_json: bool) -> int:
    """`status`: what serves, what waits, what is not ready. Exit code 1 when something is not as it should be."""
    there, _gcloud, running = _running(where, err)
    names = [there.named(component.name) for component in components(there)]
    if as_json:
        _print_json({name: asdict(running[name]) if name in running else None for name in names})
    else:
        table = Table("service", "", "serves", "waits", "image", box=None)
        for name in names:
            one = running.get(name)
            if one is None:
                table.add_row(name, "[red]missing[/]", "", "", "")
                continue
            shares = ", ".join(f"{each} {share} %" for each, share in one.shares.items())
            state = "[green]ready[/]" if one.ready else "[red]not ready[/]"
            table.add_row(name, state, shares, one.candidate, one.image.rpartition("@")[2][:19])
        out.print(table)
    well = all(name in running and running[name].ready and running[name].shares for name in names)
    return 0 if well else 1


def show_cost(out: Console, profile: str, given: Assumptions, *, as_json: bool) -> int:
    """`cost`."""
    there = place("a-project", "us-central1", profile)
    if as_json:
        _print_json(cost_dict(there, given))
        return 0
    lines = estimate(there.profile, given)
    table = Table("a month", f"{given.minutes:,} minutes", box=None)
    for vendor, name in ((False, "Google"), (True, "vendors")):
        for line in lines:
            if line.vendor == vendor:
                table.add_row(line.name + (" (always)" if line.fixed else ""), money(line.dollars))
        table.add_row(f"[bold]{name}[/]", f"[bold]{money(total(lines, vendor=vendor))}[/]")
    out.print(table)
    out.print("List prices without free quotas; their dates and assumptions: docs/costs.md", style="dim")
    return 0


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
        f"\nGoogle: about {money(idle)} a month, and {money(more)} for 1,000 minutes of calls "
        f"(the vendors' part of them: {money(vendors)})."
    )


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
