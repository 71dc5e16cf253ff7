"""The personalization function: who gets in, what is known of a caller, and an answer in time whatever is broken."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.test import TestResponse

from functions import elevenlabs_personalize, runtime
from functions.elevenlabs_personalize import HEADER, STRANGER
from realtime.records import customers
from realtime.records.customers import Customer
from realtime.stores.embedded import EmbeddedStore
from tests.functions.apps import app_of

SECRET = "a-personalize-secret"
ASKED = {"caller_id": "+14155550123", "agent_id": "agent_1", "called_number": "+14155550199", "call_sid": "CA1"}
DEFAULTS = {"type": "conversation_initiation_client_data", "dynamic_variables": dict(STRANGER)}


@pytest.fixture
def app(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> flask.Flask:
    monkeypatch.setenv("ELEVENLABS_PERSONALIZE_SECRET", SECRET)
    asyncio.run(_known(embedded))
    return app_of("elevenlabs_personalize")


async def _known(database: Path) -> None:
    john = Customer(customer_id="c1", name="John Miller", phone="+14155550123", vehicle="2019 Honda Civic")
    store = EmbeddedStore(database)
    await store.commit(customers.writes("default", john))
    await store.commit(customers.writes("default", Customer(customer_id="c2", name=" ", phone="+14155550124")))
    await store.aclose()


def ask(app: flask.Flask, body: Any = ASKED, headers: dict[str, str] | None = None) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {HEADER: SECRET} if headers is None else headers
    return app.test_client().post("/", data=data, headers=given, content_type="application/json")


def test_a_known_caller_is_greeted_by_name(app: flask.Flask) -> None:
    response = ask(app)
    assert response.status_code == 200
    assert response.get_json() == {
        "type": "conversation_initiation_client_data",
        "dynamic_variables": {
            "caller_known": True,
            "caller_name": "John Miller",
            "caller_first_name": "John",
            "caller_vehicle": "2019 Honda Civic",
            "customer_since": "",
            "last_service": "",
        },
        "conversation_config_override": {
            "agent": {"first_message": "Hi John, good to hear from you again. How can I help you today?"}
        },
    }


def test_a_known_caller_without_a_name_is_not_greeted_by_none(app: flask.Flask) -> None:
    answer = ask(app, {**ASKED, "caller_id": "+14155550124"}).get_json()
    assert answer["dynamic_variables"]["caller_known"] is True
    assert "conversation_config_override" not in answer


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({**ASKED, "caller_id": "+14155550188"}, id="a stranger"),
        pytest.param({**ASKED, "caller_id": "anonymous"}, id="withheld"),
        pytest.param({**ASKED, "caller_id": None}, id="null"),
        pytest.param({**ASKED, "caller_id": ["+14155550123"]}, id="a list"),
        pytest.param({"new": "fields"}, id="no caller"),
        pytest.param([], id="no object"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="no json"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 20_000, id="deep"),
        pytest.param(b" " * 70_000, id="too large"),
    ],
)
def test_whatever_comes_is_answered_with_all_variables(app: flask.Flask, body: Any) -> None:
    response = ask(app, body)
    assert (response.status_code, response.get_json()) == (200, DEFAULTS)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {SECRET}"}, 200),
        ({}, 401),
        ({HEADER: ""}, 401),
        ({HEADER: SECRET[:-1]}, 401),
        ({HEADER: SECRET + "x"}, 401),
        ({HEADER: "ü"}, 401),
        ({"Authorization": f"Basic {SECRET}"}, 401),
    ],
)
def test_nobody_gets_in_without_the_secret(app: flask.Flask, headers: dict[str, str], status: int) -> None:
    response = ask(app, headers=headers)
    assert response.status_code == status
    assert (status == 200) == ("John" in response.text)


@pytest.mark.parametrize("header", ["", SECRET])
def test_without_a_secret_of_its_own_it_is_shut(app: flask.Flask, monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    monkeypatch.delenv("ELEVENLABS_PERSONALIZE_SECRET")
    assert ask(app, headers={HEADER: header}).status_code == 401


def test_only_a_post_is_answered(app: flask.Flask) -> None:
    assert app.test_client().get("/", headers={HEADER: SECRET}).status_code == 405


def test_a_store_that_hangs_costs_no_more_than_the_second(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object) -> None:
        time.sleep(1.5)

    monkeypatch.setattr(elevenlabs_personalize, "_look_up", hangs)
    for _ in range(2):
        started = time.monotonic()
        response = ask(app)
        assert time.monotonic() - started < 1.0
        assert (response.status_code, response.get_json()) == (200, DEFAULTS)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CALLBOARD_STORE", "nonsense"), ("CALLBOARD_DATA_DIR", "/proc/nowhere"), ("CALLBOARD_RETENTION_DAYS", "x")],
)
def test_a_store_that_cannot_be_opened_is_no_reason_not_to_answer(
    app: flask.Flask, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    response = ask(app)
    assert (response.status_code, response.get_json()) == (200, DEFAULTS)


def test_a_record_that_is_broken_is_no_reason_either(app: flask.Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Customer:
        raise KeyError("name")

    monkeypatch.setattr(Customer, "from_dict", broken)
    response = ask(app)
    assert (response.status_code, response.get_json()) == (200, DEFAULTS)
    assert runtime._runtimes


def test_a_warm_answer_is_fast(app: flask.Flask) -> None:
    ask(app)
    started = time.monotonic()
    for _ in range(20):
        ask(app)
    assert (time.monotonic() - started) / 20 < 0.1


def test_a_cold_start_imports_no_sdk_and_no_library_of_numbers() -> None:
    code = (
        "import sys, functions.elevenlabs_personalize\n"
        "heavy = ('google.cloud.', 'google.api_core', 'grpc', 'elevenlabs', 'pydantic', 'phonenumbers', 'urllib3')\n"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
