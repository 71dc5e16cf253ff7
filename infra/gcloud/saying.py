"""Changes in words, short: names without what every name begins with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infra.gcloud.model import Change
from infra.gcloud.place import Place

_WORDS: Mapping[str, tuple[str, str]] = {
    "api": ("API", "APIs"),
    "repository": ("image repository", "image repositories"),
    "index": ("index", "indexes"),
    "ttl": ("expiry rule", "expiry rules"),
    "backup": ("copy", "copies"),
    "metric": ("count of log lines", "counts of log lines"),
    "policy": ("alert", "alerts"),
}


def counted(kind: str, number: int) -> str:
    """`2 indexes`."""
    one, more = _WORDS.get(kind, (kind, f"{kind}s"))
    return f"{number} {one if number == 1 else more}"


def short(place: Place, name: str) -> str:
    """The name of a resource, an account or a member without the system's prefix and the project."""
    name = name.removeprefix("serviceAccount:").removesuffix(f"@{place.project}.iam.gserviceaccount.com")
    kind, colon, rest = name.partition(":")
    if colon and rest:
        return f"{kind} {short(place, rest)}"
    for prefix in (f"{place.project}-{place.prefix}-", f"{place.prefix}-"):
        name = name.removeprefix(prefix)
    return "Pub/Sub's agent" if name.endswith("@gcp-sa-pubsub.iam.gserviceaccount.com") else name


def said(place: Place, change: Change) -> str:
    """One change; who may do what, for a grant."""
    detail = f" ({change.detail})" if change.detail else ""
    if change.kind == "grant":
        on, role, member = change.name.rsplit(" ", 2)
        who = "everybody" if member == "allUsers" else short(place, member)
        may = "may no longer" if change.action == "remove" else "may"
        return f"{who} {may} {role.removeprefix('roles/')} on {short(place, on)}"
    if change.kind == "api":
        return f"{counted('api', len(change.name.split()))}{detail}"
    word = _WORDS.get(change.kind, (change.kind, ""))[0]
    return f"{word} {short(place, change.name)}{detail}"


def listed(names: Iterable[str], width: int) -> str:
    """As many names as there is room for, and how many more there are."""
    names = list(names)
    for number in range(len(names), 0, -1):
        rest = f" and {len(names) - number} more" if number < len(names) else ""
        text = ", ".join(names[:number]) + rest
        if len(text) <= width:
            return text
    return f"{len(names)} of them"
