"""What is built, and how: both Dockerfiles linted, both build files against the schema and step by step, and the
functions' own command."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from infra.gcloud.images import PARTS, fingerprint, submit, tags
from infra.gcloud.place import place
from infra.gcloud.resources import FUNCTIONS

ROOT = Path(__file__).resolve().parents[2]
BUILDS = (ROOT / "cloudbuild.yaml", ROOT / "infra" / "gcloud" / "images.yaml")
BIN = Path(sys.executable).parent
GIVEN = {"PROJECT_ID", "PROJECT_NUMBER", "COMMIT_SHA", "SHORT_SHA", "BUILD_ID"}
PLACE = place("demo-voice", "us-central1", "small")


def run(*command: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, env=env)


@pytest.mark.parametrize("dockerfile", ["media_gateway/Dockerfile", "functions/Dockerfile"])
def test_hadolint_finds_nothing(dockerfile: str) -> None:
    done = run(BIN / "hadolint", "--no-color", ROOT / dockerfile)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN pip install flask\n")
    assert run(BIN / "hadolint", tmp_path / "Dockerfile").returncode != 0


@pytest.mark.parametrize("path", BUILDS, ids=lambda path: path.name)
def test_builds_fit_the_schema(path: Path, tmp_path: Path) -> None:
    check = (BIN / "check-jsonschema", "--builtin-schema", "vendor.cloudbuild")
    done = run(*check, path)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(path.read_text().replace("waitFor", "waitfor", 1))
    assert run(*check, wrong).returncode != 0


def build(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@pytest.mark.parametrize("path", BUILDS, ids=lambda path: path.name)
def test_builds_hold_together(path: Path) -> None:
    """Every step waits for steps before it, every substitution is there, is used, and is ours or Google's."""
    text, wanted = path.read_text(), build(path)
    seen: list[str] = []
    for step in wanted["steps"]:
        assert all(name == "-" or name in seen for name in step.get("waitFor", [])), step["id"]
        assert ":latest" not in step["name"]
        seen.append(step["id"])
    used = set(re.findall(r"(?<!\$)\$\{?([A-Z_][A-Z0-9_]*)\}?", text)) - GIVEN
    argv = " ".join(submit(PLACE, tags()).argv)
    given = set(wanted.get("substitutions", {})) or set(re.findall(r"(_[A-Z]+)=", argv))
    assert used == given
    assert wanted["options"]["logging"] == "CLOUD_LOGGING_ONLY"  # demanded beside an account of one's own
    assert "serviceAccount" in wanted


SUBSTITUTIONS = {"_PROFILE": "small", "_ENV": "main", "_REGION": "us-central1", "_WATCH": "5", "COMMIT_SHA": "abc1234"}


@pytest.mark.parametrize(
    ("change", "code"),
    [({}, 0), ({"_PROFILE": "huge"}, 2), ({"_ENV": "Main; rm"}, 2), ({"COMMIT_SHA": ""}, 2), ({"_WATCH": "soon"}, 2),
     ({"_REGION": "mars"}, 2)],
)  # fmt: skip
def test_substitutions_are_checked_by_the_first_step(change: dict[str, str], code: int) -> None:
    script = build(BUILDS[0])["steps"][0]["args"][1]
    for name, value in (SUBSTITUTIONS | change).items():
        script = script.replace(f"${{{name}}}", value)
    assert run("bash", "-euc", script).returncode == code


def test_every_script_of_a_step_is_bash() -> None:
    for step in build(BUILDS[0])["steps"]:
        if step.get("entrypoint") in ("bash", "sh"):
            done = run("bash", "-n", "-c", step["args"][1].replace("$$", "$"))
            assert done.returncode == 0, (step["id"], done.stderr)


def test_an_image_is_built_again_when_a_file_of_it_changes(tmp_path: Path) -> None:
    for part in {part for parts in PARTS.values() for part in parts}:
        (tmp_path / part).parent.mkdir(exist_ok=True)
        if (ROOT / part).is_dir():
            (tmp_path / part).mkdir()
            (tmp_path / part / "a.py").write_text("1")
        else:
            (tmp_path / part).write_text("x")
    before = tags(tmp_path)
    (tmp_path / "functions" / "__pycache__").mkdir()
    (tmp_path / "functions" / "__pycache__" / "a.pyc").write_text("made by a machine")
    assert tags(tmp_path) == before
    (tmp_path / "functions" / "a.py").write_text("2")
    assert fingerprint("gateway", tmp_path) == before["gateway"]
    assert fingerprint("functions", tmp_path) != before["functions"]


def test_every_function_is_deployed_and_is_there() -> None:
    text = (ROOT / "functions" / "main.py").read_text()
    there = dict(re.findall(r'^(\w+) = _entry\("(\w+)"\)$', text, re.MULTILINE))
    assert set(there) == {one.entry for one in FUNCTIONS}
    for entry, name in there.items():
        assert entry == name
        assert f"def {name}(" in (ROOT / "functions" / f"{name}.py").read_text()


@pytest.mark.call
def test_the_functions_own_command_serves() -> None:
    """The CMD of the functions' image with its FUNCTION_SOURCE, as Cloud Run starts it."""
    dockerfile = (ROOT / "functions" / "Dockerfile").read_text()
    assert dockerfile.rstrip().endswith('CMD ["functions-framework"]')
    source = re.search(r"FUNCTION_SOURCE=(\S+)", dockerfile)
    assert source
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "PORT": str(port), "FUNCTION_SOURCE": source[1], "HOST": "127.0.0.1",
           "FUNCTION_TARGET": "voice_fallback"}  # fmt: skip
    process = subprocess.Popen([str(BIN / "functions-framework")], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        with httpx2.Client(trust_env=False, timeout=10) as client:
            deadline = time.monotonic() + 60
            while True:
                try:
                    answer = client.post(f"http://127.0.0.1:{port}/", data={"CallSid": "CA1"})
                    break
                except httpx2.TransportError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
        assert answer.status_code == 403  # it is there, and knows nobody
    finally:
        process.terminate()
        process.wait(20)
