"""Whatever the document of the REST API allows, and what it does not: schemathesis asks a running gateway. Never a
failure of ours, and every refusal in the one shape."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from media_gateway.auth import Principal
from realtime.call import Call, Status
from tests.media_gateway.harness import Running, gateway

ADMIN = Principal("root", "default", "admin")
SLOWED = {"/auth/login", "/auth/password"}
"""A wrong password is answered later and later: these two are asked in `test_people`."""
ANSWERS = {200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 413, 422, 429, 503}
TS = "2026-11-20T12:00:00.000Z"


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """A gateway on a loop of its own: its URL, its document, and the headers of an administrator."""
    ready, over = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        async with gateway(folder) as one:
            await peopled(one)
            found["document"] = (await one.http.get("/openapi.json")).json()
            found["url"] = str(one.http.base_url)
            found["headers"] = {**one.bearer(ADMIN), "Host": one.settings.public_host}
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield found["url"], found["document"], found["headers"]
    finally:
        over.set()
        thread.join()


async def peopled(one: Running) -> None:
    journal = one.gateway.core.journal
    await journal.open(Call(call_id="CA1"))
    await journal.open(Call(call_id="CA2", status=Status.IN_PROGRESS))
    await journal.complete("CA1", Status.COMPLETED, call_data={"transcript": None}, key="e", ts=TS)


def asked(url: str, document: dict[str, Any], headers: dict[str, str], *, examples: int) -> int:
    """Ask every operation; how many there are."""
    schema = schemathesis.openapi.from_dict(document)
    operations: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    for operation in operations:
        if operation.path in SLOWED:
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.headers):
                continue

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=examples,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Any) -> None:
                for name in ("X-Twilio-Signature", "Authorization", "X-API-Key"):
                    case.headers.pop(name, None)
                response = case.call(base_url=url, headers=headers, timeout=20)
                told = (
                    f"{case.method} {case.formatted_path} {case.body!r} -> {response.status_code} {response.text[:200]}"
                )
                assert response.status_code in ANSWERS, told
                if response.status_code >= 400:
                    error = response.json()["error"]
                    assert error.keys() == {"code", "message", "fix"}, told
                    assert all(isinstance(text, str) and text for text in error.values()), told
                if response.status_code != 503:
                    case.validate_response(response, checks=[not_a_server_error])

            ask()
    return len(operations)


def test_no_request_makes_it_fail(tmp_path: Path) -> None:
    with running(tmp_path) as (url, document, headers):
        assert asked(url, document, headers, examples=2) > 40


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_request_makes_it_fail_however_many(tmp_path: Path) -> None:
    with running(tmp_path) as (url, document, headers):
        assert asked(url, document, headers, examples=60) > 40
