"""`wire` and `down`: what is printed around them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from rich.console import Console

from infra.cli.deploying import Where, gcloud_for, teller
from infra.gcloud import values, wire
from infra.gcloud.access import smoker
from infra.gcloud.down import plan_down, take_down
from infra.gcloud.observe import locate, observe
from infra.gcloud.planner import with_channel
from infra.gcloud.resources import resources
from infra.gcloud.road import ReleaseFailed
from infra.gcloud.up import Up, make_plan, ours

WATCH_S = 60.0
"""The same images with one secret more: a tenth of the traffic is not watched for as long as a new version's."""


def run_wire(err: Console, where: Where, *, dry_run: bool) -> int:
    """`wire`. When ElevenLabs handed over a new secret, the services that check with it are brought to it."""

    tell, there = teller(err), where.place()
    gcloud = gcloud_for(there, err)
    there = locate(gcloud, there)
    state = observe(gcloud, there, resources(there), {"secret"})
    running = ours(there, state)
    if there.named("fallback") not in running:
        raise ReleaseFailed("There is nothing to point a vendor at yet; `up` first.")
    twilio = wire.twilio_of(gcloud, there, os.environ, running)
    wire.wire_twilio(twilio, there, tell, dry_run=dry_run)
    versions = values.versions(gcloud, there, state)
    vendor = wire.elevenlabs_of(gcloud, there, os.environ, versions)
    if vendor is None:
        tell("ElevenLabs: no key, so hosted calls are not wired")
    elif wire.wire_elevenlabs(vendor, gcloud, there, versions, tell, dry_run=dry_run):
        webhook, phone = running[there.named("webhook")], running[there.named(there.phone_service)]
        todo = make_plan(gcloud, there, os.environ, given={"gateway": phone.image, "functions": webhook.image})
        smoke = smoker(gcloud, os.environ, tell)
        Up(gcloud=gcloud, environ=os.environ, told=tell, smoke=smoke, road={"watch_s": WATCH_S})(todo)
    return 0


def run_down(
    err: Console,
    where: Where,
    *,
    keep_data: bool,
    everything: bool,
    yes: bool,
    dry_run: bool,
    ask: Callable[[str], str],
) -> int:
    """`down`. What cannot be had back is asked for by name, unless --yes."""
    if keep_data == everything:
        err.print("[red]Say which: --keep-data (calls, customers and keys stay) or --everything.[/]")
        return 2
    there = where.place()
    gcloud = gcloud_for(there, err)
    there = locate(gcloud, there)
    state = observe(gcloud, there, resources(there))
    there = with_channel(there, state)
    changes = plan_down(there, state, keep_data=keep_data)
    for change in changes:
        for command in change.commands if dry_run else ():
            err.print(command.shown(), markup=False, highlight=False, soft_wrap=True)
    if dry_run:
        return 0
    err.print(f"{len(changes)} resources of {there.prefix} in {there.project} go. Callers reach nobody after that.")
    if not yes:
        if not sys.stdin.isatty():
            err.print("[red]Say --yes to do it, or --dry-run to look.[/]")
            return 2
        if ask(f"Type {there.prefix} to go on") != there.prefix:
            return 1
    take_down(gcloud, changes, teller(err))
    return 0
