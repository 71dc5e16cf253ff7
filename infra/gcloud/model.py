"""What a system consists of, as values: components, resources, and the commands that change them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Spec = Mapping[str, Any]
"""What we say about a resource. Only what is said is compared with what is there."""
Ingress = Literal["all", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret: the variable that carries it, where a first value comes from, and whether nothing works without."""

    name: str
    variable: str
    origin: Literal["vendor", "made", "wired"]
    """From the environment of whoever deploys; made up once; or handed over by a vendor when it is wired."""
    why: str
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A service of Cloud Run with an account of its own. `uses` are (what, role) pairs on the resource itself."""

    name: str
    why: str
    image: Literal["gateway", "functions"]
    entry: str = ""
    """The entry point in functions/main.py."""
    role: str = ""
    """CALLBOARD_ROLE."""
    public: bool = False
    """Called by a vendor or a browser, which bring no IAM token: the component authenticates them itself."""
    ingress: Ingress = "internal"
    callers: tuple[str, ...] = ()
    """The accounts that may invoke it, when it is not public."""
    secrets: tuple[str, ...] = ()
    uses: tuple[tuple[str, str], ...] = ()
    settings: tuple[str, ...] = ()
    """Variables beside those that every component has."""


@dataclass(frozen=True, slots=True)
class Resource:
    """`kind` is one of `kinds.KINDS`; kind and name together are unique."""

    kind: str
    name: str
    why: str
    spec: Spec = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return (self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Command:
    """Arguments of `gcloud`. `files` are written before it runs, and `{file:NAME}` in an argument becomes the path;
    `stdin` is a secret and is never shown."""

    argv: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    stdin: str | None = field(default=None, repr=False)

    def shown(self) -> str:
        """The command as a person would type it."""
        return shlex.join(["gcloud", *self.argv])


@dataclass(frozen=True, slots=True)
class Change:
    """Something that will be done to one resource."""

    action: Literal["create", "update", "remove"]
    kind: str
    name: str
    commands: tuple[Command, ...]
    detail: str = ""
