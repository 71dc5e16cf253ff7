"""What a person sees who types the verbs: on the deployed system of the fake Google, in 100 columns."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from infra.cli.plan_view import command_lines, print_plan
from infra.gcloud.model import Change, Command
from infra.gcloud.observe import State
from infra.gcloud.place import place
from infra.gcloud.planner import plan as planned
from infra.gcloud.profiles import PROFILES
from infra.gcloud.resources import SECRETS, components
from infra.gcloud.saying import listed, said
from infra.gcloud.up import Plan
from infra.gcloud.values import SecretPlan
from tests.deploy.fake_google.cloud import PROJECT, Fault
from tests.deploy.fake_google.ready import ENVIRON
from tests.deploy.story import Story
from tests.deploy.terminal import COLUMNS, HERE, LINES, Shown, terminal

pytestmark = [pytest.mark.timeout(900)]
Run = Callable[..., Shown]
GATEWAY = "callboard-gateway"


@pytest.fixture
def run(story: Story) -> Iterator[Run]:
    with terminal(story.here, ENVIRON) as typed:
        yield typed


def from_nothing(profile: str) -> Plan:
    """The largest of plans: nothing is there."""
    there = replace(place("demo-voice", "us-central1", profile, alert_email="a@example.com", budget=50), number="1")
    return Plan(
        place=there,
        state=State(),
        phases=planned(there, State()),
        secrets=[SecretPlan(one, "", "made up" if one.origin == "made" else "first version") for one in SECRETS],
        settings={},
        tags={"gateway": "1", "functions": "2"},
        images={name: f"x/{name}@sha256:{'0' * 64}" for name in ("gateway", "functions")},
        documents=[],
        steps={there.named(one.name): "first" for one in components(there)},
        first=True,
        missing={},
        stuck=[],
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_the_largest_plan_fits_a_screen(profile: str) -> None:
    screen = Console(width=COLUMNS, file=io.StringIO(), record=True)
    print_plan(screen, from_nothing(profile))
    lines = screen.export_text().rstrip().splitlines()
    assert len(lines) < LINES
    assert max(map(len, lines)) <= COLUMNS
    text = "\n".join(lines)
    assert "13 APIs: artifactregistry" in text
    assert "a month" in text
    assert "..." not in text


def test_the_commands_of_a_plan_are_those_of_a_shell(story: Story) -> None:
    lines = list(command_lines(from_nothing("small")))
    secrets = [line for line in lines if "versions add" in line]
    assert len(secrets) == len(SECRETS)
    assert all("--data-file=-" in line for line in secrets)
    assert sum("run services replace" in line for line in lines) == 7
    assert not any(value in "\n".join(lines) for name, value in ENVIRON.items() if "TOKEN" in name or "KEY" in name)
    quoted = next(line for line in lines if "Twilio" in line and "signature" in line)
    assert """Twilio'"'"'s signature""" in quoted


def test_changes_in_words() -> None:
    there = place("demo-voice", "us-central1", "small")
    member = f"serviceAccount:{there.account('apply')}"
    grant = f"bucket:demo-voice-callboard-files roles/storage.objectUser {member}"
    nothing = (Command(()),)
    assert said(there, Change("create", "grant", grant, nothing)) == "apply may storage.objectUser on bucket files"
    assert said(there, Change("remove", "grant", grant, nothing)).startswith("apply may no longer")
    public = f"service:{GATEWAY} roles/run.invoker allUsers"
    assert said(there, Change("create", "grant", public, nothing)) == "everybody may run.invoker on service gateway"
    change = Change("update", "subscription", "callboard-apply", nothing, "ack: 10 -> 60")
    assert said(there, change) == "subscription apply (ack: 10 -> 60)"
    assert listed(["one", "two", "three"], 10) == "3 of them"
    assert listed(["one", "two", "three"], 14) == "one and 2 more"


def test_a_plan_when_there_is_nothing_to_do(story: Story) -> None:
    screen = Console(width=COLUMNS, file=io.StringIO(), record=True)
    print_plan(screen, story.again)
    assert "Nothing to do: everything is as it should be." in screen.export_text()


@pytest.mark.long
def test_plan_typed_when_there_is_nothing_to_do(run: Run) -> None:
    where = (*HERE, "--alert-email", "ops@example.com", "--budget", "50")
    shown = run("plan", *where)
    assert shown.code == 0
    assert "Nothing to do: everything is as it should be." in shown.text
    assert "Nothing was changed." in shown.text


@pytest.mark.long
def test_up_asks_and_a_script_must_say_yes(run: Run, story: Story) -> None:
    before = len(story.here.cloud.writes)
    shown = run("up", *HERE, "--alert-email", "ops@example.com", "--budget", "60")
    assert shown.code == 2
    assert "update   watch     budget budget (amount: 50 -> 60)" in shown.text
    assert "Say --yes to do it, or --dry-run to look." in shown.text
    assert len(story.here.cloud.writes) == before


def test_status(run: Run, story: Story) -> None:
    shown = run("status", *HERE)
    assert shown.code == 0
    rows = [line for line in shown.text.splitlines() if "✓" in line]
    assert len(rows) == 7
    assert max(map(len, shown.text.splitlines())) <= COLUMNS
    found = json.loads(run("status", *HERE, "--json").text)
    assert found[GATEWAY]["ready"] is True
    nothing = run("status", *HERE, "--env", "other")
    assert nothing.code == 1
    assert "Nothing is deployed here" in nothing.text


def test_a_release_of_what_serves_already_is_none(run: Run, story: Story) -> None:
    cloud = story.here.cloud
    image = {name: cloud.things["service"][f"callboard-{name}"]["spec"]["template"]["spec"]["containers"][0]["image"]
             for name in ("gateway", "webhook")}  # fmt: skip
    given = ("--image", f"gateway={image['gateway']}", "--image", f"functions={image['webhook']}")
    before = len(cloud.writes)
    shown = run("release", *HERE, *given, "--dry-run")
    assert (shown.code, shown.text.count("serves already")) == (0, 7)
    other = image["gateway"][:-8] + "0" * 8
    shown = run("release", *HERE, "--image", f"gateway={other}", *given[2:], "--dry-run")
    assert "without traffic, smoke, a tenth, everything" in shown.text
    assert len(cloud.writes) == before
    assert run("release", *HERE, "--image", "gateway=x:latest").code == 2


def test_promote_has_nothing_to_do(run: Run, story: Story) -> None:
    assert "No candidate waits" in run("promote", *HERE, "--dry-run").text
    shown = run("promote", *HERE)
    assert (shown.code, "No candidate waits; `up` makes one." in shown.text) == (1, True)


def test_rollback_is_a_handful_of_calls(run: Run, story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """One to look, one for each service that has something to go back to: ended long before five minutes."""
    now = next(iter(story.here.cloud.things["service"][GATEWAY]["status"]["traffic"]))["revisionName"]
    dry = run("rollback", *HERE, "--dry-run")
    assert (dry.code, dry.text.count("everything to callboard-gateway-")) == (0, 1)
    before, began = len(story.here.warm.argvs), time.monotonic()
    shown = run("rollback", *HERE)
    took = time.monotonic() - began
    argvs = story.here.warm.argvs[before:]
    assert shown.code == 0
    assert [argv[:3] for argv in argvs] == [["run", "services", "list"], ["run", "services", "update-traffic"]]
    with capsys.disabled():
        print(f"\nrollback: {len(argvs)} calls of gcloud, {took:.1f} s here")
    serving = story.here.cloud.things["service"][GATEWAY]["status"]["traffic"][0]["revisionName"]
    assert serving != now
    again = ("run", "services", "update-traffic", GATEWAY, "--region=us-central1", f"--to-revisions={now}=100")
    story.here.gcloud.run(Command(again))


def test_a_service_that_cannot_go_back_does_not_keep_the_others(run: Run, story: Story) -> None:
    cloud = story.here.cloud
    apply = cloud.things["service"]["callboard-apply"]
    serving = apply["status"]["traffic"][0]["revisionName"]
    apply["metadata"]["annotations"]["callboard.dev/previous"] = "callboard-apply-before"
    now = cloud.things["service"][GATEWAY]["status"]["traffic"][0]["revisionName"]
    cloud.faults = [Fault("run", "PUT", f"/services/{GATEWAY}$", 403, "PERMISSION_DENIED", 99)]
    cloud.things["revision"]["callboard-apply-before"] = cloud.things["revision"][serving]
    shown = run("rollback", *HERE)
    cloud.faults.clear()
    assert shown.code == 1
    assert "permission that is named" in shown.text
    assert cloud.things["service"][GATEWAY]["status"]["traffic"][0]["revisionName"] == now
    apply = cloud.things["service"]["callboard-apply"]
    assert apply["status"]["traffic"][0]["revisionName"] == "callboard-apply-before"
    again = ("run", "services", "update-traffic", "callboard-apply", "--region=us-central1",
             f"--to-revisions={serving}=100")  # fmt: skip
    story.here.gcloud.run(Command(again))
    del cloud.things["revision"]["callboard-apply-before"]
    cloud.things["service"]["callboard-apply"]["metadata"]["annotations"].pop("callboard.dev/previous")


def test_logs_of_a_call(run: Run, story: Story) -> None:
    cloud = story.here.cloud
    cloud.logs = [
        {"timestamp": "2026-11-20T12:00:00.123456Z", "severity": "INFO", "for": "CA1",
         "resource": {"labels": {"service_name": GATEWAY}},
         "jsonPayload": {"message": "call_started", "call_id": "CA1", "time": "x"}},
    ]  # fmt: skip
    shown = run("logs", "CA1", *HERE)
    assert "2026-11-20T12:00:00.123 INFO    callboard-gateway: call_started call_id=CA1" in shown.text
    cloud.logs = []
    assert "Longer ago: --minutes 1440" in run("logs", "CA1", *HERE).text
    wrong = run("logs", 'CA1" OR "', *HERE)
    assert (wrong.code, "no id of a call" in wrong.text) == (2, True)


def test_down_says_which(run: Run) -> None:
    shown = run("down", *HERE)
    assert shown.code == 2
    assert "--keep-data" in shown.text


@pytest.mark.parametrize(
    ("words", "said_"),
    [
        (("status", "--project", "X"), "is no project id"),
        (("status", "--project", "demo-voice", "--region", "mars"), "is no region"),
        (("plan", "--project", "demo-voice", "--profile", "huge"), "none of dev, small, prod"),
        (("plan", "--project", "demo-voice", "--env", "A"), "up to 8 lower-case letters"),
        (("cost", "--profile", "huge"), "none of dev, small, prod"),
    ],
)
def test_what_is_said_wrong_is_told_with_what_to_say(run: Run, words: tuple[str, ...], said_: str) -> None:
    shown = run(*words)
    assert (shown.code, said_ in shown.text) == (2, True)


def test_cost(run: Run) -> None:
    text = run("cost", "--profile", "small", "--minutes", "1000").text
    assert "1,000 minutes" in text
    assert "docs/costs.md" in text
    assert PROJECT not in text
