"""The services of Cloud Run, written down as the YAML that `gcloud run services replace` takes. Pure.

A revision is named after what is in it, so the same content is the same revision: a second run makes none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from infra.gcloud.model import Component
from infra.gcloud.place import Place
from infra.gcloud.profiles import DASHBOARD_CONCURRENCY, FUNCTION_CONCURRENCY
from infra.gcloud.resources import SECRETS

PORT = 8080
TAG = "candidate"
PREVIOUS = "callboard.dev/previous"
"""On a service: the revision that served before this one; `rollback` goes there."""
TRIED = "callboard.dev/tried"
"""On the service that Twilio calls: the first revision, once its smoke test has passed."""
_BY_NAME = {secret.name: secret for secret in SECRETS}
Traffic = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a service is made of besides its component. `images` by `Component.image`, each with its digest; `versions`
    the pinned version of each secret that has one, by its short name; `settings` by variable."""

    images: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


def revision(service: Mapping[str, Any]) -> str:
    """The name of the service's revision, from what is in it."""
    template = service["spec"]["template"]
    body = {**template, "metadata": {**template["metadata"], "name": ""}}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:10]
    return f"{service['metadata']['name']}-{digest}"


def document(place: Place, component: Component, inputs: Inputs) -> dict[str, Any]:
    """The service without its traffic."""
    service: dict[str, Any] = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": place.named(component.name),
            "labels": {"app": "callboard", "env": place.env, "component": component.name},
            "annotations": {
                "run.googleapis.com/ingress": component.ingress,
                "run.googleapis.com/minScale": str(_minimum(place, component)),
            },
        },
        "spec": {
            "template": {
                "metadata": {"annotations": _template_annotations(place, component)},
                "spec": {
                    "serviceAccountName": place.account(component.name),
                    "containerConcurrency": _concurrency(place, component),
                    "timeoutSeconds": 3600 if component.image == "gateway" else _timeout(component),
                    "containers": [_container(place, component, inputs)],
                },
            }
        },
    }
    service["spec"]["template"]["metadata"]["name"] = revision(service)
    return service


def text(service: Mapping[str, Any], traffic: Traffic) -> str:
    """The YAML."""
    spec = {**service["spec"], "traffic": [dict(share) for share in traffic]}
    return yaml.safe_dump({**service, "spec": spec}, sort_keys=False, width=110)


def _template_annotations(place: Place, component: Component) -> dict[str, str]:
    profile, gateway = place.profile, component.image == "gateway"
    found = {
        "autoscaling.knative.dev/maxScale": str(profile.maximum if gateway else profile.function_maximum),
        "run.googleapis.com/startup-cpu-boost": "true",
        "run.googleapis.com/cpu-throttling": "false" if gateway and profile.always_cpu else "true",
        "run.googleapis.com/execution-environment": "gen2",
    }
    if component.role in ("all", "dashboard"):
        found["run.googleapis.com/sessionAffinity"] = "true"  # browsers keep its cookie, Twilio keeps none
    return found


def _minimum(place: Place, component: Component) -> int:
    if component.image == "gateway":
        return min(place.profile.minimum, 1) if component.role == "dashboard" else place.profile.minimum
    return place.profile.personalize_minimum if component.name == "personalize" else 0


def _concurrency(place: Place, component: Component) -> int:
    if component.image == "functions":
        return FUNCTION_CONCURRENCY
    return DASHBOARD_CONCURRENCY if component.role == "dashboard" else place.profile.concurrency


def _timeout(component: Component) -> int:
    return 180 if component.callers == ("schedule",) else 60


def _container(place: Place, component: Component, inputs: Inputs) -> dict[str, Any]:
    gateway = component.image == "gateway"
    cpu, memory = (place.profile.cpu, place.profile.memory) if gateway else (1, "512Mi")
    container: dict[str, Any] = {
        "image": inputs.images[component.image],
        "ports": [{"name": "http1", "containerPort": PORT}],  # never h2c: sockets are upgrades of HTTP/1.1
        "resources": {"limits": {"cpu": str(cpu), "memory": memory}},
        "env": _environment(place, component, inputs),
    }
    if gateway:
        probe = {"httpGet": {"path": "/livez", "port": PORT}}
        container["startupProbe"] = {**probe, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 60}
        container["livenessProbe"] = {**probe, "periodSeconds": 10, "timeoutSeconds": 2, "failureThreshold": 3}
    else:
        tcp = {"tcpSocket": {"port": PORT}}
        container["startupProbe"] = {**tcp, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 60}
    return container


def _environment(place: Place, component: Component, inputs: Inputs) -> list[dict[str, Any]]:
    plain = _common(place) | (_for_gateway(place, component) if component.image == "gateway" else {})
    plain |= _for_function(place, component) if component.image == "functions" else {}
    plain |= {name: inputs.settings[name] for name in component.settings if inputs.settings.get(name)}
    found: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in sorted(plain.items())]
    for name in component.secrets:
        if version := inputs.versions.get(name):
            reference = {"secretKeyRef": {"name": place.named(name), "key": version}}
            found.append({"name": _BY_NAME[name].variable, "valueFrom": reference})
    return found


def _common(place: Place) -> dict[str, str]:
    return {
        "GOOGLE_CLOUD_PROJECT": place.project,
        "CALLBOARD_STORE": "firestore",
        "CALLBOARD_BUS": "pubsub",
        "CALLBOARD_DATABASE": place.database,
        "CALLBOARD_TOPIC": place.named("events"),
    }


def _for_gateway(place: Place, component: Component) -> dict[str, str]:
    desk = {} if component.role == "media" else {
        "ELEVENLABS_WEBHOOK_URL": place.webhook_url,
        "ELEVENLABS_PERSONALIZE_URL": place.url("personalize"),
    }  # fmt: skip
    return desk | {
        "PUBLIC_BASE_URL": place.base_url,
        "CALLBOARD_ROLE": component.role,
        "CALLBOARD_MAX_CALLS": str(place.profile.calls),
        "CALLBOARD_STT": "deepgram",
        "CALLBOARD_LLM": "openai",
        "CALLBOARD_TTS": "deepgram",
        "ADMIN_USERNAME": "admin",
        "CALLBOARD_AUDIO_BUCKET": place.bucket("files"),
    }


def _for_function(place: Place, component: Component) -> dict[str, str]:
    found = {"FUNCTION_TARGET": component.entry}
    if component.name == "reminders":
        desk = place.url("dashboard") if place.profile.split else place.base_url
        found |= {"PUBLIC_BASE_URL": desk, "CALLBOARD_TASKS_QUEUE": place.queue}
    if any(what == "bucket:files" for what, _ in component.uses):
        found["CALLBOARD_AUDIO_BUCKET"] = place.bucket("files")
    if component.name == "apply":
        found |= {"CALLBOARD_PUSH_AUDIENCE": place.url("apply"), "CALLBOARD_PUSH_ACCOUNT": place.account("push")}
    if component.name == "fallback":
        found["PUBLIC_BASE_URL"] = place.url("fallback")
    return found
