"""The command line as scripts use it: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def callboard(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_chat_books_in_text_one_json_object_a_line(tmp_path: Path) -> None:
    lines = "Hi, I need to schedule an oil change\ntomorrow at two\nyes please\nno thank you\n"
    done = callboard(
        "chat", "--flow", "inbound_new", "--now", "2026-11-20T09:00", "--json",
        stdin=lines, CALLBOARD_DATA_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(
        answer.keys() == {"say", "state", "intent", "slots", "tools", "escalation", "ended", "why"}
        for answer in answers
    )
    assert [answer["state"] for answer in answers[1:]] == ["slot_collection", "confirmation", "closing", "closing"]
    assert answers[2]["slots"] == {
        "service_type": "oil_change", "preferred_date": "2026-11-21", "preferred_time": "14:00",
    }  # fmt: skip
    (booking,) = answers[3]["tools"]
    assert (booking["name"], booking["ok"]) == ("book_appointment", True)
    assert answers[-1]["ended"]


def test_a_reader_does_not_load_the_gateway() -> None:
    """Its import alone would make every command a second slower."""
    script = (
        "import sys, infra.cli.app, infra.cli.calling, infra.cli.chatting, infra.cli.replaying, infra.cli.seeding, "
        "infra.cli.sources, infra.cli.stats\n"
        "print(sorted({'uvicorn', 'aiohttp', 'deepgram', 'openai', 'twilio', 'grpc'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_known_caller_is_greeted_by_name(tmp_path: Path) -> None:
    done = callboard("chat", "--caller", "+14155550123", "--json", CALLBOARD_DATA_DIR=str(tmp_path))
    assert "Hi John" in json.loads(done.stdout.splitlines()[0])["say"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("chat", "--flow", "no_such_flow"), 2, "there is no flow 'no_such_flow'"),
        (("chat", "--now", "yesterday"), 2, "no ISO 8601 time"),
        (("flows", "show", "no_such_flow"), 2, "there is no flow"),
        (("simulate-call", "--scenario", "no_such_scenario"), 2, "no scenario 'no_such_scenario'"),
        (("no-such-verb",), 2, "No such command"),
    ],
)
def test_a_mistake_gets_one_clear_line_and_the_usage_code(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    done = callboard(*arguments, CALLBOARD_DATA_DIR=str(tmp_path), COLUMNS="200")
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flow_file_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: broken\nshop:\n  name: [a list]\n")
    done = callboard("flows", "check", "--json", CALLBOARD_FLOWS_DIR=str(tmp_path), CALLBOARD_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    problems = json.loads(done.stdout)["problems"]
    assert any("broken.yaml:3" in problem for problem in problems), problems


def test_a_setting_that_is_wrong_is_named_with_its_remedy(tmp_path: Path) -> None:
    done = callboard(
        "simulate-call", CALLBOARD_TIMEZONE="Mars/Olympus", CALLBOARD_DATA_DIR=str(tmp_path), COLUMNS="200"
    )
    assert done.returncode == 1
    assert "CALLBOARD_TIMEZONE" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_that_is_asked_for_and_cannot_be_had_is_not_replaced(tmp_path: Path) -> None:
    wanted = {"CALLBOARD_LLM": "openai", "OPENAI_API_KEY": "", "COLUMNS": "200"}
    done = callboard("simulate-call", CALLBOARD_DATA_DIR=str(tmp_path), **wanted)
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_scenarios_are_listed() -> None:
    names = [row["name"] for row in json.loads(callboard("simulate-call", "--list", "--json").stdout)]
    assert {"book_oil_change", "barge_in", "cut_midway", "silent_caller"} <= set(names)


def test_nothing_that_answers_there_is_said_in_a_line(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9", "nonsense"):
        done = callboard("simulate-call", "--url", url, "--json", CALLBOARD_DATA_DIR=str(tmp_path))
        assert done.returncode == 1
        assert done.stdout == ""
        assert f"--url {url} could not be used" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.call
def test_a_call_prints_its_verdict_and_nothing_else(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    done = callboard("simulate-call", "--scenario", "hang_up_midway", "--wav", str(sounds), "--json", LOG_LEVEL="INFO")
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["ok"], verdict["status"]) == (0, True, "completed")
    assert verdict["received"]["/ws/events"] >= verdict["received"]["journal"]
    assert verdict["latencies"]["first_media_ms"] is not None
    assert Path(verdict["wav"]).parent == sounds
