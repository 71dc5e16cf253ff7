"""The functions' log: one JSON object a line on stderr, in the field names that Cloud Logging reads.

With the standard library only (cold start). Ids and reasons; never what was said, a number, or a secret.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

OURS = ("functions", "realtime")
"""Loggers that follow LOG_LEVEL; everybody else's start at WARNING."""
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """The message, the level, the time, whatever came as `extra`, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {name: value for name, value in vars(record).items() if name not in _USUAL}
        line |= {
            "message": record.getMessage(),
            "severity": record.levelname,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "logger": record.name,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Handler(logging.StreamHandler[Any]):
    """Ours, to be told from those that others have put on the root logger."""


def configure(level: str | None = None) -> None:
    """Set up the log, at `level` or LOG_LEVEL (INFO). Safe to call twice: every entry point does."""
    root = logging.getLogger()
    for known in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(known)
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonLines())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    wanted = (level or os.environ.get("LOG_LEVEL") or "INFO").upper()
    known_level = wanted in logging.getLevelNamesMapping()
    for name in OURS:
        logging.getLogger(name).setLevel(wanted if known_level else "INFO")
