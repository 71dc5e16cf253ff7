"""Publishing from a function: blocking and light, because a webhook's cold start is somebody's waiting time.

Pub/Sub over REST with urllib3 starts in a third of the time of the gRPC client. The token comes from the metadata
server of Cloud Run; the emulator (`PUBSUB_EMULATOR_HOST`) wants none.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable

import urllib3

from realtime.bus.envelope import encode
from realtime.bus.port import TOPIC, BusMessage, PublishFailed

METADATA = "http://metadata.google.internal"
TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path, not a secret
TOKEN_MARGIN_SECONDS = 60.0


class RestPublisher:
    """`projects.topics.publish` over REST. Safe to use from several threads."""

    def __init__(
        self,
        project: str,
        topic: str = TOPIC,
        *,
        emulator_host: str | None = None,
        endpoint: str = "https://pubsub.googleapis.com",
        metadata: str = METADATA,
        attempt_seconds: float = 4.0,
        retries: int = 2,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`retries` are made on connection errors, 429 and 5xx, with a short jittered pause."""
        origin = f"http://{emulator_host}" if emulator_host else endpoint
        self._url = f"{origin}/v1/projects/{project}/topics/{topic}:publish"
        self._metadata = None if emulator_host else metadata
        self._monotonic = monotonic
        self._token = ""
        self._token_ends = 0.0
        self._token_lock = threading.Lock()
        retry = urllib3.Retry(
            total=retries,
            backoff_factor=0.1,
            backoff_jitter=0.1,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=None,  # POST too: publishing twice is allowed (at least once), losing is not
            respect_retry_after_header=False,
            redirect=False,
        )
        self._pool = urllib3.PoolManager(maxsize=16, timeout=urllib3.Timeout(total=attempt_seconds), retries=retry)

    def publish(self, message: BusMessage) -> None:
        """Returns when Pub/Sub has confirmed the message. Raises PublishFailed (TooLarge: for good)."""
        data, attributes = encode(message)
        one = {
            "data": base64.b64encode(data).decode(),
            "attributes": attributes,
            "orderingKey": message.ordering_key,
        }
        try:
            headers = {"Content-Type": "application/json", **self._authorization()}
            response = self._pool.request("POST", self._url, body=json.dumps({"messages": [one]}), headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise PublishFailed(f"Pub/Sub could not be reached for {message.id}: {type(error).__name__}") from error
        if response.status != 200:
            raise PublishFailed(f"Pub/Sub answered {response.status} to {message.id}")

    def close(self) -> None:
        """Safe to call twice."""
        self._pool.clear()

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
            raise PublishFailed(f"the metadata server gave no token: {response.status}")
        try:
            grant = response.json()
            self._token = grant["access_token"]
            self._token_ends = self._monotonic() + float(grant["expires_in"]) - TOKEN_MARGIN_SECONDS
        except (ValueError, KeyError, TypeError) as error:
            raise PublishFailed("the metadata server's token could not be read") from error
