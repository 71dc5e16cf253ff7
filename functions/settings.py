"""What a function reads from its environment, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

GOOGLE_CERTS = "https://www.googleapis.com/oauth2/v1/certs"


class Misconfigured(Exception):
    """The environment does not say what it must; the text names the variable and what to set it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Hashable, so that what is built from it can be kept by it. `store` and `bus` are "" when not said."""

    store: str = ""
    bus: str = ""
    project: str = ""
    firestore_emulator: str | None = None
    pubsub_emulator: str | None = None
    database: Path = Path(".callboard/callboard.db")
    retention_days: int = 30
    on_cloud_run: bool = False
    webhook_secret: str = field(default="", repr=False)
    firestore_database: str = "(default)"
    topic: str = "callboard-events"
    push_token: str = field(default="", repr=False)
    push_audience: str = ""
    push_account: str = ""
    push_certs_url: str = GOOGLE_CERTS
    audio_bucket: str = ""
    elevenlabs_key: str = field(default="", repr=False)
    elevenlabs_url: str = "https://api.elevenlabs.io"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Raises Misconfigured for what cannot be read."""
        days = environ.get("CALLBOARD_RETENTION_DAYS") or "30"
        if not days.isdecimal() or int(days) < 1:
            raise Misconfigured(f"CALLBOARD_RETENTION_DAYS is {days!r}; set it to a number of days, 1 or more")
        return cls(
            store=environ.get("CALLBOARD_STORE", ""),
            bus=environ.get("CALLBOARD_BUS", ""),
            project=environ.get("GOOGLE_CLOUD_PROJECT", ""),
            firestore_emulator=environ.get("FIRESTORE_EMULATOR_HOST") or None,
            pubsub_emulator=environ.get("PUBSUB_EMULATOR_HOST") or None,
            database=Path(environ.get("CALLBOARD_DATA_DIR") or ".callboard") / "callboard.db",
            retention_days=int(days),
            on_cloud_run="K_SERVICE" in environ,
            webhook_secret=environ.get("ELEVENLABS_WEBHOOK_SECRET", ""),
            firestore_database=environ.get("CALLBOARD_DATABASE") or "(default)",
            topic=environ.get("CALLBOARD_TOPIC") or "callboard-events",
            push_token=environ.get("CALLBOARD_PUSH_TOKEN", ""),
            push_audience=environ.get("CALLBOARD_PUSH_AUDIENCE", ""),
            push_account=environ.get("CALLBOARD_PUSH_ACCOUNT", ""),
            push_certs_url=environ.get("CALLBOARD_PUSH_CERTS_URL") or GOOGLE_CERTS,
            audio_bucket=environ.get("CALLBOARD_AUDIO_BUCKET", ""),
            elevenlabs_key=environ.get("ELEVENLABS_API_KEY", ""),
            elevenlabs_url=(environ.get("ELEVENLABS_BASE_URL") or "https://api.elevenlabs.io").rstrip("/"),
        )

    def require(self, variable: str, chosen: str, google: str) -> None:
        """Raises Misconfigured unless `chosen` (the value of `variable`) is "embedded" or `google`, and can work."""
        if chosen not in ("embedded", google):
            raise Misconfigured(f"{variable} is {chosen!r}; set it to embedded or {google}")
        if chosen == "embedded" and self.on_cloud_run:
            raise Misconfigured(f"{variable}=embedded keeps its file on one machine; on Cloud Run set it to {google}")
        if chosen == google and not self.project:
            raise Misconfigured(f"{variable}={google} needs GOOGLE_CLOUD_PROJECT")
