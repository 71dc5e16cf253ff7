"""Who runs which tests when several workers share them: a file stays with one worker, which makes its fixtures once.

Calls in real time are two lanes, begun first: two systems with their calls at a time are what two cores carry in time
beside two workers that compute and step back (`nice`, tests/conftest.py). With three a greeting took four seconds.
What asks gcloud shares one deployed system. (Under pytest 9.2 the mark `xdist_group` of pytest-xdist 3.8 does nothing.)
"""

from __future__ import annotations

from typing import Any

import pytest

LANES: dict[str, tuple[str, ...]] = {
    "telephone 1": (
        "tests/e2e/test_scenarios.py",
        "tests/e2e/test_page.py",
        "tests/e2e/test_nothing_left.py",
        "tests/e2e/test_outbound.py",
        "tests/e2e/test_reminders.py",
        "tests/e2e/test_human_speech.py",
        "tests/e2e/test_hosted_call.py",
        "tests/e2e/test_deployment.py",
    ),
    "telephone 2": (
        "tests/e2e/test_handoff.py",
        "tests/e2e/test_vendors.py",
        "tests/e2e/test_vendor_faults.py",
        "tests/faults/test_live_calls.py",
        "tests/e2e/test_booking.py",
        "tests/e2e/test_dev.py",
    ),
    "gcloud": (
        "tests/deploy/test_up.py",
        "tests/deploy/test_cli.py",
        "tests/deploy/test_cloudbuild.py",
        "tests/deploy/test_road.py",
        "tests/deploy/test_smoke.py",
        "tests/infra/cli/test_cli.py",
    ),
}
EARLY = ("tests/browser/", "tests/faults/", "tests/deploy/", "tests/test_launcher.py", "tests/test_house.py")
"""After the lanes: what takes long, so that no worker begins it last."""

_ORDER = {file: at for at, file in enumerate(file for files in LANES.values() for file in files)}
_LANE = {file: lane for lane, files in LANES.items() for file in files}


def lane(nodeid: str) -> str:
    """The tests of one lane run one after the other, in one worker."""
    file = nodeid.partition("::")[0]
    return _LANE.get(file, file)


def place(nodeid: str) -> int:
    """Lower is earlier."""
    file = nodeid.partition("::")[0]
    return _ORDER.get(file, len(_ORDER) + (not file.startswith(EARLY)))


def scheduler(config: pytest.Config, log: Any) -> Any:
    """For `pytest_xdist_make_scheduler`."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Lanes(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return lane(nodeid)

    config.option.loadscopereorder = False  # it would begin with the file of the most tests
    return Lanes(config, log)
