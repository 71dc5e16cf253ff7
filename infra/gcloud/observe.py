"""What is there now: everything that we would make is looked at, several things at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from infra.gcloud import grants
from infra.gcloud.gcloud import Gcloud, GcloudFailed
from infra.gcloud.kind import JSON, Found
from infra.gcloud.kinds import KINDS
from infra.gcloud.model import Resource
from infra.gcloud.place import Place

AT_ONCE = 4
T = TypeVar("T")
_IN_DATABASE = ("index", "ttl", "backup")
_HOLDERS = {"secret": "secret", "topic": "topic", "subscription": "subscription", "queue": "queue",
            "repository": "repository", "account": "account", "bucket": "bucket"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """`found` by kind, `policies` by target (grants.target_of), `services` as Cloud Run shows them, by name."""

    found: Mapping[str, Found] = field(default_factory=dict)
    policies: Mapping[str, grants.Policy] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def has(self, kind: str, name: str) -> bool:
        """True if this resource is there."""
        return name in self.found.get(kind, {})


def locate(gcloud: Gcloud, place: Place) -> Place:
    """The place with what only Google knows of it: the project's number, and the billing account for a budget.
    Raises GcloudFailed."""
    number = str(gcloud.read(("projects", "describe", place.project, JSON))["projectNumber"])
    if not place.budget:
        return replace(place, number=number)
    billing = gcloud.read(("billing", "projects", "describe", place.project, JSON))
    return replace(place, number=number, billing=str(billing.get("billingAccountName", "")).rpartition("/")[2])


def observe(gcloud: Gcloud, place: Place, wanted: Sequence[Resource], kinds: Collection[str] | None = None) -> State:
    """Look at the resources of these kinds (all of them), at the services, and at the policies that `wanted` names and
    that are there. Raises GcloudFailed."""
    enabled = KINDS["api"].read(place, gcloud.read(KINDS["api"].look(place)))
    asked = [name for name in dict.fromkeys(one.kind for one in wanted) if name in KINDS and name != "api"]
    asked = [name for name in asked if KINDS[name].needs in enabled and (kinds is None or name in kinds)]
    first = [name for name in asked if name not in _IN_DATABASE]

    def look(name: str) -> Found:
        return KINDS[name].read(place, gcloud.read(KINDS[name].look(place)))

    found: dict[str, Found] = {"api": enabled}
    services: dict[str, Any] = {}
    work: list[Callable[[], Any]] = [lambda name=name: look(name) for name in first]  # type: ignore[misc]
    if "run.googleapis.com" in enabled:
        work.append(lambda: look_at_services(gcloud, place))
    answers = _together(work)
    if "run.googleapis.com" in enabled:
        services = answers.pop()
    found |= dict(zip(first, answers, strict=True))
    if place.database in found.get("database", {}):
        inner = [name for name in asked if name in _IN_DATABASE]
        looks: list[Callable[[], Found]] = [lambda name=name: look(name) for name in inner]  # type: ignore[misc]
        found |= dict(zip(inner, _together(looks), strict=True))
    targets = dict.fromkeys(grants.target_of(one.spec["on"]) for one in wanted if one.kind == "grant")
    there = [target for target in targets if _there(target, found, services, enabled)]
    return State(found, look_at_policies(gcloud, place, there), services)


def look_at_services(gcloud: Gcloud, place: Place) -> dict[str, Any]:
    """Every service of the region, by name."""
    listed = gcloud.read(("run", "services", "list", f"--region={place.region}", JSON))
    return {item["metadata"]["name"]: item for item in listed}


def look_at_ours(gcloud: Gcloud, place: Place, names: Iterable[str]) -> dict[str, Any]:
    """These services, one by one: whoever may not list the project's may look at those that are theirs."""
    found = {}
    for name in names:
        try:
            found[name] = gcloud.read(("run", "services", "describe", name, f"--region={place.region}", JSON))
        except GcloudFailed as problem:
            if problem.why != "missing":
                raise
    return found


def look_at_policies(gcloud: Gcloud, place: Place, targets: Iterable[str]) -> dict[str, grants.Policy]:
    """The policy of each target."""
    names = list(targets)
    looks: list[Callable[[], Any]] = [
        lambda target=target: gcloud.read(grants.look(place, target)) or {}  # type: ignore[misc]
        for target in names
    ]
    return dict(zip(names, _together(looks), strict=True))


def _there(target: str, found: Mapping[str, Found], services: Mapping[str, Any], enabled: Found) -> bool:
    kind, _, name = target.partition(":")
    if kind == "project":
        return bool(enabled)
    if kind == "service":
        return name in services
    return name in found.get(_HOLDERS[kind], {})


def _together(work: Sequence[Callable[[], T]]) -> list[T]:
    """All of it, a few at once; the first failure is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(one) for one in work]
        try:
            return [future.result() for future in futures]
        except GcloudFailed:
            for future in futures:
                future.cancel()
            raise
