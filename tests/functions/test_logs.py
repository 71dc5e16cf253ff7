"""A line of the functions' log can be searched by what it says."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions import logs
from realtime.bus.port import BusMessage
from tests.functions.test_apply_call_event import TS, deliver, push


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """The log as it was, afterwards."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_json_with_its_extras(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        logs.configure("INFO")
    logging.getLogger("functions.applier").info("news_applied", extra={"news": "n1", "call_id": "CA1"})
    logging.getLogger("functions.applier").debug("not shown")
    logging.getLogger("somebody.else").info("not shown")
    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    time = line.pop("time")
    assert line == {
        "message": "news_applied",
        "severity": "INFO",
        "logger": "functions.applier",
        "news": "n1",
        "call_id": "CA1",
    }
    assert time.endswith("+00:00")


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("x")
    except ValueError:
        record = logging.LogRecord("functions", logging.ERROR, "", 0, "news_%s", ("unusable",), sys.exc_info())
    line = json.loads(logs.JsonLines().format(record))
    assert line["message"] == "news_unusable"
    assert "ValueError: x" in line["exception"]


def test_a_level_that_is_none_is_info() -> None:
    logs.configure("dancing")
    assert logging.getLogger("functions").level == logging.INFO


def test_an_app_logs_what_became_of_the_news(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deliver(push(BusMessage("n1", "martian", "hello", {"call_id": "x"}, TS))) == 204
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == ["news_kept_aside"]
    assert "martian" in lines[0]["why"]
