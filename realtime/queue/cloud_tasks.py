"""Cloud Tasks over REST with urllib3: light, for a function's cold start.

`POST {endpoint}/v2/{queue}/tasks` with `{"task": {"name", "scheduleTime", "dispatchDeadline", "httpRequest":
{"url", "httpMethod", "headers", "body" (base64)}}}`; 409 ALREADY_EXISTS for a name that is there or was lately;
`DELETE {endpoint}/v2/{queue}/tasks/{name}`, 404 for one that is gone. Source: Cloud Tasks REST reference, v2. The
request's own `Authorization` header is sent as it is, since the task names no `oidcToken`. Names should not begin
alike (Cloud Tasks gets slow): ours are digests.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import urllib3

from realtime.bus.rest import METADATA, TOKEN_MARGIN_SECONDS, TOKEN_PATH
from realtime.clock import iso
from realtime.queue.port import QueueUnavailable, Task

ENDPOINT = "https://cloudtasks.googleapis.com"
DISPATCH_DEADLINE = "30s"
QUEUE = re.compile(r"projects/[^/]+/locations/[^/]+/queues/[^/]+")


class CloudTasks:
    """`TaskQueue` on the queue `projects/P/locations/L/queues/Q`. Safe to use from several threads."""

    def __init__(
        self,
        queue: str,
        *,
        endpoint: str = ENDPOINT,
        metadata: str | None = METADATA,
        attempt_seconds: float = 4.0,
        retries: int = 2,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`metadata` None asks for no token (a fake on loopback). Raises ValueError for what names no queue."""
        if not QUEUE.fullmatch(queue):
            raise ValueError("a queue is named projects/PROJECT/locations/REGION/queues/NAME")
        self._queue = queue
        self._url = f"{endpoint.rstrip('/')}/v2/{queue}/tasks"
        self._metadata = metadata
        self._monotonic = monotonic
        self._token = ""
        self._token_ends = 0.0
        self._token_lock = threading.Lock()
        retry = urllib3.Retry(
            total=retries,
            backoff_factor=0.1,
            backoff_jitter=0.1,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=None,  # POST too: the task's name makes it safe
            raise_on_status=False,
            respect_retry_after_header=False,
            redirect=False,
        )
        self._pool = urllib3.PoolManager(maxsize=8, timeout=urllib3.Timeout(total=attempt_seconds), retries=retry)

    def enqueue(self, task: Task) -> bool:
        """See `TaskQueue`. A name that a retry of this very request has taken counts as taken: False is no error."""
        text = json.dumps(dict(task.body), ensure_ascii=False, allow_nan=False)
        request = {
            "url": task.url,
            "httpMethod": "POST",
            "headers": {**task.headers, "Content-Type": "application/json"},
            "body": base64.b64encode(text.encode()).decode(),
        }
        body = {
            "task": {
                "name": f"{self._queue}/tasks/{task.name}",
                "scheduleTime": iso(task.at),
                "dispatchDeadline": DISPATCH_DEADLINE,
                "httpRequest": request,
            }
        }
        status, error = self._call("POST", self._url, body)
        if status == 409 and error == "ALREADY_EXISTS":
            return False
        if status != 200:
            raise QueueUnavailable(f"Cloud Tasks answered {status} {error} to {task.name}")
        return True

    def withdraw(self, name: str) -> bool:
        """See `TaskQueue`."""
        status, error = self._call("DELETE", f"{self._url}/{name}", None)
        if status == 404:
            return False
        if status != 200:
            raise QueueUnavailable(f"Cloud Tasks answered {status} {error} to the end of {name}")
        return True

    def close(self) -> None:
        """Safe to call twice."""
        self._pool.clear()

    def _call(self, method: str, url: str, body: Any) -> tuple[int, str]:
        """The status, and the name that Google gives to an error ("" when there is none)."""
        try:
            headers = {"Content-Type": "application/json", **self._authorization()}
            data = None if body is None else json.dumps(body)
            response = self._pool.request(method, url, body=data, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise QueueUnavailable(f"Cloud Tasks could not be reached: {type(error).__name__}") from error
        if response.status == 200:
            return 200, ""
        try:
            return response.status, str(response.json()["error"]["status"])
        except (ValueError, KeyError, TypeError):
            return response.status, ""

    def _authorization(self) -> dict[str, str]:
        if self._metadata is None:
            return {}
        with self._token_lock:
            if self._monotonic() >= self._token_ends:
                self._fetch_token(self._metadata)
            return {"Authorization": f"Bearer {self._token}"}

    def _fetch_token(self, metadata: str) -> None:
        response = self._pool.request("GET", metadata + TOKEN_PATH, headers={"Metadata-Flavor": "Google"})
        if response.status != 200:
            raise QueueUnavailable(f"the metadata server gave no token: {response.status}")
        try:
            grant = response.json()
            self._token = grant["access_token"]
            self._token_ends = self._monotonic() + float(grant["expires_in"]) - TOKEN_MARGIN_SECONDS
        except (ValueError, KeyError, TypeError) as error:
            raise QueueUnavailable("the metadata server's token could not be read") from error
