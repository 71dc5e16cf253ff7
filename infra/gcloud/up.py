"""`up`: from whatever is there to the whole system, and from one version to the next.

It looks, says what it would change, asks, and does it in this order: APIs, accounts, images' place, secrets, memory,
bus, queue, alerts; images; services by the road of a release; then what names the services' addresses; and a first
version is tried when all of that is there. Stopped half-way it is run again, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infra.gcloud import fit, images, release, services, values
from infra.gcloud.gcloud import Gcloud
from infra.gcloud.model import Change
from infra.gcloud.observe import State, locate, observe
from infra.gcloud.place import Place
from infra.gcloud.planner import WIRES, Phases, immutable, plan, with_channel
from infra.gcloud.release import Running, running
from infra.gcloud.resources import components, resources
from infra.gcloud.road import Road, Smoke
from infra.gcloud.saying import said
from infra.gcloud.services import Inputs
from infra.gcloud.values import SecretPlan

UNKNOWN = "sha256:" + "0" * 64
Told = Callable[[str], None]


class Stuck(Exception):
    """Something is there otherwise than we want it, and only a person may decide what becomes of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that `up` would do."""

    place: Place
    state: State
    phases: Phases
    secrets: Sequence[SecretPlan]
    settings: Mapping[str, str]
    tags: Mapping[str, str]
    images: Mapping[str, str]
    """With the digest where the registry has the image; else it will be built."""
    documents: Sequence[Mapping[str, Any]]
    steps: Mapping[str, release.Step]
    first: bool
    """The phone's first version is to be tried: it is made now, or was never tried."""
    missing: Mapping[str, str]
    stuck: Sequence[str]

    @property
    def builds(self) -> list[str]:
        """Images that have to be built."""
        return [image for image, name in self.images.items() if name.endswith(UNKNOWN)]

    @property
    def empty(self) -> bool:
        """True if there is nothing to do."""
        secrets = any(one.adds for one in self.secrets)
        return not (self.phases.all or secrets or self.builds or self.first or set(self.steps.values()) - {"none"})


def ours(place: Place, state: State) -> dict[str, Running]:
    """Our services that are there, by name."""
    names = [place.named(component.name) for component in components(place)]
    return {name: running(state.services[name]) for name in names if name in state.services}


def make_plan(
    gcloud: Gcloud, place: Place, environ: Mapping[str, str], *, given: Mapping[str, str] | None = None
) -> Plan:
    """Look at everything, change nothing. `given` are images with their digests, built elsewhere. Raises
    GcloudFailed."""
    place = locate(gcloud, place)
    state = observe(gcloud, place, resources(place))
    place = with_channel(place, state)
    versions = values.versions(gcloud, place, state)
    secrets = values.plan_secrets(gcloud, place, environ, versions)
    settings = values.settings(place, environ, state)
    place = replace(place, retention_days=values.retention_days(settings))
    tags = images.tags()
    if given:
        found = dict(given)
    elif state.has("repository", place.prefix):
        found = {image: images.digest(gcloud, place, image, tag) for image, tag in tags.items()}
    else:
        found = dict.fromkeys(tags, "")
    found = {image: name or f"{place.repository}/{image}@{UNKNOWN}" for image, name in found.items()}
    will_be = {one.secret.name: _next(one) for one in secrets if one.version or one.adds}
    written = _documents(place, Inputs(images=found, versions=will_be, settings=settings))
    there, phone = ours(place, state), place.named(place.phone_service)
    steps = {item["metadata"]["name"]: release.step(item, there.get(item["metadata"]["name"])) for item in written}
    return Plan(
        place=place,
        state=state,
        phases=plan(place, state),
        secrets=secrets,
        settings=settings,
        tags=tags,
        images=found,
        documents=written,
        steps=steps,
        first=steps[phone] == "first" or (steps[phone] != "candidate" and there[phone].untried),
        missing=fit.unfit(written, environ) | values.missing(place, environ, state, versions),
        stuck=immutable(place, state),
    )


def _next(one: SecretPlan) -> str:
    return str(int(one.version or "0") + 1) if one.adds else one.version


def _documents(place: Place, inputs: Inputs) -> list[dict[str, Any]]:
    return [services.document(place, component, inputs) for component in components(place)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """How `up` is done. `made` collects the changes, for the summary and for tests."""

    gcloud: Gcloud
    environ: Mapping[str, str]
    told: Told
    smoke: Callable[[Place], Smoke]
    road: Mapping[str, Any] = field(default_factory=dict)
    """What is said to the `Road` beside the obvious (watch_s, sleep, promote ...)."""
    made: list[str] = field(default_factory=list)

    def __call__(self, todo: Plan) -> Place:
        """Do what is planned. Raises GcloudFailed, ReleaseFailed, values.Missing, Stuck."""
        if todo.missing:
            raise values.Missing(todo.missing)
        if todo.stuck:
            raise Stuck("\n".join(todo.stuck))
        place = todo.place
        self.apply(place, todo.phases.ground)
        versions = values.fill(self.gcloud, place, self.environ, list(todo.secrets), self._secret)
        found = dict(todo.images)
        if todo.builds:
            found = images.built(self.gcloud, place, todo.tags, self.told)
            self.made.append(f"images: {', '.join(todo.builds)}")
        written = _documents(place, Inputs(images=found, versions=versions, settings=todo.settings))
        road = Road(gcloud=self.gcloud, place=place, smoke=self.smoke(place), told=self.told, **self.road)
        road.walk(written, ours(place, todo.state))
        self.made.extend(road.changed)
        self.apply(place, self._wires(todo, place, changed=bool(todo.phases.ground or road.changed)))
        if todo.first:
            phone = place.named(place.phone_service)
            road.try_first(next(item for item in written if item["metadata"]["name"] == phone))
        return place

    def apply(self, place: Place, changes: Sequence[Change]) -> None:
        """Run the commands of the changes, one after the other. Raises GcloudFailed."""
        for number, change in enumerate(changes, start=1):
            self.told(f"{number:>3}/{len(changes)} {change.action} {said(place, change)}")
            for command in change.commands:
                self.gcloud.run(command)
            self.made.append(f"{change.action} {change.kind} {change.name}")

    def _wires(self, todo: Plan, place: Place, *, changed: bool) -> Sequence[Change]:
        """What follows the services, seen anew when anything has changed; and what hangs on what follows them."""
        if not changed:
            return todo.phases.wires
        named = ("service:", "subscription:")
        wanted = [one for one in resources(place) if one.kind != "grant" or one.spec["on"].startswith(named)]
        state = observe(self.gcloud, place, wanted, {*WIRES, "channel"})
        place = with_channel(place, state)
        everything = plan(place, State({**todo.state.found, **state.found}, state.policies, state.services))
        return everything.wires

    def _secret(self, line: str) -> None:
        self.told(line)
        self.made.append(line)
