"""What `schedule_reminders` reads from its environment beyond what every function does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from functions.service_token import NoKey, signing_key
from functions.settings import Misconfigured, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderSettings:
    """`queue` is the full name of a Cloud Tasks queue, "" for the embedded one; `tasks_url` another place than
    Google's for it (no token is asked for then)."""

    base: Settings
    gateway: str
    timezone: str
    key: tuple[str, str] = field(repr=False)
    queue: str = ""
    tasks_url: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Raises Misconfigured, which names the variable and the remedy."""
        from realtime.queue.cloud_tasks import QUEUE
        from realtime.reminders.windows import known_zone

        base = Settings.of(environ)
        queue = environ.get("CALLBOARD_TASKS_QUEUE", "")
        if not queue and (base.bus != "embedded" or base.on_cloud_run):
            raise Misconfigured(
                "CALLBOARD_TASKS_QUEUE is not set; name it projects/PROJECT/locations/REGION/queues/NAME"
            )
        if queue and not QUEUE.fullmatch(queue):
            raise Misconfigured("CALLBOARD_TASKS_QUEUE must read projects/PROJECT/locations/REGION/queues/NAME")
        timezone = environ.get("CALLBOARD_TIMEZONE") or "America/New_York"
        if not known_zone(timezone):
            raise Misconfigured(f"CALLBOARD_TIMEZONE={timezone} is no time zone; use a name such as America/New_York")
        gateway = environ.get("PUBLIC_BASE_URL", "").rstrip("/")
        if urlsplit(gateway).scheme not in ("http", "https"):
            raise Misconfigured("PUBLIC_BASE_URL must be the gateway's address, https://...")
        try:
            key = signing_key(environ.get("JWT_SECRET", ""))
        except NoKey as error:
            raise Misconfigured("JWT_SECRET is not set; it must be the gateway's own, `kid:secret`") from error
        tasks_url = environ.get("CLOUD_TASKS_BASE_URL", "")
        return cls(base=base, gateway=gateway, timezone=timezone, key=key, queue=queue, tasks_url=tasks_url)
