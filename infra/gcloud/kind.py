"""What a kind of resource is: how gcloud lists it, what of the answer counts, how it is made, changed and unmade."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.gcloud.model import Command, Resource, Spec
from infra.gcloud.place import Place

Found = Mapping[str, Spec]
"""By name."""
Listed = Sequence[Mapping[str, Any]]
"""What gcloud printed as JSON."""
JSON = "--format=json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`change` is None for what is never changed in place, `remove` for what goes with something else."""

    needs: str
    """The API that must be enabled before it can be looked at."""
    look: Callable[[Place], tuple[str, ...]]
    read: Callable[[Place, Sequence[Mapping[str, Any]]], Found]
    create: Callable[[Place, Resource], tuple[Command, ...]]
    change: Callable[[Place, Resource, Spec], tuple[Command, ...]] | None = None
    remove: Callable[[Place, str, Spec], tuple[Command, ...]] | None = None
    data: bool = False
    """What is in it is the business's: `down --keep-data` leaves it."""


def last(name: str) -> str:
    """What stands behind the last slash of a resource's full name."""
    return name.rpartition("/")[2]


def one(*argv: str, files: Mapping[str, str] | None = None) -> tuple[Command, ...]:
    """A single command."""
    return (Command(argv, files or {}),)


def email(place: Place, name: str) -> str:
    """Of a service account."""
    return f"{name}@{place.project}.iam.gserviceaccount.com"
