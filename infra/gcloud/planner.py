"""What has to be done: what is wanted against what is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.gcloud import grants
from infra.gcloud.kinds import KINDS
from infra.gcloud.model import Change, Command, Resource, Spec
from infra.gcloud.observe import State
from infra.gcloud.place import Place
from infra.gcloud.resources import HELPERS, components, resources

WIRES = ("subscription", "job", "policy")
"""Made after the services: they name their addresses."""


@dataclass(frozen=True, slots=True)
class Phases:
    """`ground` before the services, `wires` after them."""

    ground: tuple[Change, ...]
    wires: tuple[Change, ...]

    @property
    def all(self) -> tuple[Change, ...]:
        return self.ground + self.wires


def with_channel(place: Place, state: State) -> Place:
    """The place with the notification channel that is there."""
    channel = state.found.get("channel", {}).get(place.named("mail"), {})
    return replace(place, channel=str(channel.get("id", "")))


def plan(place: Place, state: State) -> Phases:
    """Every change but those of the services themselves."""
    wanted = resources(place)
    changes = [*_apis(wanted, state)]
    for want in wanted:
        if want.kind not in ("api", "grant"):
            changes += _compare(place, want, state)
    access = grants.compare(
        place, [want for want in wanted if want.kind == "grant"], state.policies, accounts(place)
    )  # fmt: skip
    ground = [change for change in changes if change.kind not in WIRES]
    wires = [change for change in changes if change.kind in WIRES]
    for change in access:
        (wires if change.name.startswith(("service:", "subscription:")) else ground).append(change)
    return Phases(tuple(ground), tuple(wires))


def accounts(place: Place) -> list[str]:
    """The e-mails of our accounts."""
    return [place.account(name) for name in (*[component.name for component in components(place)], *HELPERS)]


def _apis(wanted: Iterable[Resource], state: State) -> list[Change]:
    missing = [want.name for want in wanted if want.kind == "api" and not state.has("api", want.name)]
    if not missing:
        return []
    return [Change("create", "api", " ".join(missing), (Command(("services", "enable", *missing)),))]


def _compare(place: Place, want: Resource, state: State) -> list[Change]:
    kind, there = KINDS[want.kind], state.found.get(want.kind, {}).get(want.name)
    if there is None:
        return [Change("create", want.kind, want.name, kind.create(place, want))]
    differs = difference(want.spec, there)
    if not differs or kind.change is None:
        return []
    return [Change("update", want.kind, want.name, kind.change(place, want, there), ", ".join(differs))]


def difference(want: Spec, there: Mapping[str, Any]) -> list[str]:
    """The fields that are said and are otherwise, in words."""
    return [
        f"{name}: {_short(there.get(name))} -> {_short(value)}"
        for name, value in want.items()
        if _plain(there.get(name)) != _plain(value)
    ]


def immutable(place: Place, state: State) -> list[str]:
    """What is there otherwise than we want it and cannot be changed in place: for a person to decide."""
    return [
        f"{want.kind} {want.name}: {'; '.join(difference(want.spec, there))}"
        for want in resources(place)
        if want.kind in KINDS and KINDS[want.kind].change is None
        for there in [state.found.get(want.kind, {}).get(want.name)]
        if there is not None and difference(want.spec, there)
    ] + _moved(place, state)


def _moved(place: Place, state: State) -> list[str]:
    there = state.found.get("database", {}).get(place.database)
    if there is None:
        return []
    fixed = {"type": "FIRESTORE_NATIVE", "location": place.region}
    told = difference(fixed, there)
    return [f"database {place.database}: {'; '.join(told)} (a database stays where it was made)"] if told else []


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
