"""`down`: unmaking a system, the other way round. What belongs to the business stays unless everything is to go."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infra.gcloud.gcloud import Gcloud, GcloudFailed
from infra.gcloud.grants import bindings
from infra.gcloud.kinds import KINDS
from infra.gcloud.model import Change, Command
from infra.gcloud.observe import State
from infra.gcloud.place import Place
from infra.gcloud.planner import accounts
from infra.gcloud.resources import components, resources

KEPT = ("database", "index", "ttl", "backup", "secret", "topic", "subscription")
"""With --keep-data: calls, customers, keys, and news that has not been applied. Files of calls too (see `_keeps`)."""


def plan_down(place: Place, state: State, *, keep_data: bool) -> list[Change]:
    """What is removed, in order: nobody calls any more, then the services, then what they stood on, then who they
    were. APIs stay enabled: others may use them."""
    changes = []
    for component in components(place):
        name = place.named(component.name)
        if name in state.services:
            command = Command(("run", "services", "delete", name, f"--region={place.region}"))
            changes.append(Change("remove", "service", name, (command,)))
    for want in reversed(resources(place)):
        if want.kind not in KINDS or (keep_data and _keeps(place, want.kind, want.name)):
            continue
        kind, there = KINDS[want.kind], state.found.get(want.kind, {}).get(want.name)
        if there is not None and kind.remove is not None:
            changes.append(Change("remove", want.kind, want.name, kind.remove(place, want.name, there)))
    changes = [*(one for one in changes if one.kind == "job"), *(one for one in changes if one.kind != "job")]
    last = [one for one in changes if one.kind == "account"]
    return [*(one for one in changes if one.kind != "account"), *_project_grants(place, state), *last]


def _keeps(place: Place, kind: str, name: str) -> bool:
    return kind in KEPT or (kind == "bucket" and name == place.bucket("files"))


def _project_grants(place: Place, state: State) -> Iterator[Change]:
    """Accounts leave ghosts in the project's policy unless their bindings go first."""
    mine = {f"serviceAccount:{email}" for email in accounts(place)}
    for role, member, condition in sorted(bindings(state.policies.get("project", {}))):
        if member in mine:
            kept = "--all" if condition else "--condition=None"
            argv = (
                "projects",
                "remove-iam-policy-binding",
                place.project,
                f"--member={member}",
                f"--role={role}",
                kept,
            )
            yield Change("remove", "grant", f"project {role} {member}", (Command(argv),))


def take_down(gcloud: Gcloud, changes: list[Change], told: Callable[[str], None]) -> None:
    """What is not there any more is no failure: a run that was stopped goes on. Raises GcloudFailed."""
    for change in changes:
        told(f"{change.action} {change.kind} {change.name}")
        for command in change.commands:
            try:
                gcloud.run(command)
            except GcloudFailed as problem:
                if problem.why != "missing":
                    raise
