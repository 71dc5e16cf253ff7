"""Admission and the deploy are held to the one number that was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.gcloud.profiles import PROFILES, SPARE, Profile
from media_gateway.capacity import CALLS, KNEE
from media_gateway.settings import Settings
from tests.media_gateway.harness import environ

BENCH = Path(__file__).parents[2] / "docs" / "bench" / "voice.json"


def test_what_is_admitted_by_default_is_two_thirds_of_the_knee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLBOARD_MAX_CALLS", raising=False)
    for name, value in environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert Settings().callboard_max_calls == CALLS == KNEE * 2 // 3


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_no_instance_is_given_more_than_it_carries_or_less_than_it_admits(profile: Profile) -> None:
    assert 0 < profile.calls <= CALLS
    assert profile.concurrency == profile.calls + profile.dashboards + SPARE


def test_the_knee_is_the_most_that_was_measured_to_keep_its_promise() -> None:
    runs = [run for run in json.loads(BENCH.read_text())["runs"] if run["target"] == "callboard"]
    kept = [run["calls"] for run in runs if run["added_ms"]["p99"] < 50 and not run["gaps"] and not run["failed"]]
    assert max(kept) == KNEE
    assert all(run["simulator_core_busy"] < 0.9 for run in runs), "the simulators would have been measured"
