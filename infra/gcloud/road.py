"""The road of a release, walked: candidates beside what serves, the tag smoked, a tenth, a watch, everything.

`release.py` decides, this does. Whatever goes wrong before the last step leaves the old revisions serving.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.gcloud import release, services
from infra.gcloud.gcloud import Gcloud, GcloudFailed
from infra.gcloud.kind import JSON
from infra.gcloud.model import Command
from infra.gcloud.observe import look_at_ours, look_at_services
from infra.gcloud.place import Place
from infra.gcloud.release import Running, running
from infra.gcloud.resources import components
from infra.gcloud.services import TAG

WATCH_EVERY_S = 30.0
FIRST_TRIES = 4
"""Of a first version's smoke test: grants that were just made take minutes to be known everywhere."""
MOST_ERRORS = 3
Smoke = Callable[[str, str, str], Sequence[str]]
"""Tries the system at (phone, desk, address of the neighbouring revision or ""); what is wrong, in words."""


class ReleaseFailed(Exception):
    """The new version does not serve. The text says why, what serves now, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """How a release is done. `watch_s` is how long a tenth of the traffic is watched."""

    gcloud: Gcloud
    place: Place
    smoke: Smoke
    told: Callable[[str], None]
    watch_s: float = 300.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    promote: bool = True
    one_by_one: bool = False
    """Look at each service by itself: the build may not list the project's."""
    changed: list[str] = field(default_factory=list)
    """What was done, for the summary."""

    def walk(self, documents: Sequence[Mapping[str, Any]], there: Mapping[str, Running]) -> None:
        """Bring every service to its document. Raises ReleaseFailed, GcloudFailed."""
        candidates: list[str] = []
        first: list[str] = []
        for document in documents:
            name = document["metadata"]["name"]
            now = there.get(name)
            step = release.step(document, now)
            if step == "candidate":
                candidates.append(name)
            elif step == "first":
                first.append(name)
            if step != "none" and not _is_waiting(document, now):
                self._write(document, now, step)
        if first:
            self._open_first(first)
        if candidates:
            self._bring_in(candidates)

    def finish(self, there: Mapping[str, Running]) -> None:
        """`promote`: go on with the candidates that wait."""
        waiting = [name for name, one in there.items() if one.candidate]
        if not waiting:
            raise ReleaseFailed("No candidate waits; `up` makes one.")
        self._bring_in(waiting)

    def _write(self, document: Mapping[str, Any], now: Running | None, step: str) -> None:
        wanted, traffic = release.prepared(document, now)
        name = wanted["metadata"]["name"]
        says = {"first": "first revision", "candidate": "candidate, no traffic", "settings": "settings"}[step]
        self.told(f"service {name}: {says}")
        try:
            self._replace(wanted, traffic)
        except GcloudFailed as problem:
            if now is None or problem.why in ("denied", "passing"):
                raise
            raise ReleaseFailed(
                f"{name}: the new revision did not start ({problem.said.strip()[-300:]}). "
                f"{now.serving} goes on serving. Look at: python3 run.py logs --service {name}"
            ) from problem
        self.changed.append(f"{name}: {says}")

    def _open_first(self, names: Sequence[str]) -> None:
        phone = self.place.named(self.place.phone_service)
        seen = self._look()
        if phone in seen and self.place.url(self.place.phone_service) not in seen[phone].urls:
            told = ", ".join(seen[phone].urls)
            raise ReleaseFailed(
                f"{phone} is at {told}, not at {self.place.url(self.place.phone_service)}. "
                f"Say which address is used: up --public-url https://..."
            )
        self.open_to_the_public(names)

    def try_first(self, phone: Mapping[str, Any]) -> None:
        """Smoke a first version, once all is there that follows the services (before that, nothing would bring news to
        `apply`), and mark it as tried. `phone` is the document of the service that Twilio calls.
        Raises ReleaseFailed."""
        at, desk = self.place.url(self.place.phone_service), self.place.url(self.place.desk_service)
        self.told(f"smoke {at}")
        for attempt in range(1, FIRST_TRIES + 1):
            problems = list(self.smoke(at, desk, ""))
            if not problems:
                self._replace(*release.tried(phone))
                return
            if attempt < FIRST_TRIES:
                self.told(f"again in {WATCH_EVERY_S:.0f} s: what was just granted takes its time to be known")
                self.sleep(WATCH_EVERY_S)
        raise ReleaseFailed(_failed("The first version does not work yet", problems, "Mend it and run `up` again."))

    def _replace(self, wanted: Mapping[str, Any], traffic: services.Traffic) -> None:
        where = ("run", "services", "replace", "{file:service.yaml}", f"--region={self.place.region}")
        self.gcloud.run(Command(where, {"service.yaml": services.text(wanted, traffic)}))

    def open_to_the_public(self, names: Sequence[str]) -> None:
        """Vendors and browsers bring no IAM token: without this binding the smoke of a first version would be a 403."""
        from infra.gcloud import grants

        public = [self.place.named(component.name) for component in components(self.place) if component.public]
        for name in names:
            if name in public:
                command = grants.command(self.place, "add", f"service:{name}", "roles/run.invoker", "allUsers")
                self.gcloud.run(command)
                policy = self.gcloud.read(grants.look(self.place, f"service:{name}"))
                if ("roles/run.invoker", "allUsers", "") not in grants.bindings(policy):
                    raise ReleaseFailed(
                        f"{name} is not open to the public, so no vendor can reach it. An organisation policy "
                        "(iam.allowedPolicyMemberDomains) may forbid allUsers; ask for an exception on this project."
                    )

    def _bring_in(self, names: Sequence[str]) -> None:
        seen = self._look()
        phone = self.place.named(self.place.phone_service)
        if phone in names:
            self._smoke_the_tag(seen[phone], seen)
        if not self.promote:
            self.told("candidates wait; `promote` goes on with them")
            return
        if phone in names:
            one = seen[phone]
            self._share(one, {one.serving: 100 - release.TENTH, one.candidate: release.TENTH}, "a tenth")
            self._watch(one)
        for name in sorted(names, key=lambda name: name == phone):  # the phone last: others know its news by then
            one = seen[name]
            self._share(one, {one.candidate: 100}, "everything", keep_tag=False)

    def _smoke_the_tag(self, one: Running, seen: Mapping[str, Running]) -> None:
        self.told(f"smoke {one.tag_urls[TAG]}")
        home = self.place.url(self.place.desk_service)
        desk = seen.get(self.place.named(self.place.desk_service))
        tagged = desk.tag_urls.get(TAG, home) if desk and desk.candidate else home
        if problems := list(self.smoke(one.tag_urls[TAG], tagged, home)):
            raise ReleaseFailed(
                _failed(
                    f"{one.candidate} failed its smoke test and gets no traffic; {one.serving} goes on serving",
                    problems,
                    f"Look at: python3 run.py logs --service {one.name}",
                )
            )

    def _share(self, one: Running, percent: Mapping[str, int], what: str, *, keep_tag: bool = True) -> None:
        self.told(f"service {one.name}: {what} for {one.candidate}")
        said = ",".join(f"{name}={share}" for name, share in percent.items())
        where = ("run", "services", "update-traffic", one.name, f"--region={self.place.region}")
        tag = () if keep_tag else (f"--remove-tags={TAG}",)
        self.gcloud.run(Command((*where, f"--to-revisions={said}", *tag)))
        self.changed.append(f"{one.name}: {what}")

    def _watch(self, one: Running) -> None:
        """Errors of the candidate; too many, and everything goes back to what served before."""
        end = self.monotonic() + self.watch_s
        self.told(f"watching {one.candidate} for {self.watch_s:.0f} s")
        while True:
            self.sleep(min(WATCH_EVERY_S, max(0.0, end - self.monotonic())))
            errors = self.errors(one.candidate)
            if errors > MOST_ERRORS:
                self._share(one, {one.serving: 100}, "back, nothing")
                raise ReleaseFailed(
                    f"{one.candidate} logged {errors} errors with a tenth of the traffic; {one.serving} serves "
                    f"everything again. Look at: python3 run.py logs --service {one.name}"
                )
            if self.monotonic() >= end:
                return

    def errors(self, revision: str) -> int:
        """Errors that a revision has logged, and requests that it answered 5xx, lately."""
        minutes = max(1, round(self.watch_s / 60) + 1)
        where = (
            f'resource.type="cloud_run_revision" AND resource.labels.revision_name="{revision}" AND '
            "(severity>=ERROR OR httpRequest.status>=500)"
        )
        read = ("logging", "read", where, f"--freshness={minutes}m", f"--limit={MOST_ERRORS * 10}", JSON)
        return len(self.gcloud.read(read))

    def _look(self) -> dict[str, Running]:
        ours = [self.place.named(component.name) for component in components(self.place)]
        if self.one_by_one:
            shown = look_at_ours(self.gcloud, self.place, ours)
        else:
            shown = look_at_services(self.gcloud, self.place)
        return {name: running(item) for name, item in shown.items() if name in ours}


def _is_waiting(document: Mapping[str, Any], now: Running | None) -> bool:
    """True if this very revision is there already, under the tag: a release that was stopped goes on with it."""
    return now is not None and now.candidate == document["spec"]["template"]["metadata"]["name"] and now.ready


def _failed(what: str, problems: Sequence[str], then: str) -> str:
    return f"{what}:\n" + "\n".join(f"  - {problem}" for problem in problems) + f"\n{then}"
