"""Cloud Run's v1 (Knative) API, and the policies of its services."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from tests.deploy.fake_google.cloud import NUMBER, PROJECT, Cloud, Json, Refused, Request, not_found, route

RUN = "run.googleapis.com"
S = r"/apis/serving\.knative\.dev/v1/namespaces/(?P<project>[^/]+)/services"
_TAG = re.compile(r"[a-z][a-z0-9-]{0,45}")


@route(RUN, "GET", S)
def list_services(request: Request) -> Json:
    return {"apiVersion": "serving.knative.dev/v1", "kind": "ServiceList", "metadata": {},
            "items": list(request.cloud.things["service"].values())}  # fmt: skip


@route(RUN, "GET", rf"{S}/(?P<name>[^/:]+)")
def get_service(request: Request) -> Json:
    return request.cloud.get("service", request["name"])


@route(RUN, "POST", S)
def create_service(request: Request) -> Json:
    if request.json["metadata"]["name"] in request.cloud.things["service"]:
        raise Refused(409, "ALREADY_EXISTS", "Resource already exists")
    return _replace(request, request.json, None)


@route(RUN, "PUT", rf"{S}/(?P<name>[^/:]+)")
def put_service(request: Request) -> Json:
    return _replace(request, request.json, request.cloud.get("service", request["name"]))


@route(RUN, "DELETE", rf"{S}/(?P<name>[^/:]+)")
def delete_service(request: Request) -> Json:
    request.cloud.get("service", request["name"])
    del request.cloud.things["service"][request["name"]]
    for name in [name for name, one in request.cloud.things["revision"].items() if one["service"] == request["name"]]:
        del request.cloud.things["revision"][name]
    request.cloud.policies.pop(f"service:{request['name']}", None)
    return {"kind": "Status", "status": "Success"}


@route(RUN, "GET", r"/v1/projects/[^/]+/locations/[^/]+/services/(?P<name>[^/:]+):getIamPolicy")
def policy(request: Request) -> Json:
    request.cloud.get("service", request["name"])
    return request.cloud.policy(f"service:{request['name']}")


@route(RUN, "POST", r"/v1/projects/[^/]+/locations/[^/]+/services/(?P<name>[^/:]+):setIamPolicy")
def set_policy(request: Request) -> Json:
    request.cloud.get("service", request["name"])
    return request.cloud.set_policy(f"service:{request['name']}", request.json["policy"])


def _invalid(message: str) -> Refused:
    return Refused(400, "INVALID_ARGUMENT", message)


def _replace(request: Request, wanted: Json, now: Json | None) -> Json:
    cloud, dry = request.cloud, request.query.get("dryRun") == "all"
    name = wanted["metadata"]["name"]
    if (
        now
        and wanted["metadata"].get("resourceVersion", now["metadata"]["resourceVersion"])
        != now["metadata"]["resourceVersion"]
    ):
        raise Refused(409, "ABORTED", "Conflict for resource: version mismatch")
    template = wanted["spec"]["template"]
    _check_template(cloud, template)
    revision = template["metadata"].get("name") or f"{name}-{cloud.next():05d}-abc"
    if not revision.startswith(f"{name}-") or len(revision) > 63:
        raise _invalid("spec.template.metadata.name: must be prefixed by the service's name")
    plain = copy.deepcopy(template["spec"])
    known = cloud.things["revision"].get(revision)
    if known and json.dumps(known["spec"], sort_keys=True) != json.dumps(plain, sort_keys=True):
        raise Refused(
            409, "ALREADY_EXISTS", f"Revision named '{revision}' with different configuration already exists."
        )
    traffic = wanted["spec"].get("traffic") or [{"latestRevision": True, "percent": 100}]
    _check_traffic(cloud, traffic, revision, name)
    if dry:
        return wanted
    ready = not any(part in template["spec"]["containers"][0]["image"] for part in cloud.broken_images)
    cloud.things["revision"].setdefault(revision, {"service": name, "spec": plain, "ready": ready, "n": cloud.next()})
    made = copy.deepcopy(wanted)
    metadata = made["metadata"]
    metadata |= {"namespace": NUMBER, "resourceVersion": f"v{cloud.next()}", "generation": cloud.next(),
                 "selfLink": f"/x/{name}", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}  # fmt: skip
    metadata.setdefault("labels", {})["cloud.googleapis.com/location"] = "us-central1"
    url, old = f"https://{name}-{NUMBER}.us-central1.run.app", f"https://{name}-a1b2c3-uc.a.run.app"
    metadata.setdefault("annotations", {})["run.googleapis.com/urls"] = json.dumps([url, old])
    made["spec"]["traffic"] = traffic
    shown = (
        [_share(share, revision, name) for share in traffic]
        if ready
        else (now or {}).get("status", {}).get("traffic", [])
    )
    state = "True" if ready else "False"
    why = (
        {}
        if ready
        else {"message": f"Revision '{revision}' is not ready and cannot serve traffic. The container failed to start."}
    )
    made["status"] = {
        "observedGeneration": metadata["generation"],
        "latestCreatedRevisionName": revision,
        "latestReadyRevisionName": revision
        if ready
        else (now or {}).get("status", {}).get("latestReadyRevisionName", ""),
        "url": url,
        "address": {"url": url},
        "traffic": shown,
        "conditions": [
            {"type": kind, "status": state, **why} for kind in ("Ready", "ConfigurationsReady", "RoutesReady")
        ],
    }
    cloud.things["service"][name] = made
    return made


def _share(share: Json, revision: str, name: str) -> Json:
    shown = dict(share)
    if shown.pop("latestRevision", False):
        shown["revisionName"] = revision
        shown["latestRevision"] = True
    if "tag" in shown:
        shown["url"] = f"https://{shown['tag']}---{name}-a1b2c3-uc.a.run.app"
    return shown


def _check_template(cloud: Cloud, template: Json) -> None:
    spec: dict[str, Any] = template["spec"]
    (container,) = spec["containers"]
    repository, _, rest = container["image"].partition(f"/{PROJECT}/")[2].partition("/")
    image, _, digest = rest.partition("@")
    known = {f"{name.partition(':')[0]}@{thing['digest']}" for name, thing in cloud.things["image"].items()}
    if f"{repository}/{image}@{digest}" not in known:
        raise _invalid(f"Image '{container['image']}' not found.")
    account = spec.get("serviceAccountName", "")
    if account not in cloud.accounts():
        raise Refused(
            403, "PERMISSION_DENIED", f"Permission 'iam.serviceaccounts.actAs' denied on service account {account}"
        )
    if not 1 <= int(spec.get("timeoutSeconds", 300)) <= 3600:
        raise _invalid("spec.template.spec.timeoutSeconds must be at most 3600")
    if not 1 <= int(spec.get("containerConcurrency", 80)) <= 1000:
        raise _invalid("spec.template.spec.containerConcurrency must be at most 1000")
    for variable in container.get("env", []):
        if variable["name"] in ("PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"):
            raise _invalid(f"The following reserved env names were provided: {variable['name']}")
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        if reference:
            _check_secret(cloud, reference, account)


def _check_secret(cloud: Cloud, reference: Json, account: str) -> None:
    versions = cloud.things["version"].get(reference["name"], {})
    if reference["key"] not in versions and reference["key"] != "latest":
        raise not_found(f"Secret {reference['name']}/versions/{reference['key']}")
    if not cloud.may(f"secret:{reference['name']}", "roles/secretmanager.secretAccessor", f"serviceAccount:{account}"):
        raise _invalid(f"Permission denied on secret: {reference['name']} for Revision service account {account}.")


def _check_traffic(cloud: Cloud, traffic: list[Json], revision: str, service: str) -> None:
    if sum(int(share.get("percent") or 0) for share in traffic) != 100:
        raise _invalid("spec.traffic: percentages must add up to 100")
    for share in traffic:
        name = share.get("revisionName")
        if name and name != revision and name not in cloud.things["revision"]:
            raise _invalid(f"Revision {name} of {service} was not found")
        if "tag" in share and not _TAG.fullmatch(share["tag"]):
            raise _invalid("spec.traffic.tag")


@route(RUN, "GET", r"/v1/projects/(?P<project>[^/]+)/locations", api="")
def list_regions(_request: Request) -> Json:
    names = ("europe-west1", "us-central1")
    return {"locations": [{"name": f"projects/{PROJECT}/locations/{name}", "locationId": name} for name in names]}
