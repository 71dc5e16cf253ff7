"""One system on the fake Google, made once for all tests that look at it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from infra.cli.plan_view import rows
from infra.gcloud import images
from infra.gcloud.place import Place
from infra.gcloud.road import ReleaseFailed
from infra.gcloud.up import Plan
from tests.deploy.fake_google.cloud import Cloud, Fault
from tests.deploy.fake_google.ready import Died, Ground, ready

TROUBLES = (
    Fault("pubsub", "PUT", "/topics/callboard-events$", 503, "UNAVAILABLE", 1),
    Fault("secretmanager", "POST", "/secrets$", 429, "RESOURCE_EXHAUSTED", 1),
    # done, and the answer lost: the second attempt finds it there
    Fault("iam", "POST", "/serviceAccounts$", 503, "UNAVAILABLE", 1, done_first=True),
    Fault("cloudresourcemanager", "POST", ":setIamPolicy$", 409, "ABORTED", 1),
    Fault("run", "POST", "/services$", 500, "INTERNAL", 1),
)
"""What befalls the first run, which dies in the middle besides."""


@dataclass
class Story:
    """One system, made, looked at again, and brought to a new version. Clouds are copies of that moment; `here` is as
    the last run has left it, and whoever changes it changes it back."""

    here: Ground
    place: Place
    first: Cloud
    made: list[str]
    untried: list[str]
    again: Plan
    writes_again: int
    second: Cloud
    released: list[str]
    smoked: list[str]
    argvs: list[list[str]]
    lines: list[str]


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with ready(tmp_path_factory.mktemp("cloud")) as here, pytest.MonkeyPatch.context() as patch:
        here.cloud.faults = list(TROUBLES)
        here.calls_left = 70
        with pytest.raises(Died):
            here.up()
        here.calls_left = -1
        here.wrong = ["a simulated call: nobody answered"]
        with pytest.raises(ReleaseFailed, match="nobody answered"):
            here.up()
        assert here.cloud.things["subscription"], "smoked before news can arrive"
        here.wrong, here.smoked[:] = [], []
        untried = here.plan()
        here.up(todo=untried)
        made = list(here.made)
        assert [fault.path for fault in here.cloud.faults if fault.times] == []
        first, smoked = copied(here.cloud), list(here.smoked)
        before = len(here.cloud.writes)
        again = here.plan()
        here.up(todo=again)
        writes = len(here.cloud.writes) - before
        tags = {**images.tags(), "gateway": "0123456789abcdef"}
        patch.setattr(images, "tags", lambda: tags)
        released = here.up()
        yield Story(
            here=here,
            place=replace(again.place),
            first=first,
            made=made,
            untried=[action for action, _, _ in rows(untried)],
            again=again,
            writes_again=writes,
            second=copied(here.cloud),
            released=released,
            smoked=[*smoked, *here.smoked[len(smoked) :]],
            argvs=here.warm.argvs,
            lines=here.lines,
        )


def copied(cloud: Cloud) -> Cloud:
    return Cloud(
        things=copy.deepcopy(cloud.things),
        policies=copy.deepcopy(cloud.policies),
        enabled=set(cloud.enabled),
        seen=list(cloud.seen),
        bodies=list(cloud.bodies),
    )
