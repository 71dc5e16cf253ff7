"""How a new version comes to serve: under a tag without traffic, then a tenth of it, then all. Pure.

What a service does now is read from what Cloud Run shows; every step is a list of traffic shares by the names of
revisions, never "latest": what serves is always said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from infra.gcloud.services import PREVIOUS, TAG, TRIED, Traffic

TENTH = 10
Step = Literal["first", "candidate", "settings", "none"]
_SERVICE_LEVEL = ("run.googleapis.com/ingress", "run.googleapis.com/minScale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service as it is. `shares` is percent by revision, `tags` revision by tag, `tag_urls` address by tag."""

    name: str
    shares: Mapping[str, int]
    tags: Mapping[str, str]
    tag_urls: Mapping[str, str]
    template: str
    """The revision that was written last."""
    ready: bool
    previous: str
    annotations: Mapping[str, str]
    urls: tuple[str, ...]
    env: Mapping[str, str]
    versions: Mapping[str, str]
    """Pinned version by the secret's full name."""
    image: str

    @property
    def serving(self) -> str:
        """The revision with the most traffic."""
        return max(self.shares, key=lambda name: self.shares[name]) if self.shares else ""

    @property
    def untried(self) -> bool:
        """A first version that nobody has tried: its smoke test failed, or the run was stopped before it."""
        return bool(self.serving) and not self.previous and self.annotations.get(TRIED) != self.serving

    @property
    def candidate(self) -> str:
        """The revision under the tag that does not serve everything yet, or ""."""
        tagged = self.tags.get(TAG, "")
        return "" if self.shares.get(tagged, 0) == 100 else tagged


def running(service: Mapping[str, Any]) -> Running:
    """From what `gcloud run services describe` shows."""
    metadata, spec, status = service["metadata"], service["spec"], service.get("status", {})
    shares: dict[str, int] = {}
    tags: dict[str, str] = {}
    tag_urls: dict[str, str] = {}
    for share in status.get("traffic") or spec.get("traffic", ()):
        name = share.get("revisionName") or status.get("latestReadyRevisionName", "")
        if share.get("percent"):
            shares[name] = shares.get(name, 0) + int(share["percent"])
        if share.get("tag"):
            tags[share["tag"]] = name
            tag_urls[share["tag"]] = share.get("url", "")
    container = spec["template"]["spec"]["containers"][0]
    env, versions = _variables(container)
    annotations = metadata.get("annotations", {})
    urls = tuple(json.loads(annotations.get("run.googleapis.com/urls", "[]")))
    ready = [one for one in status.get("conditions", ()) if one.get("type") == "Ready"]
    return Running(
        name=metadata["name"],
        shares=shares,
        tags=tags,
        tag_urls=tag_urls,
        template=spec["template"]["metadata"].get("name", ""),
        ready=bool(ready) and ready[0].get("status") == "True",
        previous=annotations.get(PREVIOUS, ""),
        annotations=annotations,
        urls=urls or ((status["url"],) if status.get("url") else ()),
        env=env,
        versions=versions,
        image=container["image"],
    )


def _variables(container: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    env: dict[str, str] = {}
    versions: dict[str, str] = {}
    for variable in container.get("env", ()):
        if "value" in variable:
            env[variable["name"]] = variable["value"]
        elif reference := variable.get("valueFrom", {}).get("secretKeyRef"):
            versions[reference["name"]] = reference["key"]
    return env, versions


def step(wanted: Mapping[str, Any], there: Running | None) -> Step:
    """What a service needs. `wanted` is the document of services.py."""
    if there is None or not there.shares:
        return "first"
    name = wanted["spec"]["template"]["metadata"]["name"]
    if there.shares.get(name) == 100:
        said = wanted["metadata"]["annotations"]
        same = all(there.annotations.get(key, "0") == said[key] for key in _SERVICE_LEVEL)
        return "none" if same else "settings"
    return "candidate"


def prepared(wanted: Mapping[str, Any], there: Running | None) -> tuple[dict[str, Any], Traffic]:
    """The document and traffic of the first step. The revision that serves is remembered for `rollback`."""
    name = wanted["spec"]["template"]["metadata"]["name"]
    what = step(wanted, there)
    if there is None or what == "first":
        return dict(wanted), all_to(name)
    previous = there.previous if what == "settings" else there.serving
    metadata = dict(wanted["metadata"])
    kept = {PREVIOUS: previous, TRIED: there.annotations.get(TRIED, "") if what == "settings" else ""}
    metadata["annotations"] = {**metadata["annotations"], **{name: said for name, said in kept.items() if said}}
    traffic = all_to(name) if what == "settings" else shares(there.serving, name, 0)
    return {**wanted, "metadata": metadata}, traffic


def tried(wanted: Mapping[str, Any]) -> tuple[dict[str, Any], Traffic]:
    """The same once more, with the mark that its first revision was tried: that makes no revision."""
    name = wanted["spec"]["template"]["metadata"]["name"]
    metadata = {**wanted["metadata"], "annotations": {**wanted["metadata"]["annotations"], TRIED: name}}
    return {**wanted, "metadata": metadata}, all_to(name)


def shares(old: str, new: str, percent: int) -> Traffic:
    """`percent` of the traffic for the candidate, under its tag; the rest stays."""
    found: list[dict[str, Any]] = [{"revisionName": old, "percent": 100 - percent}]
    return [*found, {"revisionName": new, "percent": percent, "tag": TAG}]


def all_to(name: str) -> Traffic:
    """Everything for one revision."""
    return [{"revisionName": name, "percent": 100}]


def mixed(there: Running) -> bool:
    """True while a release is under way, or was left half-way."""
    return bool(there.candidate) or len(there.shares) > 1


def back(there: Running) -> str:
    """Where `rollback` goes: while a release is under way, to the revision that it would replace; else to the one
    before. "" when there is none."""
    if mixed(there):
        stays = {name: share for name, share in there.shares.items() if name != there.candidate}
        return max(stays, key=lambda name: stays[name]) if stays else there.previous
    return there.previous if there.previous != there.serving else ""
