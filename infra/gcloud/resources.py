"""Everything that Callboard consists of on Google Cloud. This is the one file to read.

A call comes in at the gateway, which hears, thinks and speaks, and writes the call's journal to Firestore. What is told
about calls afterwards (Twilio's status callbacks, ElevenLabs' webhooks) goes through one topic to one function that
applies it. Schedules plan reminders and look for webhooks that never came. Every component has an account of its own,
which may use what stands beside it here and nothing else; docs/permissions.md says what each permission is for.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.gcloud import alerts
from infra.gcloud.model import Component, Resource, Secret
from infra.gcloud.place import Place
from realtime.retention import TTL_COLLECTIONS

APIS = {
    "artifactregistry.googleapis.com": "keeps the images",
    "cloudbuild.googleapis.com": "builds them",
    "cloudscheduler.googleapis.com": "says when reminders are planned and lost webhooks looked for",
    "cloudtasks.googleapis.com": "makes the reminder calls at their times",
    "firestore.googleapis.com": "the memory",
    "iam.googleapis.com": "an account for each component",
    "logging.googleapis.com": "logs, and the counts that alerts watch",
    "monitoring.googleapis.com": "alerts",
    "pubsub.googleapis.com": "the nervous system",
    "run.googleapis.com": "the services",
    "secretmanager.googleapis.com": "keys and passwords",
    "storage.googleapis.com": "sources on their way to a build",
}
BUDGET_API = ("billingbudgets.googleapis.com", "a budget, when one is asked for")

SECRETS = (
    Secret(name="twilio-auth-token", variable="TWILIO_AUTH_TOKEN", origin="vendor", why="checks Twilio's signatures"),
    Secret(name="deepgram-api-key", variable="DEEPGRAM_API_KEY", origin="vendor", why="hears (and may speak)"),
    Secret(name="openai-api-key", variable="OPENAI_API_KEY", origin="vendor", why="thinks"),
    Secret(
        name="elevenlabs-api-key",
        variable="ELEVENLABS_API_KEY",
        origin="vendor",
        why="speaks, and places hosted calls",
        required=False,
    ),
    Secret(name="jwt-secret", variable="JWT_SECRET", origin="made", why="signs logins and stream tokens"),
    Secret(name="admin-password", variable="ADMIN_PASSWORD", origin="made", why="the dashboard's first user"),
    Secret(
        name="elevenlabs-personalize-secret",
        variable="ELEVENLABS_PERSONALIZE_SECRET",
        origin="made",
        why="what ElevenLabs sends with its question who is calling",
    ),
    Secret(
        name="elevenlabs-webhook-secret",
        variable="ELEVENLABS_WEBHOOK_SECRET",
        origin="wired",
        why="checks the signature of ElevenLabs' webhooks",
        required=False,
    ),
)

_TALKS = (
    *("TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER", "TWILIO_API_BASE_URL", "HANDOFF_NUMBER", "CALLBOARD_SUPERVISORS"),
    *("CALLBOARD_ALERT_PHONE", "CALLBOARD_CALL_COUNTRIES", "CALLBOARD_MAX_OUTBOUND_PER_DAY", "CALLBOARD_TIMEZONE"),
    *("CALLBOARD_FLOWS_DIR", "CALLBOARD_MAX_CALL_MINUTES", "CALLBOARD_MAX_LAG_MS", "CALLBOARD_RETENTION_DAYS"),
    *("CALLBOARD_STT", "DEEPGRAM_BASE_URL", "DEEPGRAM_LISTEN", "DEEPGRAM_LISTEN_MODEL", "DEEPGRAM_LANGUAGE"),
    *("CALLBOARD_LLM", "OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_MODEL_STANDIN", "OPENAI_REASONING_EFFORT"),
    *("CALLBOARD_TTS", "DEEPGRAM_VOICE", "ELEVENLABS_BASE_URL", "ELEVENLABS_VOICE_ID", "ELEVENLABS_MODEL"),
    *("ELEVENLABS_AGENT_ID", "ELEVENLABS_PHONE_NUMBER_ID", "NHTSA_BASE_URL", "ENABLE_WEBRTC_BROADCAST"),
    *("ADMIN_USERNAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "LOG_LEVEL", "CALLBOARD_RECORD"),
)
"""What may be said to the gateway in the environment of `up`; every other setting has its default or is worked out
(a test holds this to the gateway's settings)."""
_KEEPS = ("CALLBOARD_RETENTION_DAYS", "LOG_LEVEL")
"""To functions that write what expires."""
_VOICE = ("twilio-auth-token", "jwt-secret", "deepgram-api-key", "openai-api-key", "elevenlabs-api-key")
_DESK = ("admin-password", "elevenlabs-webhook-secret")
_MEMORY = (("database", "roles/datastore.user"), ("topic:events", "roles/pubsub.publisher"))
_FILES = ("bucket:files", "roles/storage.objectUser")
_ERASES = (_FILES, ("subscription:dead", "roles/pubsub.subscriber"))
"""Media instances record (CALLBOARD_RECORD), dashboards play the sound of calls; and whoever asks to be forgotten is
forgotten in files and dead letters too."""


def components(place: Place) -> tuple[Component, ...]:
    """The services, the gateway first: it is released first, and everything else can do without the others."""
    return (*_gateway(split=place.profile.split), *FUNCTIONS)


def _gateway(*, split: bool) -> tuple[Component, ...]:
    if not split:
        return (
            Component(
                name="gateway",
                why="answers the phone and serves the dashboard",
                image="gateway",
                role="all",
                public=True,
                ingress="all",
                secrets=(*_VOICE, *_DESK),
                uses=(*_MEMORY, *_ERASES),
                settings=_TALKS,
            ),
        )
    return (
        Component(
            name="media",
            why="answers the phone: webhooks and media streams",
            image="gateway",
            role="media",
            public=True,
            ingress="all",
            secrets=_VOICE,
            uses=(*_MEMORY, _FILES),
            settings=_TALKS,
        ),
        Component(
            name="dashboard",
            why="page, sockets and REST; places calls",
            image="gateway",
            role="dashboard",
            public=True,
            ingress="all",
            secrets=(*_VOICE, *_DESK),
            uses=(*_MEMORY, *_ERASES),
            settings=_TALKS,
        ),
    )


FUNCTIONS = (
    Component(
        name="webhook",
        why="takes ElevenLabs' post-call webhooks, checks their signature, publishes them",
        image="functions",
        entry="elevenlabs_webhook",
        public=True,
        ingress="all",
        secrets=("elevenlabs-webhook-secret",),
        uses=(("topic:events", "roles/pubsub.publisher"), _FILES),
        settings=_KEEPS,
    ),
    Component(
        name="personalize",
        why="tells a hosted agent who is calling, within a second; asks for its secret header",
        image="functions",
        entry="elevenlabs_personalize",
        public=True,
        ingress="all",
        secrets=("elevenlabs-personalize-secret",),
        uses=(("database", "roles/datastore.viewer"),),
        settings=("LOG_LEVEL",),
    ),
    Component(
        name="fallback",
        why="answers Twilio when the gateway does not, and dials HANDOFF_NUMBER; checks Twilio's signature",
        image="functions",
        entry="voice_fallback",
        public=True,
        ingress="all",
        secrets=("twilio-auth-token",),
        settings=("HANDOFF_NUMBER", "LOG_LEVEL"),
    ),
    Component(
        name="apply",
        why="applies news of calls to their journals",
        image="functions",
        entry="apply_call_event",
        callers=("push",),
        uses=(("database", "roles/datastore.user"), _FILES),
        settings=_KEEPS,
    ),
    Component(
        name="reconcile",
        why="asks ElevenLabs for calls whose webhook never came, and publishes what it says",
        image="functions",
        entry="reconcile_conversations",
        callers=("schedule",),
        secrets=("elevenlabs-api-key",),
        uses=(
            ("database", "roles/datastore.viewer"),
            ("topic:events", "roles/pubsub.publisher"),
            _FILES,
        ),
        settings=(*_KEEPS, "ELEVENLABS_BASE_URL"),
    ),
    Component(
        name="reminders",
        why="plans reminder calls and queues them",
        image="functions",
        entry="schedule_reminders",
        callers=("schedule",),
        secrets=("jwt-secret",),
        uses=(
            ("database", "roles/datastore.user"),
            ("queue:outbound", "roles/cloudtasks.enqueuer"),
            ("queue:outbound", "roles/cloudtasks.taskDeleter"),
        ),
        settings=(*_KEEPS, "CALLBOARD_TIMEZONE"),
    ),
)

SMOKED = ("twilio-auth-token", "admin-password")
"""What the smoke test of a release signs and logs in with."""
HELPERS = {
    "push": "Pub/Sub shows its token when it pushes to `apply`",
    "schedule": "Cloud Scheduler shows its token when it calls a function",
    "build": "builds, releases, and tries what it released",
}

INDEXES = {
    "calls": (("org", "ascending"), ("started_at", "descending")),
    "campaigns": (("org", "ascending"), ("created_at", "descending")),
}
"""Only these lists sort by one field and filter by another; every other query is served by single fields."""

ACK_S = 60
"""The applier answers within 50 s (functions/apply_call_event.py)."""
ATTEMPTS = 20
"""Deliveries before news becomes a dead letter: with pauses up to ten minutes, about three hours."""


def resources(place: Place) -> tuple[Resource, ...]:
    """Everything but the services themselves (services.py), in the order in which it is made."""
    return (
        *_apis(place),
        *_accounts(place),
        Resource(
            "repository", place.prefix, "the images; the newest ten stay", {"format": "DOCKER", "cleanup": CLEANUP}
        ),
        Resource("bucket", place.bucket("source"), "sources on their way to a build, for a week", {"days": 7}),
        Resource(
            "bucket",
            place.bucket("files"),
            "sound and large news of calls, for as long as calls are kept",
            {"days": place.retention_days},
        ),
        *[Resource("secret", place.named(secret.name), secret.why) for secret in SECRETS],
        *_memory(place),
        *_bus(place),
        Resource("queue", place.named("outbound"), "reminder calls, one a second at most", QUEUE),
        *_schedule(place),
        *_grants(place),
        *alerts.resources(place),
        *_budget(place),
    )


CLEANUP = ("keep:10", "delete:30d")
QUEUE = {
    "maxDispatchesPerSecond": 1.0,
    "maxConcurrentDispatches": 5,
    "maxAttempts": 5,
    "minBackoff": "5s",
    "maxBackoff": "60s",
    "maxRetryDuration": "600s",
}


def _apis(place: Place) -> list[Resource]:
    wanted = {**APIS, **(dict([BUDGET_API]) if place.budget else {})}
    return [Resource("api", name, why) for name, why in wanted.items()]


def _accounts(place: Place) -> list[Resource]:
    named = {component.name: component.why for component in components(place)} | HELPERS
    return [Resource("account", place.named(name), why) for name, why in named.items()]


def _memory(place: Place) -> list[Resource]:
    keeps = place.profile.name != "dev"
    found = [
        Resource(
            "database",
            place.database,
            "calls, journals, customers, appointments",
            {"type": "FIRESTORE_NATIVE", "location": place.region, "protected": True, "recovery": keeps},
        )
    ]
    for collection, fields in INDEXES.items():
        name = f"{collection}:{','.join(f'{field} {order}' for field, order in fields)}"
        found.append(Resource("index", name, "the list of calls", {"collection": collection, "fields": fields}))
    found += [Resource("ttl", name, "what has expired is deleted") for name in TTL_COLLECTIONS]
    if keeps:
        found.append(Resource("backup", "daily", "a copy a day, kept two weeks", {"retention": "1209600s"}))
    return found


def _bus(place: Place) -> list[Resource]:
    events, dead = place.named("events"), place.named("dead")
    push = {
        "topic": events,
        "endpoint": place.url("apply"),
        "audience": place.url("apply"),
        "account": place.account("push"),
        "ack": ACK_S,
        "ordered": True,
        "backoff": ("10s", "600s"),
        "dead": dead,
        "attempts": ATTEMPTS,
        "expires": False,
    }
    kept = {"topic": dead, "endpoint": "", "ack": ACK_S, "ordered": False, "expires": False}
    return [
        Resource("topic", events, "news of calls, in order for each call"),
        Resource("topic", dead, "news that could not be applied"),
        Resource("subscription", place.named("apply"), "pushes news to `apply`, signed by `push`", push),
        Resource("subscription", place.named("dead"), "keeps dead letters until somebody looks", kept),
    ]


SCHEDULE = {
    "reminders": ("*/5 * * * *", "reminders are planned every five minutes"),
    "reconcile": ("*/10 * * * *", "lost webhooks are looked for every ten minutes"),
}


def _schedule(place: Place) -> list[Resource]:
    return [
        Resource(
            "job",
            place.named(name),
            why,
            {
                "schedule": schedule,
                "uri": place.url(name),
                "audience": place.url(name),
                "account": place.account("schedule"),
                "deadline": "180s",
            },
        )
        for name, (schedule, why) in SCHEDULE.items()
    ]


def _grants(place: Place) -> list[Resource]:
    found: list[Resource] = []
    for component in components(place):
        account = place.account(component.name)
        found += [grant(f"secret:{place.named(name)}", "roles/secretmanager.secretAccessor", account)
                  for name in component.secrets]  # fmt: skip
        found += [grant(_target(place, what), role, account) for what, role in component.uses]
        service = f"service:{place.named(component.name)}"
        if component.public:
            found.append(grant(service, "roles/run.invoker", "allUsers"))
        found += [grant(service, "roles/run.invoker", place.account(name)) for name in component.callers]
        found.append(grant(service, "roles/run.developer", place.account("build")))
        found.append(grant(f"account:{place.named(component.name)}", "roles/iam.serviceAccountUser",
                           place.account("build")))  # fmt: skip
    agent = f"service-{place.number or 'NUMBER'}@gcp-sa-pubsub.iam.gserviceaccount.com"
    return [
        *found,
        grant(f"topic:{place.named('dead')}", "roles/pubsub.publisher", agent),
        grant(f"subscription:{place.named('apply')}", "roles/pubsub.subscriber", agent),
        grant(f"repository:{place.prefix}", "roles/artifactregistry.writer", place.account("build")),
        grant(f"bucket:{place.bucket('source')}", "roles/storage.objectViewer", place.account("build")),
        grant("project", "roles/logging.logWriter", place.account("build")),
        grant("project", "roles/logging.viewer", place.account("build")),
        *[
            grant(f"secret:{place.named(name)}", "roles/secretmanager.secretAccessor", place.account("build"))
            for name in SMOKED
        ],
    ]


def grant(on: str, role: str, who: str) -> Resource:
    """A role for one member on one resource (`kind:name`; the database's stands on the project with a condition)."""
    member = who if who == "allUsers" else f"serviceAccount:{who}"
    return Resource("grant", f"{on} {role} {member}", "", {"on": on, "role": role, "member": member})


def _target(place: Place, what: str) -> str:
    kind, _, name = what.partition(":")
    if kind == "database":
        return f"database:{place.database}"
    return f"{kind}:{place.bucket(name) if kind == 'bucket' else place.named(name)}"


def _budget(place: Place) -> Sequence[Resource]:
    if not place.budget:
        return ()
    spec = {"amount": place.budget}
    return (Resource("budget", place.named("budget"), "mail to the billing account's owners at 50, 90, 100 %", spec),)
