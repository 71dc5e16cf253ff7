"""What must be true of the resources that are there, whatever made them: each rule says what is wrong with a cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from infra.gcloud.place import Place
from infra.gcloud.resources import SECRETS, SMOKED, components
from realtime.retention import TTL_COLLECTIONS
from tests.deploy.fake_google.cloud import NUMBER, PROJECT, Cloud

Rule = Callable[[Cloud, Place], Iterator[str]]
RULES: dict[str, Rule] = {}
MEDIA_PATH = "/api/v1/voice/media-stream"


def rule(check: Rule) -> Rule:
    RULES[check.__name__] = check
    return check


def broken(cloud: Cloud, place: Place) -> dict[str, list[str]]:
    """By rule, what is wrong."""
    found = {name: list(check(cloud, place)) for name, check in RULES.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


def _bindings(cloud: Cloud) -> Iterator[tuple[str, str, str, str]]:
    for target, policy in cloud.policies.items():
        for binding in policy["bindings"]:
            for member in binding["members"]:
                yield target, binding["role"], member, binding.get("condition", {}).get("expression", "")


def _env(service: dict[str, Any]) -> dict[str, Any]:
    (container,) = service["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one for one in container["env"]}


@rule
def no_wide_roles(cloud: Cloud, _place: Place) -> Iterator[str]:
    """No owner, editor or viewer, no admin, for anybody of ours."""
    for target, role, member, _ in _bindings(cloud):
        if role in ("roles/owner", "roles/editor", "roles/viewer") or role.lower().endswith("admin"):
            yield f"{member} has {role} on {target}"


@rule
def grants_stand_on_the_resource(cloud: Cloud, place: Place) -> Iterator[str]:
    """On the project nothing but the build's log lines, and Firestore with the condition that names the database."""
    for target, role, member, condition in _bindings(cloud):
        if target != "project" or role.startswith("roles/logging."):
            continue
        wanted = f'resource.name=="projects/{PROJECT}/databases/{place.database}"'
        if not role.startswith("roles/datastore.") or condition != wanted:
            yield f"{member} has {role} on the whole project ({condition or 'no condition'})"


@rule
def one_account_per_component(cloud: Cloud, place: Place) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name, service in cloud.things["service"].items():
        account = service["spec"]["template"]["spec"]["serviceAccountName"]
        if account in seen:
            yield f"{name} and {seen[account]} share {account}"
        if "compute@developer" in account or account not in cloud.accounts():
            yield f"{name} runs as {account}"
        seen[account] = name
    wanted = {place.named(component.name) for component in components(place)}
    if set(cloud.things["service"]) != wanted:
        yield f"services {sorted(cloud.things['service'])}, not {sorted(wanted)}"


@rule
def public_is_what_vendors_call(cloud: Cloud, place: Place) -> Iterator[str]:
    """allUsers may invoke exactly what authenticates its callers itself; everybody else's ingress is internal."""
    for component in components(place):
        name = place.named(component.name)
        open_ = cloud.may(f"service:{name}", "roles/run.invoker", "allUsers")
        if open_ != component.public:
            yield f"{name} is {'open to' if open_ else 'closed to'} everybody"
        ingress = cloud.things["service"].get(name, {}).get("metadata", {}).get("annotations", {})
        if ingress.get("run.googleapis.com/ingress") != ("all" if component.public else "internal"):
            yield f"{name}: ingress"
    for target, _role, member, _ in _bindings(cloud):
        if member in ("allUsers", "allAuthenticatedUsers") and not target.startswith("service:"):
            yield f"{member} on {target}"


@rule
def private_is_invoked_by_its_caller_only(cloud: Cloud, place: Place) -> Iterator[str]:
    for component in components(place):
        if component.public:
            continue
        want = {f"serviceAccount:{place.account(caller)}" for caller in component.callers}
        have = {
            member
            for target, role, member, _ in _bindings(cloud)
            if target == f"service:{place.named(component.name)}" and role == "roles/run.invoker"
        }
        if have != want:
            yield f"{component.name} may be invoked by {sorted(have)}"


@rule
def secrets_are_read_by_who_uses_them(cloud: Cloud, place: Place) -> Iterator[str]:
    for secret in SECRETS:
        want = {
            f"serviceAccount:{place.account(component.name)}"
            for component in components(place)
            if secret.name in component.secrets
        }
        if secret.name in SMOKED:
            want.add(f"serviceAccount:{place.account('build')}")
        have = {member for target, _, member, _ in _bindings(cloud) if target == f"secret:{place.named(secret.name)}"}
        if have != want:
            yield f"{secret.name} may be read by {sorted(have)}"


@rule
def secrets_are_pinned_references(cloud: Cloud, _place: Place) -> Iterator[str]:
    variables = {secret.variable for secret in SECRETS}
    for name, service in cloud.things["service"].items():
        for variable, one in _env(service).items():
            if variable in variables and "value" in one:
                yield f"{name}: {variable} is a literal"
            key = one.get("valueFrom", {}).get("secretKeyRef", {}).get("key")
            if key is not None and not key.isdecimal():
                yield f"{name}: {variable} is pinned to {key}"


@rule
def the_gateway_holds_sockets(cloud: Cloud, place: Place) -> Iterator[str]:
    """An hour, HTTP/1.1, gen2, boost, probes, concurrency no less than calls."""
    for component in components(place):
        if component.image != "gateway":
            continue
        service = cloud.things["service"].get(place.named(component.name))
        if service is None:
            yield f"{component.name} is missing"
            continue
        template = service["spec"]["template"]
        spec, annotations = template["spec"], template["metadata"]["annotations"]
        (container,) = spec["containers"]
        calls = int(_env(service)["CALLBOARD_MAX_CALLS"]["value"])
        checks = {
            "timeout": spec["timeoutSeconds"] == 3600,
            "concurrency": spec["containerConcurrency"] >= calls,
            "http/2": [port["name"] for port in container["ports"]] == ["http1"],
            "gen2": annotations["run.googleapis.com/execution-environment"] == "gen2",
            "boost": annotations["run.googleapis.com/startup-cpu-boost"] == "true",
            "cpu": annotations["run.googleapis.com/cpu-throttling"]
            == ("false" if place.profile.always_cpu else "true"),
            "startup probe": container.get("startupProbe", {}).get("httpGet", {}).get("path") == "/livez",
            "liveness probe": container.get("livenessProbe", {}).get("httpGet", {}).get("path") == "/livez",
            "minimum at service level": "autoscaling.knative.dev/minScale" not in annotations
            and "run.googleapis.com/minScale" in service["metadata"]["annotations"],
            "role": _env(service)["CALLBOARD_ROLE"]["value"] == component.role,
            "public url": _env(service)["PUBLIC_BASE_URL"]["value"] == place.base_url,
        }
        yield from (f"{component.name}: {name}" for name, fine in checks.items() if not fine)


@rule
def images_are_digests_of_ours(cloud: Cloud, place: Place) -> Iterator[str]:
    for name, service in cloud.things["service"].items():
        image = service["spec"]["template"]["spec"]["containers"][0]["image"]
        if "@sha256:" not in image or not image.startswith(place.repository):
            yield f"{name}: {image}"


@rule
def nothing_of_the_demo_on_cloud_run(cloud: Cloud, place: Place) -> Iterator[str]:
    """All five are said, and none is embedded or scripted."""
    for component in components(place):
        if place.named(component.name) not in cloud.things["service"]:
            continue  # one_account_per_component says so
        env = _env(cloud.things["service"][place.named(component.name)])
        names = ["CALLBOARD_STORE", "CALLBOARD_BUS"]
        names += ["CALLBOARD_STT", "CALLBOARD_LLM", "CALLBOARD_TTS"] if component.image == "gateway" else []
        for name in names:
            if env.get(name, {}).get("value", "embedded") in ("embedded", "scripted"):
                yield f"{component.name}: {name}"


@rule
def pushes_are_signed_for_the_applier(cloud: Cloud, place: Place) -> Iterator[str]:
    one = cloud.things["subscription"].get(place.named("apply"), {})
    push = one.get("pushConfig", {})
    url = place.url("apply")
    env = _env(cloud.things["service"][place.named("apply")])
    dead = one.get("deadLetterPolicy", {})
    checks = {
        "topic": one.get("topic") == f"projects/{PROJECT}/topics/{place.named('events')}",
        "endpoint": push.get("pushEndpoint") == url,
        "account": push.get("oidcToken", {}).get("serviceAccountEmail") == place.account("push"),
        "audience": push.get("oidcToken", {}).get("audience") == url,
        "the function checks the audience": env.get("CALLBOARD_PUSH_AUDIENCE", {}).get("value") == url,
        "the function checks the account": env.get("CALLBOARD_PUSH_ACCOUNT", {}).get("value") == place.account("push"),
        "order": one.get("enableMessageOrdering") is True,
        "deadline": 60 <= int(one.get("ackDeadlineSeconds", 10)) <= 600,
        "retry": bool(one.get("retryPolicy", {}).get("minimumBackoff")),
        "dead letters": dead.get("deadLetterTopic") == f"projects/{PROJECT}/topics/{place.named('dead')}",
        "attempts": 5 <= int(dead.get("maxDeliveryAttempts", 0)) <= 100,
        "for ever": not one.get("expirationPolicy", {"ttl": "x"}).get("ttl"),
    }
    yield from (name for name, fine in checks.items() if not fine)


@rule
def dead_letters_get_there_and_stay(cloud: Cloud, place: Place) -> Iterator[str]:
    agent = f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
    if not cloud.may(f"topic:{place.named('dead')}", "roles/pubsub.publisher", agent):
        yield "Pub/Sub may not publish dead letters"
    if not cloud.may(f"subscription:{place.named('apply')}", "roles/pubsub.subscriber", agent):
        yield "Pub/Sub may not take them from the subscription"
    kept = cloud.things["subscription"].get(place.named("dead"), {})
    if kept.get("topic") != f"projects/{PROJECT}/topics/{place.named('dead')}":
        yield "nothing keeps dead letters"


@rule
def publishers_publish_one_topic(cloud: Cloud, place: Place) -> Iterator[str]:
    want = {
        f"serviceAccount:{place.account(component.name)}"
        for component in components(place)
        if ("topic:events", "roles/pubsub.publisher") in component.uses
    }
    have = {member for target, _, member, _ in _bindings(cloud) if target == f"topic:{place.named('events')}"}
    if have != want:
        yield f"{sorted(have)} may publish"
    for name, service in cloud.things["service"].items():
        if _env(service)["CALLBOARD_TOPIC"]["value"] != place.named("events"):
            yield f"{name} publishes elsewhere"


@rule
def files_and_dead_letters_are_touched_by_who_must(cloud: Cloud, place: Place) -> Iterator[str]:
    """Functions write files; a dashboard plays them, and erases what is left of a caller there and in dead letters.
    Who may is told where."""
    desk = place.desk_service
    want = {
        f"bucket:{place.bucket('files')}": {"webhook", "apply", "reconcile", desk},
        f"subscription:{place.named('dead')}": {desk},
    }
    for target, names in want.items():
        have = {member for where, _, member, _ in _bindings(cloud) if where == target}
        if have != {f"serviceAccount:{place.account(name)}" for name in names}:
            yield f"{sorted(have)} on {target}"
    for component in components(place):
        service = cloud.things["service"].get(place.named(component.name))
        told = _env(service).get("CALLBOARD_AUDIO_BUCKET", {}).get("value") if service else None
        uses = component.name in want[f"bucket:{place.bucket('files')}"]
        if service and told != (place.bucket("files") if uses else None):
            yield f"{component.name} is told of the files: {told}"


@rule
def the_memory_is_guarded(cloud: Cloud, place: Place) -> Iterator[str]:
    one = cloud.things["database"].get(place.database, {})
    if one.get("type") != "FIRESTORE_NATIVE" or one.get("deleteProtectionState") != "DELETE_PROTECTION_ENABLED":
        yield "the database is not guarded"
    if place.profile.name != "dev" and not cloud.things["backup"]:
        yield "no backups"
    fields = [index["fields"] for index in cloud.things["index"].values() if "/calls/" in index["name"]]
    if not any([(f["fieldPath"], f["order"]) for f in each][:2] == [("org", "ASCENDING"), ("started_at", "DESCENDING")]
               for each in fields):  # fmt: skip
        yield "the list of calls has no index"
    for collection in TTL_COLLECTIONS:
        if not any(f"/collectionGroups/{collection}/fields/expire_at" in name for name in cloud.things["ttl"]):
            yield f"{collection} never expires"


@rule
def schedules_show_a_token(cloud: Cloud, place: Place) -> Iterator[str]:
    for name in ("reminders", "reconcile"):
        target = cloud.things["job"].get(place.named(name), {}).get("httpTarget", {})
        token = target.get("oidcToken", {})
        right = (place.url(name), place.account("schedule"), place.url(name))
        if (target.get("uri", "").rstrip("/"), token.get("serviceAccountEmail"), token.get("audience")) != right:
            yield f"{name}: {target}"


@rule
def alerts_watch_what_is_counted(cloud: Cloud, place: Place) -> Iterator[str]:
    for name in ("upgrade-404", "webhook-refused", "webhook-failed", "listener-degraded", "silence", "dead-letters"):
        policies = [one for one in cloud.things["policy"].values() if one["displayName"] == place.named(name)]
        if len(policies) != 1:
            yield f"{name}: {len(policies)} policies"
        elif place.alert_email and not policies[0].get("notificationChannels"):
            yield f"{name} tells nobody"
        if name != "dead-letters" and place.named(name) not in cloud.things["metric"]:
            yield f"{name} is not counted"


@rule
def the_build_may_build_and_release_only(cloud: Cloud, place: Place) -> Iterator[str]:
    member = f"serviceAccount:{place.account('build')}"
    allowed = {
        "repository": "roles/artifactregistry.writer",
        "bucket": "roles/storage.objectViewer",
        "project": "roles/logging.logWriter roles/logging.viewer",
        "secret": "roles/secretmanager.secretAccessor",
        "service": "roles/run.developer",
        "account": "roles/iam.serviceAccountUser",
    }
    for target, role, who, _ in _bindings(cloud):
        kind, _, name = target.partition(":")
        smoked = kind != "secret" or name in [place.named(each) for each in SMOKED]
        if who == member and (role not in allowed.get(kind, "").split() or not smoked):
            yield f"the build has {role} on {target}"


@rule
def old_images_and_sources_go(cloud: Cloud, place: Place) -> Iterator[str]:
    if not cloud.things["repository"].get(place.prefix, {}).get("cleanupPolicies"):
        yield "images stay for ever"
    for what in ("source", "files"):
        bucket = cloud.things["bucket"].get(place.bucket(what), {})
        if not bucket.get("lifecycle", {}).get("rule"):
            yield f"{what} stay for ever"
        if bucket.get("iamConfiguration", {}).get("publicAccessPrevention") != "enforced":
            yield f"{what} can be made public"
