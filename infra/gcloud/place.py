"""Where a system stands: the project, the region, which of several systems in it, and the names that follow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.gcloud.profiles import PROFILES, Profile

MAIN = "main"
_ENV = re.compile(r"[a-z][a-z0-9]{0,7}")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]{1,2}")
_URL = re.compile(r"https://[a-z0-9.-]+(:[0-9]+)?")


class BadPlace(ValueError):
    """What was said on the command line cannot be a place; the text says what to say instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`number` is the project's number ("" until it has been asked for): the addresses follow from it. `public_url`
    is a domain of the user's own for the gateway, "" for Cloud Run's."""

    project: str
    region: str
    profile: Profile
    env: str = MAIN
    number: str = ""
    public_url: str = ""
    alert_email: str = ""
    budget: int = 0
    """Dollars a month; 0 for no budget."""
    retention_days: int = 30
    """CALLBOARD_RETENTION_DAYS, once it is known what the services are told."""
    billing: str = ""
    """The billing account, once it has been asked for; the budget is in it."""
    channel: str = ""
    """The name that Google gave the channel of `alert_email`, once it is there."""

    def __post_init__(self) -> None:
        if not _PROJECT.fullmatch(self.project):
            raise BadPlace(f"--project {self.project!r} is no project id (such as my-shop-123456).")
        if not _REGION.fullmatch(self.region):
            raise BadPlace(f"--region {self.region!r} is no region (such as us-central1).")
        if not _ENV.fullmatch(self.env):
            raise BadPlace(f"--env {self.env!r}: up to 8 lower-case letters and digits, a letter first.")
        if self.public_url and not _URL.fullmatch(self.public_url):
            raise BadPlace(f"--public-url {self.public_url!r} is no origin such as https://calls.example.com.")

    @property
    def prefix(self) -> str:
        """What every name begins with: `callboard`, or `callboard-staging` for a second system."""
        return "callboard" if self.env == MAIN else f"callboard-{self.env}"

    def named(self, what: str) -> str:
        """The name of this system's `what`."""
        return f"{self.prefix}-{what}"

    @property
    def database(self) -> str:
        """The Firestore database. The first system takes the default one, which is the one with a free quota."""
        return "(default)" if self.env == MAIN else self.prefix

    def account(self, component: str) -> str:
        """The e-mail of a component's service account."""
        return f"{self.named(component)}@{self.project}.iam.gserviceaccount.com"

    def url(self, component: str) -> str:
        """A service's address: it follows from the project's number, so it is known before the service is there."""
        return f"https://{self.named(component)}-{self.number or 'NUMBER'}.{self.region}.run.app"

    @property
    def phone_service(self) -> str:
        """The component that Twilio calls."""
        return "media" if self.profile.split else "gateway"

    @property
    def desk_service(self) -> str:
        """The component that dashboards and scripts talk to."""
        return "dashboard" if self.profile.split else "gateway"

    @property
    def base_url(self) -> str:
        """PUBLIC_BASE_URL: what Twilio calls and signs."""
        return self.public_url or self.url(self.phone_service)

    @property
    def webhook_url(self) -> str:
        """What ElevenLabs calls after a conversation."""
        return f"{self.url('webhook')}/webhooks/elevenlabs/post-call"

    @property
    def repository(self) -> str:
        """Where the images are."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.prefix}"

    def bucket(self, what: str) -> str:
        """The bucket for `what`. Buckets share one name space with everybody's: the project is in it."""
        return f"{self.project}-{self.named(what)}"

    @property
    def queue(self) -> str:
        """The full name of the Cloud Tasks queue."""
        return f"projects/{self.project}/locations/{self.region}/queues/{self.named('outbound')}"


def place(
    project: str,
    region: str,
    profile: str,
    env: str = MAIN,
    *,
    public_url: str = "",
    alert_email: str = "",
    budget: int = 0,
) -> Place:
    """From the words of a command line. Raises BadPlace."""
    if profile not in PROFILES:
        raise BadPlace(f"--profile {profile!r} is none of {', '.join(PROFILES)}.")
    return Place(
        project=project,
        region=region,
        profile=PROFILES[profile],
        env=env,
        public_url=public_url.rstrip("/"),
        alert_email=alert_email,
        budget=budget,
    )
