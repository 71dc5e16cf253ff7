"""The road of a release with the real gcloud: what goes wrong on it, and what serves then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.gcloud import grants, release
from infra.gcloud.gcloud import Gcloud, GcloudFailed, understood
from infra.gcloud.model import Command
from infra.gcloud.observe import look_at_services
from infra.gcloud.place import Place
from infra.gcloud.release import running
from infra.gcloud.resources import components
from infra.gcloud.road import ReleaseFailed, Road
from infra.gcloud.services import Inputs, document
from tests.deploy.fake_google.cloud import NUMBER, PROJECT, Fault
from tests.deploy.fake_google.ready import Ground, ready

pytestmark = [pytest.mark.timeout(300)]
PHONE = "callboard-gateway"
NAMES = (PHONE, "callboard-apply")
SETTINGS = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_PHONE_NUMBER": "+15551230000"}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ready(tmp_path_factory.mktemp("road")) as here:
        yield here


@pytest.fixture
def here(ground: Ground) -> Ground:
    """A project with accounts and images, and nothing running."""
    cloud = ground.cloud
    for kind in ("service", "revision"):
        cloud.things[kind].clear()
    cloud.policies.clear()
    cloud.faults.clear()
    cloud.logs.clear()
    cloud.broken_images.clear()
    ground.wrong, ground.smoked, ground.lines = [], [], []
    cloud.enabled |= {"run.googleapis.com", "logging.googleapis.com"}
    for component in components(ground.place()):
        email = ground.place().account(component.name)
        cloud.things["account"][email] = {"email": email}
    for version in (1, 2, 3):
        for image in ("gateway", "functions"):
            cloud.things["image"][f"callboard/{image}:{version}"] = {"digest": f"sha256:{version:064d}"}
    return ground


def place(here: Ground) -> Place:
    return replace(here.place(), number=NUMBER)


def documents(here: Ground, version: int) -> list[dict[str, Any]]:
    there = place(here)
    names = {image: f"{there.repository}/{image}@sha256:{version:064d}" for image in ("gateway", "functions")}
    inputs = Inputs(images=names, settings=SETTINGS)
    return [document(there, one, inputs) for one in components(there) if there.named(one.name) in NAMES]


def walk(here: Ground, version: int, **how: Any) -> Road:
    road = Road(
        gcloud=here.gcloud, place=place(here), smoke=here.smoke(here.place()), told=here.lines.append,
        **{"watch_s": 60.0, "sleep": lambda _s: None, "monotonic": iter(range(0, 10_000, 40)).__next__, **how},
    )  # fmt: skip
    road.walk(documents(here, version), there(here))
    return road


def there(here: Ground) -> dict[str, release.Running]:
    return {name: running(item) for name, item in look_at_services(here.gcloud, here.place()).items()}


def serving(here: Ground, name: str = PHONE) -> Mapping[str, int]:
    return running(here.cloud.things["service"][name]).shares


def revision(here: Ground, version: int, name: str = PHONE) -> str:
    (found,) = [one for one in documents(here, version) if one["metadata"]["name"] == name]
    return str(found["spec"]["template"]["metadata"]["name"])


def test_first_second_back_and_forth(here: Ground) -> None:
    walk(here, 1)
    assert serving(here) == {revision(here, 1): 100}
    policy = here.cloud.policies[f"service:{PHONE}"]
    assert ("roles/run.invoker", "allUsers", "") in grants.bindings(policy)
    shares = []
    here.cloud.after = lambda _request: shares.append(dict(serving(here)))
    walk(here, 2)
    here.cloud.after = None
    one, two = revision(here, 1), revision(here, 2)
    assert [share for n, share in enumerate(shares) if n == 0 or share != shares[n - 1]] == [
        {one: 100}, {one: 90, two: 10}, {two: 100},
    ]  # fmt: skip
    assert serving(here, "callboard-apply") == {revision(here, 2, "callboard-apply"): 100}
    for name, now in there(here).items():
        assert release.back(now) == revision(here, 1, name)
        argv = ("run", "services", "update-traffic", name, "--region=us-central1", f"--to-revisions={now.previous}=100")
        here.gcloud.run(Command(argv))
    assert serving(here) == {one: 100}
    revisions = len(here.cloud.things["revision"])
    walk(here, 2)  # the same content is the same revision, and goes the whole road again
    assert len(here.cloud.things["revision"]) == revisions
    assert serving(here) == {two: 100}


def test_a_failed_smoke_leaves_the_old_one_serving_and_says_why(here: Ground) -> None:
    walk(here, 1)
    here.wrong = ["media socket: the upgrade was answered 404, not 101"]
    with pytest.raises(ReleaseFailed, match="answered 404, not 101") as failed:
        walk(here, 2)
    assert revision(here, 1) in str(failed.value)
    assert serving(here) == {revision(here, 1): 100}
    assert serving(here, "callboard-apply") == {revision(here, 1, "callboard-apply"): 100}
    assert there(here)[PHONE].candidate == revision(here, 2)
    here.wrong = []
    walk(here, 3)  # another version takes the tag
    assert serving(here) == {revision(here, 3): 100}


def test_a_container_that_does_not_start_gets_no_traffic(here: Ground) -> None:
    walk(here, 1)
    here.cloud.broken_images.add(f"{2:064d}")
    with pytest.raises(ReleaseFailed, match="did not start"):
        walk(here, 2)
    assert serving(here) == {revision(here, 1): 100}


def test_errors_with_a_tenth_take_everything_back(here: Ground) -> None:
    walk(here, 1)
    here.cloud.logs = [{"for": revision(here, 2), "severity": "ERROR"} for _ in range(9)]
    with pytest.raises(ReleaseFailed, match="logged 9 errors"):
        walk(here, 2)
    assert serving(here) == {revision(here, 1): 100}
    assert serving(here, "callboard-apply") == {revision(here, 1, "callboard-apply"): 100}


def test_stopped_at_a_tenth_it_goes_on(here: Ground) -> None:
    walk(here, 1)

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk(here, 2, sleep=stop)
    assert serving(here) == {revision(here, 1): 90, revision(here, 2): 10}
    assert release.back(there(here)[PHONE]) == revision(here, 1)
    revisions = len(here.cloud.things["revision"])
    walk(here, 2)
    assert serving(here) == {revision(here, 2): 100}
    assert len(here.cloud.things["revision"]) == revisions


def test_candidates_wait_for_promote(here: Ground) -> None:
    walk(here, 1)
    walk(here, 2, promote=False)
    assert serving(here) == {revision(here, 1): 100}
    road = Road(gcloud=here.gcloud, place=place(here), smoke=here.smoke(here.place()), told=here.lines.append,
                watch_s=0.0, sleep=lambda _s: None)  # fmt: skip
    road.finish(there(here))
    assert serving(here) == {revision(here, 2): 100}
    with pytest.raises(ReleaseFailed, match="No candidate"):
        road.finish(there(here))


# one command, and what Google may answer


def runner(here: Ground) -> Gcloud:
    here.cloud.enabled.add("pubsub.googleapis.com")
    here.cloud.things["topic"].clear()
    return here.gcloud


CREATE = Command(("pubsub", "topics", "create", "a-topic"))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, "RESOURCE_EXHAUSTED"),
        pytest.param(503, "UNAVAILABLE", marks=pytest.mark.long),  # gcloud itself waits and tries these again
        pytest.param(500, "INTERNAL", marks=pytest.mark.long),
    ],
)
def test_what_passes_is_tried_again(here: Ground, status: int, reason: str) -> None:
    gcloud = runner(here)
    here.cloud.faults = [Fault("pubsub", "PUT", "/topics/", status, reason, 2)]
    gcloud.run(CREATE)
    assert "a-topic" in here.cloud.things["topic"]


def test_what_does_not_pass_is_told_with_its_remedy(here: Ground) -> None:
    gcloud = runner(here)
    here.cloud.faults = [Fault("pubsub", "PUT", "/topics/", 403, "PERMISSION_DENIED", 99)]
    with pytest.raises(GcloudFailed, match="permission that is named") as failed:
        gcloud.run(CREATE)
    assert failed.value.why == "denied"
    here.cloud.faults = [Fault("pubsub", "PUT", "/topics/", 429, "RESOURCE_EXHAUSTED", 99)]
    with pytest.raises(GcloudFailed, match="it goes on where it stopped") as failed:
        gcloud.run(CREATE)
    assert failed.value.why == "passing"


def test_what_gcloud_says_is_understood() -> None:
    """Whether to try again hangs on it."""
    said = {
        "ERROR: (gcloud.x) RESOURCE_EXHAUSTED: Quota exceeded": "passing",
        "ERROR: gcloud crashed (SSLError): Max retries exceeded (Caused by ... CERTIFICATE_VERIFY_FAILED)": "refused",
        "ERROR: (gcloud.x) PERMISSION_DENIED: Permission 'run.services.get' denied": "denied",
        "ERROR: (gcloud.x) Cannot find service [a]": "missing",
        "ERROR: (gcloud.x) INVALID_ARGUMENT: no": "refused",
    }
    assert {text: understood(text, ("run", "services")) for text in said} == said
    assert understood("already exists", ("secrets", "create", "a")) == "exists"


def test_what_is_there_already_is_well(here: Ground) -> None:
    gcloud = runner(here)
    gcloud.run(CREATE)
    gcloud.run(CREATE)
    here.cloud.things["topic"].clear()
    here.cloud.faults = [Fault("pubsub", "PUT", "/topics/", 503, "UNAVAILABLE", 1, done_first=True)]
    gcloud.run(CREATE)
    assert "a-topic" in here.cloud.things["topic"]


def test_another_project_is_refused_with_a_hint(here: Ground) -> None:
    with pytest.raises(GcloudFailed):
        Gcloud("not-ours-123", here.warm, sleep=lambda _s: None, attempts=1).read(
            ("projects", "describe", "not-ours-123", "--format=json")
        )
    assert PROJECT not in here.lines


def test_the_command_itself_does_the_same(here: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cold: the program on the path, as a person has it."""
    for name, value in here.proxy.env().items():
        monkeypatch.setenv(name, value)
    gcloud = Gcloud(PROJECT)
    here.cloud.enabled.add("secretmanager.googleapis.com")
    here.cloud.things["secret"].clear()
    gcloud.run(Command(("secrets", "create", "a-secret", "--replication-policy=automatic")))
    gcloud.run(Command(("secrets", "versions", "add", "a-secret", "--data-file=-"), stdin="not shown"))
    shown = gcloud.run(Command(("secrets", "versions", "access", "latest", "--secret=a-secret")))
    assert shown == "not shown"
    assert Path(here.proxy.folder).exists()


def test_the_doctor_of_a_project(here: Ground) -> None:
    from infra.doctor.checks import there as look

    found = {one.name: one for one in look(here.gcloud, here.place())}
    assert found["login"].state == found["project"].state == found["billing"].state == "ok"
    assert found["APIs"].state == "warn"
    assert "gcloud services enable " in found["APIs"].fix
    assert found["region"].state == "ok"
    assert all(one.fix for one in found.values() if one.state in ("fail", "warn"))
    elsewhere = replace(here.place(), project="not-ours-123")
    lost = {one.name: one for one in look(Gcloud("not-ours-123", here.warm, attempts=1), elsewhere)}
    assert lost["project"].state == "fail"
    here.cloud.enabled.add("firestore.googleapis.com")
    here.cloud.things["database"]["(default)"] = {
        "name": "projects/x/databases/(default)", "type": "DATASTORE_MODE", "locationId": "us-central1",
    }  # fmt: skip
    found = {one.name: one for one in look(here.gcloud, here.place())}
    here.cloud.things["database"].clear()
    assert "Datastore mode" in found["Firestore"].detail
