"""`schedule_reminders` as a functions-framework app: what it plans, queues and takes back, run once, twice, at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions import runtime
from functions import schedule_reminders as function
from functions.service_token import operator_token, signing_key
from media_gateway.auth import AuthError, Tokens
from realtime.call import Status
from realtime.queue.embedded import EmbeddedQueue
from realtime.records import do_not_call
from realtime.reminders import ledger
from realtime.stores.embedded import EmbeddedStore
from realtime.stores.port import Put
from tests.functions.apps import app_of
from tests.functions.shop import ALL_DAY, NOW, PHONES, appointment, called, on_store, reminder_of, seed
from tests.realtime.queue.fake_tasks import QUEUE

KEY = "k1:0123456789abcdef0123456789abcdef"


class Clock:
    """The function's clock."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **more: float) -> None:
        self.now += timedelta(**more)


@pytest.fixture
def clock(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setenv("PUBLIC_BASE_URL", "https://calls.example.com/")
    monkeypatch.setenv("JWT_SECRET", KEY)
    monkeypatch.setenv("CALLBOARD_TIMEZONE", "America/New_York")
    for name in ("CALLBOARD_TASKS_QUEUE", "CLOUD_TASKS_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    own = Clock()
    monkeypatch.setattr(function, "utcnow", own)
    monkeypatch.setattr(runtime, "_store", lambda settings: EmbeddedStore(settings.database, clock=own))
    yield own
    function.close_all()


def run(body: Any = None, status: int = 200) -> dict[str, Any]:
    response = app_of("schedule_reminders").test_client().post("/", json={} if body is None else body)
    assert response.status_code == status, response.get_json()
    answer: dict[str, Any] = response.get_json()
    return answer


def waiting(path: Path) -> list[str]:
    queue = EmbeddedQueue(path)
    try:
        return queue.waiting()
    finally:
        queue.close()


def planned(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(call["appointment_id"], call["attempt"]) for call in answer["planned"]]


def test_tomorrows_appointments_are_called_today_and_others_are_not(embedded: Path, clock: Clock) -> None:
    today = appointment("maria", NOW, days=0, appointment_id="A-today")
    after = appointment("maria", NOW, days=2, appointment_id="A-after")
    more = [Put(f"orgs/default/appointments/{one.data['appointment_id']}", one.data) for one in (today, after)]
    seed(embedded, NOW, *more, who=("john",))
    answer = run()
    assert (answer["day"], planned(answer), answer["skipped"]) == ("2026-11-21", [("A-john", 1)], {})
    name = ledger.call_key(reminder_of("john", NOW), 1)
    assert answer["queued"] == waiting(embedded) == [name]


def test_the_request_that_is_queued_is_the_call_with_its_key_and_a_token_for_its_minutes(
    embedded: Path, clock: Clock
) -> None:
    seed(embedded, NOW, who=("john",))
    run()
    queue = EmbeddedQueue(embedded, clock=clock)
    task = queue.claim("test", seconds=1)
    queue.close()
    assert task is not None
    body, headers = json.loads(task.body), json.loads(task.headers)
    assert task.url == "https://calls.example.com/api/v1/calls"
    assert (body["to"], body["flow"]) == (PHONES["john"], "outbound_reminder")
    about = body["variables"]
    assert (about["first_name"], about["vehicle"]) == ("John", "2019 Honda Civic")
    assert about["appointment"] == {
        "appointment_id": "A-john",
        "reference": about["appointment"]["reference"],
        "date": "2026-11-21",
        "time": "14:00",
        "service_type": "oil_change",
        "service": "oil change",
    }
    assert headers["Idempotency-Key"] == task.name == f"{about['reminder_id']}-{about['attempt']}"
    assert headers["Authorization"].startswith("Bearer ey")


def test_the_gateway_takes_the_token_in_its_minutes_and_at_no_other_time() -> None:
    real = datetime.now(UTC)
    key = signing_key(f"{KEY},old:{'x' * 32}")
    span = {"begins": real - timedelta(minutes=1), "ends": real + timedelta(minutes=9)}
    token = operator_token(key, user="schedule_reminders", org="default", **span)
    principal = Tokens([key]).verify_access(token)
    assert (principal.user, principal.org, principal.role) == ("schedule_reminders", "default", "operator")
    with pytest.raises(AuthError, match="expired"):
        Tokens([key], clock=lambda: span["ends"]).verify_access(token)
    early = operator_token(key, user="s", org="default", begins=span["ends"], ends=span["ends"] + timedelta(minutes=1))
    with pytest.raises(AuthError, match="not valid"):
        Tokens([key]).verify_access(early)
    with pytest.raises(AuthError):
        Tokens([("k1", "y" * 32)]).verify_access(token)


def test_a_second_run_changes_nothing_and_twice_at_once_plans_once(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, who=("john", "maria"))
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(run())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert sorted(call for answer in answers for call in planned(answer)) == [("A-john", 1), ("A-maria", 1)]
    assert len(waiting(embedded)) == 2
    again = run()
    assert (again["planned"], again["queued"]) == ([], [])
    assert again["skipped"] == {"in_progress": ["A-john", "A-maria"]}


def test_the_answer_holds_ids_only(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, who=("john", "maria"))
    text = str(run())
    assert not [secret for secret in (*PHONES.values(), "Doe", "John") if secret in text]


def test_nobody_is_called_at_night_where_they_live(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, rules={}, who=("john", "chen"))  # ten in New York, half past eight in the evening in India
    answer = run()
    assert (planned(answer), answer["skipped"]) == ([("A-john", 1)], {"later": ["A-chen"]})
    clock.tick(hours=12, minutes=30)  # nine in the morning in India, half past ten at night in New York
    assert ("A-chen", 1) in planned(run())


def test_the_list_is_obeyed_even_when_the_call_is_queued_already(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, rules={**ALL_DAY, "lines": 1}, who=("john", "maria"))
    first = run()
    assert len(first["planned"]) == 2  # the second in three minutes
    late = first["planned"][1]["appointment_id"].removeprefix("A-")
    on_store(embedded, lambda store: do_not_call.add(store, "default", PHONES[late], now=NOW))
    clock.tick(seconds=30)
    answer = run()
    assert answer["withdrawn"] == [ledger.call_key(reminder_of(late, NOW), 1)]
    assert answer["skipped"]["do_not_call"] == [f"A-{late}"]
    assert len(waiting(embedded)) == 1


@pytest.mark.parametrize(
    ("head", "status", "why"),
    [
        pytest.param(
            {"conversation_summary": {"collected_slots": {"outcome": "confirmed"}}},
            Status.COMPLETED,
            "confirmed",
            id="confirmed",
        ),
        pytest.param(
            {"conversation_summary": {"collected_slots": {"outcome": "moved"}}}, Status.COMPLETED, "settled", id="moved"
        ),
        pytest.param(
            {"conversation_summary": {"collected_slots": {"outcome": "cancelled"}}},
            Status.COMPLETED,
            "settled",
            id="cancelled",
        ),
        pytest.param(
            {"conversation_summary": {"collected_slots": {"outcome": "wrong_person"}}},
            Status.COMPLETED,
            "settled",
            id="somebody else's number",
        ),
        pytest.param({"answered_by": "machine_end_beep"}, Status.COMPLETED, "settled", id="voicemail"),
        pytest.param(
            {"conversation_summary": {"escalation_triggered": True}}, Status.COMPLETED, "settled", id="a person"
        ),
        pytest.param({}, Status.NO_ANSWER, None, id="no answer"),
        pytest.param({}, Status.BUSY, None, id="busy"),
        pytest.param({"conversation_summary": {"state": "closing"}}, Status.COMPLETED, None, id="nothing came of it"),
    ],
)
def test_the_outcome_decides_whether_there_is_a_second_call(
    embedded: Path, clock: Clock, head: dict[str, Any], status: Status, why: str | None
) -> None:
    seed(embedded, NOW, who=("john",))
    run()
    called(embedded, "john", NOW, status, **head)
    clock.tick(minutes=20)
    assert run()["planned"] == []  # not yet an hour
    clock.tick(minutes=45)
    answer = run()
    if why:
        assert (answer["planned"], answer["skipped"]) == ([], {why: ["A-john"]})
    else:
        assert planned(answer) == [("A-john", 2)]


def test_a_confirmed_appointment_is_not_called_whoever_confirmed_it(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, who=("john",))
    on_store(embedded, lambda store: store.commit([appointment("john", NOW, status="confirmed")]))
    assert run()["skipped"] == {"confirmed": ["A-john"]}
    on_store(embedded, lambda store: store.commit([appointment("john", NOW, status="canceled")]))
    assert run()["skipped"] == {"not_booked": ["A-john"]}


def test_attempts_end_at_the_cap(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, rules={**ALL_DAY, "most_attempts": 2}, who=("john",))
    for n in (1, 2):
        assert planned(run()) == [("A-john", n)]
        clock.tick(minutes=61)  # nobody ever saw the call: it counts all the same
    assert run()["skipped"] == {"too_many_attempts": ["A-john"]}


def test_stop_takes_back_what_is_queued_and_resume_goes_on(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, rules={**ALL_DAY, "lines": 1}, who=("john", "maria"))
    run()
    first, second = waiting(embedded)
    on_store(embedded, lambda store: ledger.switch(store, "default", stopped=True))
    clock.tick(seconds=30)
    answer = run()
    assert (answer["stopped"], answer["planned"], answer["withdrawn"]) == (True, [], sorted([first, second]))
    assert waiting(embedded) == []
    assert run()["planned"] == []
    on_store(embedded, lambda store: ledger.switch(store, "default", stopped=False))
    clock.tick(minutes=5)
    resumed = planned(run())
    assert [n for _, n in resumed] == [2]  # the first one's time had come: it may have been made
    assert reminder_of(resumed[0][0].removeprefix("A-"), NOW) in second


def test_a_run_that_died_before_queueing_is_finished_by_the_next(
    embedded: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(embedded, NOW, who=("john",))
    monkeypatch.setenv("CALLBOARD_TASKS_QUEUE", QUEUE)
    monkeypatch.setenv("CLOUD_TASKS_BASE_URL", "http://127.0.0.1:9")
    assert run(status=503)["error"]["code"] == "unavailable"
    monkeypatch.delenv("CALLBOARD_TASKS_QUEUE")
    clock.tick(seconds=20)
    answer = run()
    assert (answer["planned"], answer["queued"]) == ([], [ledger.call_key(reminder_of("john", NOW), 1)])


def test_a_dry_run_writes_nothing(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, who=("john",))
    assert planned(run({"dry_run": True})) == [("A-john", 1)]
    assert waiting(embedded) == []
    assert planned(run()) == [("A-john", 1)]


@pytest.mark.parametrize("body", [[1], {"org": "a/b"}, {"org": 5}, {"dry_run": "yes"}])
def test_what_is_not_understood_is_named(embedded: Path, clock: Clock, body: Any) -> None:
    assert run(body, 400)["error"]["code"] == "bad_request"


def test_rules_that_cannot_be_read_are_named(embedded: Path, clock: Clock) -> None:
    seed(embedded, NOW, rules={"opens": "nine"}, who=("john",))
    assert "`opens`" in run(status=500)["error"]["message"]


def test_only_a_post_is_taken(embedded: Path, clock: Clock) -> None:
    assert app_of("schedule_reminders").test_client().get("/").status_code == 405


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", ""),
        ("PUBLIC_BASE_URL", ""),
        ("CALLBOARD_TIMEZONE", "Mars/Olympus"),
        ("CALLBOARD_TASKS_QUEUE", "outbound"),
        ("CALLBOARD_STORE", ""),
    ],
)
def test_a_wrong_variable_is_named(
    embedded: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert name in run(status=503)["error"]["message"]


def test_on_google_the_queue_must_be_named(embedded: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SERVICE", "schedule-reminders")
    assert "CALLBOARD_TASKS_QUEUE" in run(status=503)["error"]["message"]


def test_a_cold_start_imports_no_sdk() -> None:
    code = (
        "import sys, functions.schedule_reminders\n"
        "heavy = ('google.cloud.', 'google.api_core', 'google.auth', 'grpc', 'jwt', 'pydantic', 'httpx2', 'requests')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
