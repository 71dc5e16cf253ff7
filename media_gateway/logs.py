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


class _Handler(logging.StreamHandler[Any]):
    """Ours, to be told from those that others have put on the root logger."""


def configure(level: str = "INFO") -> None:
    """Set up structlog and the standard library's logging. Safe to call twice."""
    finish: Sequence[structlog.typing.Processor] = (
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _severity,
    )
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *finish, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *finish],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
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
    return event
