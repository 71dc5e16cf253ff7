"""One JSON object a line, in Cloud Logging's field names; uvicorn's chatter, which names URLs, stays off."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from media_gateway import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    names = (None, "uvicorn.error", *logs.OURS)
    before = [
        (logger, logger.level, list(logger.filters), list(logger.handlers)) for logger in map(logging.getLogger, names)
    ]
    yield
    for logger, level, filters, handlers in before:
        logger.setLevel(level)
        logger.filters[:] = filters
        logger.handlers[:] = handlers
    structlog.reset_defaults()


def test_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    log = structlog.get_logger()
    log.debug("quiet")
    log.warning("call_ended", call_id="CA1")
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("call_failed")
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["severity"], first["message"], first["call_id"]) == ("WARNING", "call_ended", "CA1")
    assert first["time"].endswith("Z")
    assert second["severity"] == "ERROR"
    assert "ValueError: boom" in second["exception"]


def test_the_standard_library_speaks_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        logs.configure("INFO")
    logging.getLogger("realtime.hub").info("hub_started", extra={"call_id": "CA1", "path": object})
    logging.getLogger("somebody.else").info("chatter")
    logging.getLogger("somebody.else").warning("%s of %s", 1, 2)
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["severity"], first["message"], first["call_id"]) == ("INFO", "hub_started", "CA1")
    assert (second["severity"], second["message"]) == ("WARNING", "1 of 2")


def test_uvicorn_names_no_url(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        logs.configure("DEBUG")
    errors = logging.getLogger("uvicorn.error")
    assert not errors.isEnabledFor(logging.INFO)
    errors.error("ASGI callable returned without completing handshake.")
    errors.error("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]
    assert len(errors.filters) == 1


def test_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", people=True)
    structlog.get_logger().info("call_started", call_id="CA1")
    logging.getLogger("realtime.hub").warning("head_poisoned", extra={"why": "KeyError"})
    logging.getLogger("realtime.hub").info("broadcast", extra={"event_type": "idle", "clients": 1})
    first, second = capsys.readouterr().out.splitlines()
    assert "call_started" in first
    assert "call_id=CA1" in first
    assert "{" not in first
    assert "head_poisoned" in second
    assert "why=KeyError" in second


def test_a_broadcast_names_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    logging.getLogger("realtime.hub").info("broadcast", extra={"event_type": "idle", "clients": 2})
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["message"], line["event"], line["clients"]) == ("broadcast", "idle", 2)
