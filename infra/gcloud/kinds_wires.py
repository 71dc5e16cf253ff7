"""Topics, subscriptions, the queue and the schedule: what is listed, and the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.gcloud.kind import Found, Listed, last, one
from infra.gcloud.model import Command, Resource, Spec
from infra.gcloud.place import Place


def read_topics(_place: Place, listed: Listed) -> Found:
    return {last(item["name"]): {} for item in listed}


def read_subscriptions(_place: Place, listed: Listed) -> Found:
    return {last(item["name"]): subscription(item) for item in listed}


def subscription(item: Mapping[str, Any]) -> Spec:
    push, retry, dead = item.get("pushConfig", {}), item.get("retryPolicy", {}), item.get("deadLetterPolicy", {})
    token = push.get("oidcToken", {})
    return {
        "topic": last(item["topic"]),
        "endpoint": push.get("pushEndpoint", ""),
        "audience": token.get("audience", ""),
        "account": token.get("serviceAccountEmail", ""),
        "ack": int(item.get("ackDeadlineSeconds", 10)),
        "ordered": bool(item.get("enableMessageOrdering")),
        "backoff": (retry.get("minimumBackoff", ""), retry.get("maximumBackoff", "")),
        "dead": last(dead.get("deadLetterTopic", "")),
        "attempts": int(dead.get("maxDeliveryAttempts", 0)),
        "expires": bool(item.get("expirationPolicy", {"ttl": "2678400s"}).get("ttl")),
    }


def subscription_flags(place: Place, spec: Spec) -> tuple[str, ...]:
    flags = [f"--ack-deadline={spec['ack']}", "--expiration-period=never"]
    if spec["endpoint"]:
        least, most = spec["backoff"]
        flags += [
            f"--push-endpoint={spec['endpoint']}",
            f"--push-auth-service-account={spec['account']}",
            f"--push-auth-token-audience={spec['audience']}",
            f"--min-retry-delay={least}",
            f"--max-retry-delay={most}",
            f"--dead-letter-topic={spec['dead']}",
            f"--dead-letter-topic-project={place.project}",
            f"--max-delivery-attempts={spec['attempts']}",
        ]
    return tuple(flags)


def create_subscription(place: Place, want: Resource) -> tuple[Command, ...]:
    ordered = ("--enable-message-ordering",) if want.spec["ordered"] else ("--message-retention-duration=7d",)
    made = ("pubsub", "subscriptions", "create", want.name, f"--topic={want.spec['topic']}", *ordered)
    return one(*made, *subscription_flags(place, want.spec))


def change_subscription(place: Place, want: Resource, there: Spec) -> tuple[Command, ...]:
    """Topic and order are for good: with others it is made anew."""
    if (there["topic"], there["ordered"]) != (want.spec["topic"], want.spec["ordered"]):
        return (Command(("pubsub", "subscriptions", "delete", want.name)), *create_subscription(place, want))
    return one("pubsub", "subscriptions", "update", want.name, *subscription_flags(place, want.spec))


def read_queues(_place: Place, listed: Listed) -> Found:
    found = {}
    for item in listed:
        rates, retries = item.get("rateLimits", {}), item.get("retryConfig", {})
        found[last(item["name"])] = {
            "maxDispatchesPerSecond": float(rates.get("maxDispatchesPerSecond", 0)),
            "maxConcurrentDispatches": int(rates.get("maxConcurrentDispatches", 0)),
            "maxAttempts": int(retries.get("maxAttempts", 0)),
            **{name: retries.get(name, "") for name in ("minBackoff", "maxBackoff", "maxRetryDuration")},
        }
    return found


def queue(verb: str, place: Place, want: Resource) -> tuple[Command, ...]:
    spec = want.spec
    flags = (
        f"--max-dispatches-per-second={spec['maxDispatchesPerSecond']:g}",
        f"--max-concurrent-dispatches={spec['maxConcurrentDispatches']}",
        f"--max-attempts={spec['maxAttempts']}",
        f"--min-backoff={spec['minBackoff']}",
        f"--max-backoff={spec['maxBackoff']}",
        f"--max-retry-duration={spec['maxRetryDuration']}",
    )
    return one("tasks", "queues", verb, want.name, f"--location={place.region}", *flags)


def read_jobs(_place: Place, listed: Listed) -> Found:
    found = {}
    for item in listed:
        target = item.get("httpTarget", {})
        token = target.get("oidcToken", {})
        found[last(item["name"])] = {
            "schedule": item.get("schedule", ""),
            "uri": target.get("uri", "").rstrip("/"),
            "audience": token.get("audience", ""),
            "account": token.get("serviceAccountEmail", ""),
            "deadline": item.get("attemptDeadline", ""),
        }
    return found


def job(verb: str, place: Place, want: Resource) -> tuple[Command, ...]:
    spec = want.spec
    flags = (
        f"--location={place.region}",
        f"--schedule={spec['schedule']}",
        "--time-zone=Etc/UTC",
        f"--uri={spec['uri']}",
        "--http-method=POST",
        f"--oidc-service-account-email={spec['account']}",
        f"--oidc-token-audience={spec['audience']}",
        f"--attempt-deadline={spec['deadline']}",
        "--message-body={}",
    )
    return one("scheduler", "jobs", verb, "http", want.name, *flags)
