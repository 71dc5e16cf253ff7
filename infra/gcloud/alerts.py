"""What is counted in the logs, and what wakes somebody. docs/operating.md says what to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.gcloud.canonical import canonical
from infra.gcloud.model import Resource
from infra.gcloud.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A filter on log lines; more than `above` of them within five minutes is an alert."""

    name: str
    says: str
    where: str
    """`{phone}` and the like are names of services."""
    above: int = 0
    metric: str = ""
    """A metric of Google's own instead of a count of ours."""


ALERTS = (
    Alert(
        name="upgrade-404",
        says="A WebSocket upgrade was answered 404: the image serves no sockets, or a path is wrong",
        where=(
            'resource.type="cloud_run_revision" AND resource.labels.service_name=({gateways}) AND '
            'httpRequest.status=404 AND httpRequest.requestUrl=~"/(ws/|api/v1/voice/media-stream)"'
        ),
    ),
    Alert(
        name="webhook-refused",
        says="Webhooks are answered 4xx: a secret or PUBLIC_BASE_URL is wrong, or somebody is trying doors",
        where=(
            'resource.type="cloud_run_revision" AND '
            '((resource.labels.service_name=({gateways}) AND httpRequest.requestUrl=~"/api/v1/voice/") OR '
            'resource.labels.service_name="{webhook}") AND httpRequest.status>=400 AND httpRequest.status<500'
        ),
        above=5,
    ),
    Alert(
        name="webhook-failed",
        says="Webhooks are answered 5xx: callers are not answered, or news is not taken",
        where=(
            'resource.type="cloud_run_revision" AND '
            '((resource.labels.service_name=({gateways}) AND httpRequest.requestUrl=~"/api/v1/voice/") OR '
            'resource.labels.service_name="{webhook}") AND httpRequest.status>=500'
        ),
    ),
    Alert(
        name="listener-degraded",
        says="A listener lost Firestore and does not get it back: dashboards stand still",
        where=(
            'resource.type="cloud_run_revision" AND resource.labels.service_name=({gateways}) AND '
            'jsonPayload.message=("feed_failed" OR "feed_lost" OR "hub_store_unavailable")'
        ),
        above=10,
    ),
    Alert(
        name="silence",
        says="A caller was left in silence longer than promised",
        where=(
            'resource.type="cloud_run_revision" AND resource.labels.service_name=({gateways}) AND '
            'jsonPayload.message="silence_broken"'
        ),
    ),
    Alert(
        name="slow-turns",
        says="Callers wait longer for an answer, or talk over us longer, than a good conversation allows",
        where=(
            'resource.type="cloud_run_revision" AND resource.labels.service_name=({gateways}) AND '
            'jsonPayload.message=("turn_slow" OR "barge_in_slow")'
        ),
        above=10,
    ),
    Alert(
        name="dead-letters",
        says="News of calls could not be applied and became dead letters",
        where='resource.type="pubsub_subscription" AND resource.labels.subscription_id="{dead}"',
        metric="pubsub.googleapis.com/subscription/num_undelivered_messages",
    ),
)
WINDOW_S = 300


def resources(place: Place) -> list[Resource]:
    """A count for each alert, the channel that is told, and the policies."""
    found = []
    for alert in ALERTS:
        if not alert.metric:
            spec = {"filter": where(alert, place), "description": alert.says}
            found.append(Resource("metric", place.named(alert.name), alert.says, spec))
    if place.alert_email:
        spec = {"type": "email", "address": place.alert_email}
        found.append(Resource("channel", place.named("mail"), "who is told", spec))
    for alert in ALERTS:
        body = policy(alert, place)
        found.append(
            Resource("policy", place.named(alert.name), alert.says, {"body": canonical(body), "channel": place.channel})
        )
    return found


def where(alert: Alert, place: Place) -> str:
    """The filter with this place's names in it."""
    gateways = ("media", "dashboard") if place.profile.split else ("gateway",)
    return alert.where.format(
        gateways=" OR ".join(f'"{place.named(name)}"' for name in gateways),
        webhook=place.named("webhook"),
        dead=place.named("dead"),
    )


def policy(alert: Alert, place: Place) -> dict[str, Any]:
    """An alert policy, as Cloud Monitoring takes it."""
    metric = alert.metric or f"logging.googleapis.com/user/{place.named(alert.name)}"
    resource = where(alert, place) if alert.metric else 'resource.type="cloud_run_revision"'
    aligner = "ALIGN_MAX" if alert.metric else "ALIGN_DELTA"
    return {
        "displayName": place.named(alert.name),
        "combiner": "OR",
        "documentation": {"content": f"{alert.says}. What to do: docs/operating.md", "mimeType": "text/markdown"},
        "conditions": [
            {
                "displayName": alert.says,
                "conditionThreshold": {
                    "filter": f'metric.type="{metric}" AND {resource}',
                    "comparison": "COMPARISON_GT",
                    "thresholdValue": alert.above,
                    "duration": "0s",
                    "aggregations": [
                        {
                            "alignmentPeriod": f"{WINDOW_S}s",
                            "perSeriesAligner": aligner,
                            "crossSeriesReducer": "REDUCE_SUM",
                        }
                    ],
                },
            }
        ],
        "alertStrategy": {"autoClose": "1800s"},
    }
