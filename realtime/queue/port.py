"""HTTP requests that are to be made later: not before a time, not after another, each name once.

Two adapters: Cloud Tasks (`realtime.queue.cloud_tasks`) and the embedded queue of one machine
(`realtime.queue.embedded`). Blocking, because functions are threads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

_NAME = re.compile(r"[A-Za-z0-9_-]{1,500}", re.ASCII)


class QueueUnavailable(Exception):
    """The queue did not confirm in time. Whether it has the task is unknown: enqueue it again under the same name."""


@dataclass(frozen=True, slots=True)
class Task:
    """A POST of JSON. `at` is when it may be made first; past `until` it may not be made any more.

    Cloud Tasks knows no end: there `until` is kept by what the request carries (its bearer token expires then).
    `headers` hold a secret and `body` a number: neither is shown.
    """

    name: str
    url: str
    at: datetime
    until: datetime
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a task's name is made of letters, digits, - and _")
        if self.at.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("a time without a time zone cannot be kept")


class TaskQueue(Protocol):
    """At least once, again after any answer that is not 2xx; the receiver tells repetitions by what the task says."""

    def enqueue(self, task: Task) -> bool:
        """True when the queue has it for good, False when it has (or lately had) one of that name. Raises
        QueueUnavailable."""

    def withdraw(self, name: str) -> bool:
        """True when the task was there and will not be made; False when it is gone or under way. Raises
        QueueUnavailable."""

    def close(self) -> None:
        """Safe to call twice."""
