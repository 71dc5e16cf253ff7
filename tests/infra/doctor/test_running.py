"""`doctor` tells of a gateway that runs here what its page "Set up" tells."""

from __future__ import annotations

import asyncio
import io
import socket
from pathlib import Path

import pytest
from rich.console import Console

from infra.doctor.checks import Finding, here
from infra.doctor.report import show, verdict
from infra.doctor.running import GROUP, finding, running
from tests.media_gateway.harness import environ, gateway

pytestmark = pytest.mark.anyio


async def test_the_connections_of_a_running_gateway_are_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(tmp_path) as here:
        here.gateway.core.seen.ok("twilio")
        here.gateway.core.seen.wrong("twilio", "A request came whose signature does not fit.")
        for name, value in {**environ(tmp_path), "PORT": str(here.server.bound_port)}.items():
            monkeypatch.setenv(name, value)
        found = {
            one.name: one
            for one in await asyncio.to_thread(lambda: list(running({"PORT": str(here.server.bound_port)})))
        }
        assert {one.group for one in found.values()} == {GROUP}
        assert found["Store"].state == "ok"
        assert found["Twilio"].state == "fail"
        assert "signature does not fit" in found["Twilio"].detail
        assert "TWILIO_AUTH_TOKEN" in found["Twilio"].fix
        assert found["OpenAI"].state == "skip"
        monkeypatch.setenv("ADMIN_PASSWORD", "another one that is wrong")
        (refused,) = await asyncio.to_thread(lambda: list(running({"PORT": str(here.server.bound_port)})))
        assert refused.state == "warn"
        assert "ADMIN_PASSWORD" in refused.fix


def test_recordings_without_a_place_are_told_before_anything_runs() -> None:
    def told(**environ: str) -> list[str]:
        return [one.fix for one in here(environ, lambda _: "there") if one.name == "recordings"]

    (fix,) = told(CALLBOARD_RECORD="true", CALLBOARD_STORE="firestore")
    assert "CALLBOARD_AUDIO_BUCKET" in fix
    assert told(CALLBOARD_RECORD="true", CALLBOARD_STORE="firestore", CALLBOARD_AUDIO_BUCKET="sound") == []
    assert told(CALLBOARD_RECORD="true", CALLBOARD_STORE="firestore", FIRESTORE_EMULATOR_HOST="x:1") == []
    assert told(CALLBOARD_RECORD="true", CALLBOARD_STORE="embedded") == []
    assert told(CALLBOARD_STORE="firestore") == []


def test_nothing_is_said_and_nothing_is_made_where_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path / "data"))
    assert list(running({"PORT": str(port)})) == []
    assert list(running({"PORT": "eight"})) == []
    assert not (tmp_path / "data").exists()


def test_what_is_not_set_up_is_no_fault_and_asks_for_nothing() -> None:
    base = {"title": "OpenAI", "what": "not used in calls", "last_seen": None, "problem": "", "fix": "Make a key."}
    off = finding({**base, "state": "off", "demo": True})
    assert (off.state, "stands in" in off.detail) == ("skip", True)
    wrong = finding(
        {**base, "state": "wrong", "demo": False, "problem": "Refused.", "last_seen": "2026-11-20T12:00:00Z"}
    )
    assert "Refused." in wrong.detail
    console = Console(width=120, record=True, file=io.StringIO())
    show(console, [off, wrong], online=True)
    text = console.export_text()
    assert text.count("Make a key.") == 1
    assert "Ready to deploy" in verdict([Finding("a", "b", "ok", "c"), wrong]), "this machine, not the deployment"
