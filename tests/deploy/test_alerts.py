"""Alerts count lines that somebody writes, and docs/operating.md says what to do about each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.gcloud.alerts import ALERTS, where
from infra.gcloud.place import place
from infra.gcloud.resources import components

ROOT = Path(__file__).resolve().parents[2]
COUNTED = [
    name for alert in ALERTS if "jsonPayload.message" in alert.where
    for name in re.findall(r'"([a-z_]+)"', alert.where.partition("jsonPayload.message")[2])
]  # fmt: skip
WRITTEN = {
    name for room in ("media_gateway", "realtime", "functions") for path in (ROOT / room).rglob("*.py")
    for name in re.findall(r'\blog\.(?:warning|error|exception)\(\s*"([a-z_]+)"', path.read_text())
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_counted_is_written_by_somebody(name: str) -> None:
    assert name in WRITTEN


def test_something_is_counted() -> None:
    assert "silence_broken" in COUNTED
    assert len(COUNTED) >= 4


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_its_line_in_the_handbook(alert: object) -> None:
    name = getattr(alert, "name", "")
    rows = [
        line for line in (ROOT / "docs" / "operating.md").read_text().splitlines() if line.startswith(f"| `{name}`")
    ]
    assert len(rows) == 1
    assert all(cell.strip() for cell in rows[0].strip("|").split("|")), "what to look at, and what to do"


@pytest.mark.parametrize("profile", ["small", "prod"])
def test_alerts_name_services_that_are_there(profile: str) -> None:
    there = place("demo-voice", "us-central1", profile)
    services = {there.named(component.name) for component in components(there)} | {there.named("dead")}
    for alert in ALERTS:
        named = set(re.findall(r'"(callboard-[a-z]+)"', where(alert, there)))
        assert named
        assert named <= services
