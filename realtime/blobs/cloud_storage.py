"""Files in a bucket of Cloud Storage. `STORAGE_EMULATOR_HOST` is honoured by the library itself."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

from realtime.blobs.port import BlobsUnavailable, check_name, check_stem

SECONDS, ATTEMPT_SECONDS = 20.0, 10.0
"""For all attempts together, and for one."""


class CloudStorageBlobs:
    """Satisfies `Blobs`. The client is made when it is first needed."""

    def __init__(self, bucket: str) -> None:
        self._name = bucket
        self._lock = threading.Lock()
        self._client: Any = None

    def put(self, name: str, data: bytes, *, content_type: str) -> None:
        """See `Blobs`."""
        self._do(
            name,
            lambda blob, how: blob.upload_from_string(data, content_type=content_type, checksum="crc32c", **how),
        )

    def get(self, name: str) -> bytes:
        """See `Blobs`."""
        data: bytes = self._do(name, lambda blob, how: blob.download_as_bytes(**how))
        return data

    def delete(self, name: str) -> None:
        """See `Blobs`."""
        try:
            self._do(name, lambda blob, how: blob.delete(**how))
        except LookupError:
            return

    def names(self, stem: str) -> list[str]:
        """See `Blobs`."""
        check_stem(stem)
        try:
            found: list[str] = self._call(
                lambda bucket, how: sorted(blob.name for blob in bucket.list_blobs(prefix=stem, **how))
            )
        except LookupError as error:
            raise BlobsUnavailable(f"Cloud Storage: there is no bucket {self._name}") from error
        return found

    def purge(self, before: datetime) -> int:
        """The bucket's lifecycle rule does it (`realtime.retention`)."""
        return 0

    def close(self) -> None:
        """See `Blobs`."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _do(self, name: str, work: Any) -> Any:
        check_name(name)
        return self._call(lambda bucket, how: work(bucket.blob(name), how), name)

    def _call(self, work: Any, name: str = "the bucket") -> Any:
        from google.api_core.exceptions import GoogleAPICallError, NotFound, RetryError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import InvalidResponse
        from google.cloud.storage.retry import DEFAULT_RETRY
        from requests.exceptions import RequestException

        try:
            how = {"timeout": ATTEMPT_SECONDS, "retry": DEFAULT_RETRY.with_timeout(SECONDS)}
            return work(self._bucket(), how)
        except NotFound as error:
            raise LookupError(f"{name} is not there any more") from error
        except (GoogleAPICallError, RetryError, GoogleAuthError, InvalidResponse, RequestException) as error:
            raise BlobsUnavailable(f"Cloud Storage: {type(error).__name__}") from error

    def _bucket(self) -> Any:
        from google.cloud.storage import Client

        with self._lock:
            if self._client is None:
                self._client = Client()
            return self._client.bucket(self._name)
