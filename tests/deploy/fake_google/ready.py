"""A cloud behind its proxy with the real gcloud in front, and what a deployer has in the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.gcloud.gcloud import Gcloud, Result
from infra.gcloud.place import Place, place
from infra.gcloud.up import Plan, Up, make_plan
from tests import conftest
from tests.deploy.fake_google import ground, run, wires
from tests.deploy.fake_google.cloud import PROJECT, Cloud
from tests.deploy.fake_google.proxy import Proxy
from tests.deploy.fake_google.sdk import WarmGcloud, sdk_root

__all__ = ["ground", "run", "wires"]
REGION = "us-central1"
ENVIRON: Mapping[str, str] = {
    "TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
    "TWILIO_PHONE_NUMBER": "+15551230000",
    "TWILIO_AUTH_TOKEN": "twilio-token-that-nobody-may-see",
    "DEEPGRAM_API_KEY": "deepgram-key-that-nobody-may-see",
    "OPENAI_API_KEY": "openai-key-that-nobody-may-see",
    "HANDOFF_NUMBER": "+15559990000",
}


class Died(BaseException):
    """The process is gone: nothing after it is done, and nothing is tidied up."""


@dataclass
class Ground:
    """`lines` is what was told to the person at the terminal."""

    cloud: Cloud
    proxy: Proxy
    warm: WarmGcloud
    environ: dict[str, str] = field(default_factory=lambda: dict(ENVIRON))
    lines: list[str] = field(default_factory=list)
    smoked: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    """What all runs have done."""
    wrong: list[str] = field(default_factory=list)
    """What the smoke test finds."""

    calls_left: int = -1
    """After so many calls of gcloud the deployer's machine dies; never when negative."""

    def call(self, arguments: Sequence[str], stdin: str | None, seconds: float) -> Result:
        if self.calls_left == 0:
            raise Died
        self.calls_left -= 1
        return self.warm(arguments, stdin, seconds)

    @property
    def gcloud(self) -> Gcloud:
        return Gcloud(PROJECT, self.call, sleep=lambda _s: None, told=self.lines.append, attempts=3)

    def place(self, profile: str = "small", **more: Any) -> Place:
        return place(PROJECT, REGION, profile, **{"alert_email": "ops@example.com", "budget": 50, **more})

    def smoke(self, _place: Place) -> Callable[[str, str, str], Sequence[str]]:
        def try_it(phone: str, _desk: str, _others: str) -> Sequence[str]:
            self.smoked.append(phone)
            return self.wrong

        return try_it

    def up(self, there: Place | None = None, *, todo: Plan | None = None, **road: Any) -> list[str]:
        """Plan and do it; what was done."""
        todo = todo or make_plan(self.gcloud, there or self.place(), self.environ)
        work = Up(
            gcloud=self.gcloud,
            environ=self.environ,
            told=self.lines.append,
            smoke=self.smoke,
            road={"watch_s": 0.0, "sleep": lambda _s: None, **road},
        )
        try:
            work(todo)
        finally:
            self.made += work.made
        return work.made

    def plan(self, there: Place | None = None) -> Plan:
        return make_plan(self.gcloud, there or self.place(), self.environ)


@contextmanager
def ready(folder: Path) -> Iterator[Ground]:
    """Skips, or in CI fails, where there is no gcloud. Fails when something was asked that the fake does not know."""
    root = sdk_root()
    conftest.require(root, "gcloud", "https://cloud.google.com/sdk/docs/install (Debian: google-cloud-cli)")
    assert root
    cloud = Cloud()
    with Proxy(cloud, folder).serving() as proxy:
        warm = WarmGcloud(root, proxy.env())
        try:
            yield Ground(cloud, proxy, warm)
        finally:
            warm.close()
    assert cloud.unknown == []
