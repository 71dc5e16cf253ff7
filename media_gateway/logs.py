"""Structured logs: one JSON object a line on stdout, in the field names that Cloud Logging reads.

Ids only. No secret, phone number, name or transcript is ever logged above DEBUG, and no URL with its query string at
all (dashboards may carry their token there), which is why the server's own loggers stay at WARNING.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog

OURS = ("realtime", "media_gateway", "infra")
"""Loggers of the standard library that follow the level we are given; everybody else's start at WARNING."""
_SPURIOUS = "ASGI callable returned without completing handshake."


class _DenialIsNoError(logging.Filter):
    """uvicorn reports a handshake that the application refused on purpose (a denial response) as an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != _SPURIOUS


class _NotEveryMessage(logging.Filter):
    """A line for every event that every dashboard was sent is for machines; a person's terminal would drown in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "broadcast"


class _Handler(logging.StreamHandler[Any]):
    """Ours, to be told from those that others have put on the root logger."""


def configure(level: str = "INFO", *, people: bool = False) -> None:
    """Set up structlog and the standard library's logging. Safe to call twice. With `people` a line is for somebody at
    a terminal: `18:20:32 call_started call_id=CA1`; the same fields, no JSON."""
    if people:
        finish: Sequence[structlog.typing.Processor] = (
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="timestamp"),
            structlog.stdlib.add_log_level,
        )
        last: structlog.typing.Processor = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(),
            pad_event_to=22,
            # The default prints the values of local variables: somebody's number or words may be among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    else:
        finish = (
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _severity,
        )
        last = structlog.processors.JSONRenderer(default=str)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *finish, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(sys.stdout)
    if people:
        handler.addFilter(_NotEveryMessage())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *finish],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    for known in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(known)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    errors = logging.getLogger("uvicorn.error")
    errors.setLevel(logging.WARNING)
    if not any(isinstance(known, _DenialIsNoError) for known in errors.filters):
        errors.addFilter(_DenialIsNoError())


def _severity(_logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cloud Logging calls the level `severity` and the text `message`."""
    event["severity"] = {"warn": "WARNING", "exception": "ERROR"}.get(method, method.upper())
    event["message"] = event.pop("event")
    if "event_type" in event:  # `event` is structlog's own name for the text, until here
        event["event"] = event.pop("event_type")
    return event
