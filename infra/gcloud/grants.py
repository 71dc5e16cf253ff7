"""Who may do what: the policies of the resources themselves, compared with the grants that we want. Pure.

A grant for one of our accounts that is not wanted is taken away, and so is public access to what is private. Grants of
others (people, Google's own agents) are left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from infra.gcloud.kind import JSON
from infra.gcloud.model import Change, Command, Resource
from infra.gcloud.place import Place

Policy = Mapping[str, Any]
PUBLIC = ("allUsers", "allAuthenticatedUsers")


def target_of(on: str) -> str:
    """Whose policy a grant stands in. Firestore's databases have none: theirs stands on the project, with a
    condition."""
    return "project" if on.startswith("database:") else on


def look(place: Place, target: str) -> tuple[str, ...]:
    """How gcloud shows the policy of a target."""
    return (*_where(place, target, "get-iam-policy"), JSON)


def command(place: Place, verb: str, on: str, role: str, member: str) -> Command:
    """`verb` is add or remove."""
    said = (f"--member={member}", f"--role={role}")
    return Command((*_where(place, target_of(on), f"{verb}-iam-policy-binding"), *said, *_condition(place, on)))


def _where(place: Place, target: str, verb: str) -> tuple[str, ...]:
    kind, _, name = target.partition(":")
    match kind:
        case "project":
            return ("projects", verb, place.project)
        case "secret":
            return ("secrets", verb, name)
        case "topic":
            return ("pubsub", "topics", verb, name)
        case "subscription":
            return ("pubsub", "subscriptions", verb, name)
        case "bucket":
            return ("storage", "buckets", verb, f"gs://{name}")
        case "queue":
            return ("tasks", "queues", verb, name, f"--location={place.region}")
        case "service":
            return ("run", "services", verb, name, f"--region={place.region}")
        case "repository":
            return ("artifacts", "repositories", verb, name, f"--location={place.region}")
        case "account":
            return ("iam", "service-accounts", verb, f"{name}@{place.project}.iam.gserviceaccount.com")
        case _:
            raise ValueError(f"{target!r} has no policy")


def expression(place: Place, on: str) -> str:
    """The condition that keeps a grant on the project to one database; "" for a grant on the resource itself."""
    kind, _, name = on.partition(":")
    return f'resource.name=="projects/{place.project}/databases/{name}"' if kind == "database" else ""


def _condition(place: Place, on: str) -> tuple[str, ...]:
    if said := expression(place, on):
        return (f"--condition=expression={said},title=only {on}",)
    return ("--condition=None",) if target_of(on) == "project" else ()


def bindings(policy: Policy) -> set[tuple[str, str, str]]:
    """(role, member, condition) of a policy."""
    return {
        (binding["role"], member, (binding.get("condition") or {}).get("expression", ""))
        for binding in policy.get("bindings", ())
        for member in binding.get("members", ())
    }


def compare(
    place: Place, wanted: Iterable[Resource], policies: Mapping[str, Policy], ours: Collection[str]
) -> list[Change]:
    """What is missing is added, what is too much of ours is removed. `policies` by target; a target that is not there
    yet has none. `ours` are the e-mails of our accounts."""
    want: dict[str, set[tuple[str, str, str]]] = {}
    changes: list[Change] = []
    for one in wanted:
        on, role, member = one.spec["on"], one.spec["role"], one.spec["member"]
        binding = (role, member, expression(place, on))
        want.setdefault(target_of(on), set()).add(binding)
        if binding not in bindings(policies.get(target_of(on), {})):
            changes.append(Change("create", "grant", one.name, (command(place, "add", on, role, member),)))
    mine = {f"serviceAccount:{email}" for email in ours}
    for target, policy in policies.items():
        for role, member, condition in sorted(bindings(policy) - want.get(target, set())):
            if member in mine or (member in PUBLIC and target.startswith("service:")):
                changes.append(_removed(place, target, role, member, condition))
    return changes


def _removed(place: Place, target: str, role: str, member: str, condition: str) -> Change:
    said = (f"--member={member}", f"--role={role}")
    kept: tuple[str, ...] = ()
    if target == "project":
        kept = ("--all",) if condition else ("--condition=None",)
    argv = (*_where(place, target, "remove-iam-policy-binding"), *said, *kept)
    return Change("remove", "grant", f"{target} {role} {member}", (Command(argv),), "not wanted")
