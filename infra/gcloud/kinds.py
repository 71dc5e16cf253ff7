"""Every kind of resource but the services (services.py) and the policies of access (grants.py)."""

from __future__ import annotations

from collections.abc import Mapping

from infra.gcloud import kinds_ground as ground
from infra.gcloud import kinds_watch as watch
from infra.gcloud import kinds_wires as wires
from infra.gcloud.kind import JSON, Kind, email, last, one

KINDS: Mapping[str, Kind] = {
    "api": Kind(
        needs="",
        look=lambda _place: ("services", "list", "--enabled", JSON),
        read=ground.read_apis,
        create=lambda _place, want: one("services", "enable", want.name),
    ),
    "account": Kind(
        needs="iam.googleapis.com",
        look=lambda _place: ("iam", "service-accounts", "list", JSON),
        read=ground.read_accounts,
        create=ground.create_account,
        remove=lambda place, name, _: one("iam", "service-accounts", "delete", email(place, name)),
    ),
    "repository": Kind(
        needs="artifactregistry.googleapis.com",
        look=lambda place: ("artifacts", "repositories", "list", f"--location={place.region}", JSON),
        read=ground.read_repositories,
        create=ground.create_repository,
        change=lambda place, want, _: (ground.cleanup(place, want),),
        remove=lambda place, name, _: one("artifacts", "repositories", "delete", name, f"--location={place.region}"),
    ),
    "secret": Kind(
        needs="secretmanager.googleapis.com",
        look=lambda _place: ("secrets", "list", JSON),
        read=lambda _place, listed: {last(item["name"]): {} for item in listed},
        create=lambda _place, want: one("secrets", "create", want.name, "--replication-policy=automatic"),
        remove=lambda _place, name, _: one("secrets", "delete", name),
    ),
    "bucket": Kind(
        needs="storage.googleapis.com",
        look=lambda _place: ("storage", "buckets", "list", JSON),
        read=ground.read_buckets,
        create=ground.create_bucket,
        change=ground.change_bucket,
        remove=lambda _place, name, _: one("storage", "rm", "--recursive", f"gs://{name}"),
    ),
    "database": Kind(
        needs="firestore.googleapis.com",
        look=lambda _place: ("firestore", "databases", "list", JSON),
        read=ground.read_databases,
        create=ground.create_database,
        change=ground.change_database,
        remove=ground.remove_database,
        data=True,
    ),
    "index": Kind(
        needs="firestore.googleapis.com",
        look=lambda place: ("firestore", "indexes", "composite", "list", f"--database={place.database}", JSON),
        read=ground.read_indexes,
        create=ground.create_index,
        data=True,
    ),
    "ttl": Kind(
        needs="firestore.googleapis.com",
        look=lambda place: ("firestore", "fields", "ttls", "list", f"--database={place.database}", JSON),
        read=ground.read_ttls,
        create=ground.create_ttl,
        data=True,
    ),
    "backup": Kind(
        needs="firestore.googleapis.com",
        look=lambda place: ("firestore", "backups", "schedules", "list", f"--database={place.database}", JSON),
        read=ground.read_backups,
        create=ground.create_backup,
        data=True,
    ),
    "topic": Kind(
        needs="pubsub.googleapis.com",
        look=lambda _place: ("pubsub", "topics", "list", JSON),
        read=wires.read_topics,
        create=lambda _place, want: one("pubsub", "topics", "create", want.name),
        remove=lambda _place, name, _: one("pubsub", "topics", "delete", name),
    ),
    "subscription": Kind(
        needs="pubsub.googleapis.com",
        look=lambda _place: ("pubsub", "subscriptions", "list", JSON),
        read=wires.read_subscriptions,
        create=wires.create_subscription,
        change=wires.change_subscription,
        remove=lambda _place, name, _: one("pubsub", "subscriptions", "delete", name),
    ),
    "queue": Kind(
        needs="cloudtasks.googleapis.com",
        look=lambda place: ("tasks", "queues", "list", f"--location={place.region}", JSON),
        read=wires.read_queues,
        create=lambda place, want: wires.queue("create", place, want),
        change=lambda place, want, _: wires.queue("update", place, want),
        remove=lambda place, name, _: one("tasks", "queues", "delete", name, f"--location={place.region}"),
    ),
    "job": Kind(
        needs="cloudscheduler.googleapis.com",
        look=lambda place: ("scheduler", "jobs", "list", f"--location={place.region}", JSON),
        read=wires.read_jobs,
        create=lambda place, want: wires.job("create", place, want),
        change=lambda place, want, _: wires.job("update", place, want),
        remove=lambda place, name, _: one("scheduler", "jobs", "delete", name, f"--location={place.region}"),
    ),
    "metric": Kind(
        needs="logging.googleapis.com",
        look=lambda _place: ("logging", "metrics", "list", JSON),
        read=watch.read_metrics,
        create=lambda _place, want: watch.metric("create", want),
        change=lambda _place, want, _: watch.metric("update", want),
        remove=lambda _place, name, _: one("logging", "metrics", "delete", name),
    ),
    "channel": Kind(
        needs="monitoring.googleapis.com",
        look=lambda _place: ("alpha", "monitoring", "channels", "list", JSON),
        read=watch.read_channels,
        create=watch.create_channel,
        change=watch.change_channel,
        remove=lambda _place, _name, there: one("alpha", "monitoring", "channels", "delete", str(there["id"])),
    ),
    "policy": Kind(
        needs="monitoring.googleapis.com",
        look=lambda _place: ("alpha", "monitoring", "policies", "list", JSON),
        read=watch.read_policies,
        create=lambda place, want: watch.policy(place, want, None),
        change=watch.policy,
        remove=lambda _place, _name, there: one("alpha", "monitoring", "policies", "delete", str(there["id"])),
    ),
    "budget": Kind(
        needs="billingbudgets.googleapis.com",
        look=lambda place: ("billing", "budgets", "list", f"--billing-account={place.billing}", JSON),
        read=watch.read_budgets,
        create=watch.create_budget,
        change=watch.change_budget,
        remove=lambda _place, _name, there: one("billing", "budgets", "delete", str(there["id"])),
    ),
}
"""In the order in which a system is made; it is unmade the other way round."""
