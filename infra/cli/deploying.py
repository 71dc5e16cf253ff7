"""The verbs on Google Cloud: what is printed around `infra.gcloud`. Progress goes to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.cli.plan_view import command_lines, cost_dict, plan_dict, print_plan, print_yaml
from infra.cost.model import Assumptions, estimate, money, total
from infra.gcloud.access import smoker
from infra.gcloud.gcloud import Gcloud, GcloudFailed, NoGcloud
from infra.gcloud.images import PARTS
from infra.gcloud.place import BadPlace, Place, place
from infra.gcloud.road import ReleaseFailed
from infra.gcloud.up import Stuck, Up, make_plan
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


def teller(err: Console) -> Callable[[str], None]:
    """Tells progress, a line each."""
    return lambda line: err.print(line, markup=False, highlight=False, soft_wrap=True)


def show_plan(out: Console, err: Console, where: Where, *, yaml: bool, commands: bool, as_json: bool) -> int:
    """`plan`."""
    there = where.place()
    todo = make_plan(gcloud_for(there, err), there, os.environ)
    if as_json:
        print_json(plan_dict(todo))
    elif yaml:
        print_yaml(out, todo)
    elif commands:
        for line in command_lines(todo):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        print_plan(out, todo)
        out.print("Nothing was changed. --commands shows every command, --yaml the services.", style="dim")
    return 0


def run_up(
    out: Console,
    err: Console,
    where: Where,
    *,
    yes: bool,
    dry_run: bool,
    images: Mapping[str, str],
    road: Mapping[str, Any],
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

    tell = teller(err)
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


def show_cost(out: Console, profile: str, given: Assumptions, *, as_json: bool) -> int:
    """`cost`."""
    there = place("a-project", "us-central1", profile)
    if as_json:
        print_json(cost_dict(there, given))
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


def print_json(value: Any) -> None:
    """For scripts."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
