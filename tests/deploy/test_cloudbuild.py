"""Every step of cloudbuild.yaml, run: scripts by bash, Docker and the scanner as stand-ins that write down what they
are asked, and what the last step types goes to the command line on the fake Google."""

from __future__ import annotations

import re
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.fake_google.cloud import PROJECT
from tests.deploy.fake_google.ready import ENVIRON
from tests.deploy.rules import broken
from tests.deploy.story import Story
from tests.deploy.terminal import terminal

pytestmark = [pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
BUILD: dict[str, Any] = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = f"sha256:{7:064x}"
_VARIABLE = re.compile(r"\$(\$|\{?([A-Z_][A-Z0-9_]*)\}?)")


class Undefined(Exception):
    """Cloud Build refuses a build with such a variable."""


def substitutions(given: Mapping[str, str]) -> dict[str, str]:
    """All values: Google's, those given, and the file's own, which may be made of others (dynamicSubstitutions)."""
    values = {"PROJECT_ID": PROJECT, "COMMIT_SHA": COMMIT, **BUILD["substitutions"], **given}
    for _ in range(3):
        values = {name: substituted(value, values) for name, value in values.items()}
    return values


def substituted(text: str, values: Mapping[str, str]) -> str:
    """`$$` is a dollar; what is not defined is an error. Raises Undefined."""

    def value(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        if found[2] not in values:
            raise Undefined(found[2])
        return values[found[2]]

    return _VARIABLE.sub(value, text)


class Worker:
    """A machine of Cloud Build: a workspace, and programs that note how they are called."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.bin = folder / "bin"
        self.log = folder / "log"
        for made in (self.workspace / ".ci", self.bin):
            made.mkdir(parents=True)
        self.log.touch()
        self.program("docker", f'[ "$1" != inspect ] || echo "${{@: -1}}" | sed "s/:[0-9a-f]*$/@{DIGEST}/"')
        for name in ("trivy", "apt-get", "python3"):
            self.program(name)
        self.program("run", into=self.workspace / ".ci")

    def program(self, name: str, then: str = "", *, into: Path | None = None) -> None:
        path = (into or self.bin) / name
        words = f'{{ printf "%s" {name}; [ $# = 0 ] || printf " %q" "$@"; echo; }} >> {self.log}'
        path.write_text(f"#!/bin/bash\n{words}\n{then}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, step: Mapping[str, Any], values: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        args = [substituted(each, values).replace("/workspace", str(self.workspace)) for each in step["args"]]
        program = step.get("entrypoint") or step["name"].rpartition("/")[2].partition(":")[0]
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", **dict(each.split("=", 1) for each in step.get("env", ()))}
        found = {"bash": "/bin/bash", "sh": "/bin/sh"}.get(program, str(self.bin / program))
        return subprocess.run([found, *args], cwd=self.workspace, env=env, capture_output=True, text=True, check=False)

    def calls(self, name: str) -> list[list[str]]:
        lines = [shlex.split(line) for line in self.log.read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == name]


def walk(worker: Worker, given: Mapping[str, str] | None = None) -> str:
    """Run the steps in order; the id of the step that failed, or ""."""
    values = substitutions(given or {})
    for step in BUILD["steps"]:
        if worker.run(step, values).returncode:
            return str(step["id"])
    return ""


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_every_step(worker: Worker) -> None:
    assert walk(worker) == ""
    registry = f"us-central1-docker.pkg.dev/{PROJECT}/callboard"
    images = [f"{registry}/{name}:{COMMIT}" for name in ("gateway", "functions")]
    docker = worker.calls("docker")
    assert [call[4] for call in docker if call[0] == "build"] == images
    assert [call[-1] for call in docker if call[0] == "push"] == images
    assert [call[-1] for call in worker.calls("trivy")] == images
    assert all("--exit-code" in call for call in worker.calls("trivy"))
    assert worker.calls("run") == [[]]  # .ci/run
    (release,) = worker.calls("python3")
    assert release[:2] == ["run.py", "release"]
    assert f"--image=gateway={registry}/gateway@{DIGEST}" in release


def test_what_fails_lets_nothing_out(tmp_path: Path) -> None:
    for program, failed in (("trivy", "scan"), ("run", "test")):
        worker = Worker(tmp_path / program)
        worker.program(program, "exit 1", into=worker.workspace / ".ci" if program == "run" else None)
        assert walk(worker) == failed
        assert not [call for call in worker.calls("docker") if call[0] == "push"]
        assert worker.calls("python3") == []


def test_a_wrong_substitution_ends_it_at_once(worker: Worker) -> None:
    assert walk(worker, {"_PROFILE": "huge"}) == "check"
    assert worker.calls("docker") == []
    with pytest.raises(Undefined, match="_REPOX"):
        substituted("${_REPOX}/gateway", substitutions({}))
    assert substituted("$$image ${_ENV}", substitutions({})) == "$image main"
    account = substituted(BUILD["serviceAccount"], substitutions({}))
    assert account == f"projects/{PROJECT}/serviceAccounts/callboard-build@{PROJECT}.iam.gserviceaccount.com"


def test_the_last_step_releases_by_the_road(worker: Worker, story: Story) -> None:
    """What it types, typed on the fake Google: a candidate, its smoke, a tenth, everything."""
    assert walk(worker, {"_WATCH": "0"}) == ""
    (typed,) = worker.calls("python3")
    here, cloud = story.here, story.here.cloud
    for image in ("gateway", "functions"):
        cloud.things["image"][f"callboard/{image}:{COMMIT}"] = {"digest": DIGEST}
    smoked, writes = len(here.smoked), len(cloud.writes)
    with terminal(here, ENVIRON) as run:
        shown = run(*typed[1:])
    assert shown.code == 0, shown.text
    assert len(here.smoked) == smoked + 1
    assert here.smoked[-1].startswith("https://candidate---callboard-gateway-")
    order = [line for line in shown.text.splitlines() if "callboard-gateway:" in line]
    assert [line.split(": ")[1].partition(" for")[0] for line in order[:3]] == [
        "candidate, no traffic", "a tenth", "everything",
    ]  # fmt: skip
    assert "serves everything" in order[-1]
    for service in cloud.things["service"].values():
        assert service["spec"]["template"]["spec"]["containers"][0]["image"].endswith(DIGEST)
        assert [share["percent"] for share in service["status"]["traffic"]] == [100]
    assert broken(cloud, story.place) == {}
    changed = {(host.partition(".")[0], path) for host, _, path in cloud.writes[writes:]}
    assert all("/services" in path for _, path in changed), "a build releases, and makes nothing"
