"""The report: groups, a mark and a line for each finding, and the fix under what needs one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console

from infra.doctor.checks import Finding, here, there, vendors
from infra.doctor.running import GROUP, running
from infra.gcloud.gcloud import Gcloud
from infra.gcloud.place import BadPlace

if TYPE_CHECKING:
    from infra.cli.deploying import Where

MARKS = {"ok": "[green]✓[/]", "fail": "[red]✗[/]", "warn": "[yellow]![/]", "skip": "[dim]-[/]"}


def run_doctor(out: Console, where: Where, *, online: bool, as_json: bool) -> int:
    """1 if something fails."""
    found = list(here(os.environ))
    gcloud = next(one for one in found if one.name == "gcloud")
    if gcloud.state == "ok":
        try:
            place = where.place()
            found += there(Gcloud(place.project, attempts=2), place)
        except BadPlace as problem:
            found.append(Finding("project", "which", "fail", str(problem), "--project ID"))
    else:
        found.append(Finding("project", "login, billing, APIs", "skip", "seen through gcloud"))
    if online:
        found += vendors(os.environ)
    found += running(os.environ)
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    else:
        show(out, found, online=online)
    return 1 if any(one.state == "fail" for one in found) else 0


def show(out: Console, found: Sequence[Finding], *, online: bool) -> None:
    """For people."""
    width = max(len(one.name) for one in found)
    for group, findings in groupby(found, key=lambda one: one.group):
        out.print(f"\n[bold]{group}[/]")
        for one in findings:
            out.print(f"  {MARKS[one.state]} {one.name:<{width}}  {one.detail}", highlight=False, soft_wrap=True)
            if one.fix and (one.state in ("fail", "warn") or (one.state == "skip" and group != GROUP)):
                out.print(f"    {'':<{width}}  [cyan]{one.fix}[/]", highlight=False, soft_wrap=True)
    out.print()
    out.print(verdict(found), highlight=False, soft_wrap=True)
    if not online:
        out.print("[dim]Keys have been looked at, not tried: --online asks the vendors.[/]")


def verdict(found: Sequence[Finding]) -> str:
    """What may be done now."""
    failed = [one for one in found if one.state == "fail" and one.group != GROUP]
    if not failed:
        return "[bold green]Ready to deploy:[/] python3 run.py plan, then python3 run.py up"
    machine = [one for one in failed if one.group == "this machine" and one.name != "gcloud"]
    local = "" if machine else " `python3 run.py` works here without any of it."
    return f"[bold]{len(failed)} to mend before a deployment.[/]{local}"
