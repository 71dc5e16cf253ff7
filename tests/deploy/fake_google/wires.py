"""Pub/Sub, Firestore, Cloud Tasks, Cloud Scheduler, Logging and Monitoring."""

from __future__ import annotations

from typing import Any

from tests.deploy.fake_google.cloud import PROJECT, Json, Refused, Request, done, exists, not_found, route

P = r"/v1/projects/(?P<project>[^/:]+)"
PUBSUB = "pubsub.googleapis.com"
STORE = "firestore.googleapis.com"
TASKS = "cloudtasks.googleapis.com"
JOBS = "cloudscheduler.googleapis.com"
LOGS = "logging.googleapis.com"
EYES = "monitoring.googleapis.com"


@route(PUBSUB, "GET", rf"{P}/topics")
def list_topics(request: Request) -> Json:
    return {"topics": list(request.cloud.things["topic"].values())}


@route(PUBSUB, "PUT", rf"{P}/topics/(?P<name>[^/:]+)")
def create_topic(request: Request) -> Json:
    if request["name"] in request.cloud.things["topic"]:
        raise exists(f"Resource (resource={request['name']})")
    made = {**request.json, "name": f"projects/{PROJECT}/topics/{request['name']}"}
    request.cloud.things["topic"][request["name"]] = made
    return made


@route(PUBSUB, "DELETE", rf"{P}/topics/(?P<name>[^/:]+)")
def delete_topic(request: Request) -> Json:
    request.cloud.get("topic", request["name"])
    del request.cloud.things["topic"][request["name"]]
    return {}


@route(PUBSUB, "GET", rf"{P}/topics/(?P<name>[^/:]+):getIamPolicy")
def topic_policy(request: Request) -> Json:
    request.cloud.get("topic", request["name"])
    return request.cloud.policy(f"topic:{request['name']}")


@route(PUBSUB, "POST", rf"{P}/topics/(?P<name>[^/:]+):setIamPolicy")
def set_topic_policy(request: Request) -> Json:
    return request.cloud.set_policy(f"topic:{request['name']}", request.json["policy"])


@route(PUBSUB, "GET", rf"{P}/subscriptions")
def list_subscriptions(request: Request) -> Json:
    return {"subscriptions": list(request.cloud.things["subscription"].values())}


@route(PUBSUB, "PUT", rf"{P}/subscriptions/(?P<name>[^/:]+)")
def create_subscription(request: Request) -> Json:
    if request["name"] in request.cloud.things["subscription"]:
        raise exists(f"Resource (resource={request['name']})")
    return _subscription(request, {**request.json, "name": f"projects/{PROJECT}/subscriptions/{request['name']}"})


@route(PUBSUB, "PATCH", rf"{P}/subscriptions/(?P<name>[^/:]+)")
def patch_subscription(request: Request) -> Json:
    now = request.cloud.get("subscription", request["name"])
    body = request.json
    news = body.get("subscription", {})
    named = {
        _camel(one.split(".")[0]) for one in (body.get("updateMask") or request.query.get("updateMask", "")).split(",")
    }
    return _subscription(request, {**now, **{name: news[name] for name in named if name in news}})


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _subscription(request: Request, wanted: Json) -> Json:
    topics = request.cloud.things["topic"]
    for topic in (wanted["topic"], wanted.get("deadLetterPolicy", {}).get("deadLetterTopic", wanted["topic"])):
        if topic.rpartition("/")[2] not in topics:
            raise not_found(f"Resource (resource={topic})")
    push = wanted.get("pushConfig", {})
    if push.get("pushEndpoint") and not push["pushEndpoint"].startswith("https://"):
        raise Refused(400, "INVALID_ARGUMENT", "Invalid push endpoint")
    account = push.get("oidcToken", {}).get("serviceAccountEmail")
    if account and account not in request.cloud.accounts():
        raise Refused(404, "NOT_FOUND", f"Service account {account} does not exist.")
    if not 10 <= int(wanted.get("ackDeadlineSeconds", 10)) <= 600:
        raise Refused(400, "INVALID_ARGUMENT", "Invalid ack deadline")
    request.cloud.things["subscription"][request["name"]] = wanted
    return wanted


@route(PUBSUB, "DELETE", rf"{P}/subscriptions/(?P<name>[^/:]+)")
def delete_subscription(request: Request) -> Json:
    request.cloud.get("subscription", request["name"])
    del request.cloud.things["subscription"][request["name"]]
    return {}


@route(PUBSUB, "GET", rf"{P}/subscriptions/(?P<name>[^/:]+):getIamPolicy")
def subscription_policy(request: Request) -> Json:
    request.cloud.get("subscription", request["name"])
    return request.cloud.policy(f"subscription:{request['name']}")


@route(PUBSUB, "POST", rf"{P}/subscriptions/(?P<name>[^/:]+):setIamPolicy")
def set_subscription_policy(request: Request) -> Json:
    request.cloud.get("subscription", request["name"])
    return request.cloud.set_policy(f"subscription:{request['name']}", request.json["policy"])


# Firestore

D = rf"{P}/databases/(?P<database>[^/:]+)"


@route(STORE, "GET", rf"{P}/databases")
def list_databases(request: Request) -> Json:
    return {"databases": list(request.cloud.things["database"].values())}


@route(STORE, "POST", rf"{P}/databases")
def create_database(request: Request) -> Json:
    name = request.query["databaseId"]
    if name in request.cloud.things["database"]:
        raise exists(f"Database {name}")
    request.cloud.things["database"][name] = {**request.json, "name": f"projects/{PROJECT}/databases/{name}"}
    return _operation(request, name, request.cloud.things["database"][name])


def _operation(request: Request, database: str, response: Json) -> Json:
    name = f"projects/{PROJECT}/databases/{database}/operations/{request.cloud.next()}"
    return {**done(name, response), "metadata": {"@type": "type.googleapis.com/google.firestore.admin.v1.Metadata"}}


@route(STORE, "PATCH", D)
def patch_database(request: Request) -> Json:
    thing = request.cloud.get("database", request["database"])
    thing.update({name: value for name, value in request.json.items() if name != "name"})
    return _operation(request, request["database"], thing)


@route(STORE, "DELETE", D)
def delete_database(request: Request) -> Json:
    thing = request.cloud.get("database", request["database"])
    if thing.get("deleteProtectionState") == "DELETE_PROTECTION_ENABLED":
        raise Refused(400, "FAILED_PRECONDITION", "Database has delete protection enabled")
    del request.cloud.things["database"][request["database"]]
    for kind in ("index", "ttl", "backup"):
        request.cloud.things[kind].clear()
    return _operation(request, request["database"], {})


@route(STORE, "GET", rf"{D}/collectionGroups/-/indexes")
def list_indexes(request: Request) -> Json:
    request.cloud.get("database", request["database"])
    return {"indexes": list(request.cloud.things["index"].values())}


@route(STORE, "POST", rf"{D}/collectionGroups/(?P<group>[^/]+)/indexes")
def create_index(request: Request) -> Json:
    request.cloud.get("database", request["database"])
    fields = str(request.json["fields"])
    name = f"{request.path[4:]}/{request.cloud.next()}"
    if any(
        str(thing["fields"][:-1]) == fields and request["group"] in thing["name"]
        for thing in request.cloud.things["index"].values()
    ):
        raise exists("index")
    # Google adds the document's name behind what was asked for.
    last = request.json["fields"][-1].get("order", "ASCENDING")
    made = {**request.json, "name": name, "state": "READY"}
    made["fields"] = [*request.json["fields"], {"fieldPath": "__name__", "order": last}]
    request.cloud.things["index"][name] = made
    return _operation(request, request["database"], made)


@route(STORE, "GET", rf"{D}/collectionGroups/-/fields")
def list_fields(request: Request) -> Json:
    return {"fields": list(request.cloud.things["ttl"].values())}


@route(STORE, "PATCH", rf"{D}/collectionGroups/(?P<group>[^/]+)/fields/(?P<field>[^/]+)")
def patch_field(request: Request) -> Json:
    request.cloud.get("database", request["database"])
    made = {"name": request.path[4:], "ttlConfig": {"state": "ACTIVE"}}
    request.cloud.things["ttl"][request.path[4:]] = made
    return _operation(request, request["database"], made)


@route(STORE, "GET", rf"{D}/backupSchedules")
def list_backups(request: Request) -> Json:
    return {"backupSchedules": list(request.cloud.things["backup"].values())}


@route(STORE, "POST", rf"{D}/backupSchedules")
def create_backup(request: Request) -> Json:
    made = {**request.json, "name": f"{request.path[4:]}/{request.cloud.next()}"}
    request.cloud.things["backup"][made["name"]] = made
    return made


# queue and schedule

Q = r"/v2(beta[23])?/projects/(?P<project>[^/:]+)/locations/(?P<region>[^/]+)/queues"


@route(TASKS, "GET", Q)
def list_queues(request: Request) -> Json:
    return {"queues": list(request.cloud.things["queue"].values())}


@route(TASKS, "POST", Q)
def create_queue(request: Request) -> Json:
    name = request.json["name"].rpartition("/")[2]
    if name in request.cloud.things["queue"]:
        raise exists(f"Queue {name}")
    request.cloud.things["queue"][name] = {**request.json, "state": "RUNNING"}
    return request.cloud.things["queue"][name]


@route(TASKS, "PATCH", rf"{Q}/(?P<name>[^/:]+)")
def patch_queue(request: Request) -> Json:
    request.cloud.get("queue", request["name"]).update(request.json)
    return request.cloud.get("queue", request["name"])


@route(TASKS, "GET", rf"{Q}/(?P<name>[^/:]+)")
def get_queue(request: Request) -> Json:
    return request.cloud.get("queue", request["name"])


@route(TASKS, "DELETE", rf"{Q}/(?P<name>[^/:]+)")
def delete_queue(request: Request) -> Json:
    request.cloud.get("queue", request["name"])
    del request.cloud.things["queue"][request["name"]]
    return {}


@route(TASKS, "POST", rf"{Q}/(?P<name>[^/:]+):(?P<verb>get|set)IamPolicy")
def queue_policy(request: Request) -> Json:
    request.cloud.get("queue", request["name"])
    name = f"queue:{request['name']}"
    return (
        request.cloud.set_policy(name, request.json["policy"])
        if request["verb"] == "set"
        else request.cloud.policy(name)
    )


J = rf"{P}/locations/(?P<region>[^/]+)/jobs"


@route(JOBS, "GET", J)
def list_jobs(request: Request) -> Json:
    return {"jobs": list(request.cloud.things["job"].values())}


@route(JOBS, "POST", J)
def create_job(request: Request) -> Json:
    name = request.json["name"].rpartition("/")[2]
    if name in request.cloud.things["job"]:
        raise exists(f"Job {name}")
    return _job(request, name, request.json)


@route(JOBS, "PATCH", rf"{J}/(?P<name>[^/:]+)")
def patch_job(request: Request) -> Json:
    return _job(request, request["name"], {**request.cloud.get("job", request["name"]), **request.json})


@route(JOBS, "GET", rf"{J}/(?P<name>[^/:]+)")
def get_job(request: Request) -> Json:
    return request.cloud.get("job", request["name"])


@route(JOBS, "DELETE", rf"{J}/(?P<name>[^/:]+)")
def delete_job(request: Request) -> Json:
    request.cloud.get("job", request["name"])
    del request.cloud.things["job"][request["name"]]
    return {}


def _job(request: Request, name: str, wanted: Json) -> Json:
    account = wanted["httpTarget"].get("oidcToken", {}).get("serviceAccountEmail")
    if account and account not in request.cloud.accounts():
        raise Refused(400, "INVALID_ARGUMENT", f"Service account {account} does not exist.")
    request.cloud.things["job"][name] = {**wanted, "state": "ENABLED"}
    return request.cloud.things["job"][name]


# logs and alerts


@route(LOGS, "GET", r"/v2/projects/(?P<project>[^/]+)/metrics")
def list_metrics(request: Request) -> Json:
    return {"metrics": list(request.cloud.things["metric"].values())}


@route(LOGS, "POST", r"/v2/projects/(?P<project>[^/]+)/metrics")
def create_metric(request: Request) -> Json:
    name = request.json["name"]
    if name in request.cloud.things["metric"]:
        raise exists(f"Metric {name}")
    request.cloud.things["metric"][name] = request.json
    return request.json


@route(LOGS, "GET", r"/v2/projects/(?P<project>[^/]+)/metrics/(?P<name>.+)")
def get_metric(request: Request) -> Json:
    return request.cloud.get("metric", request["name"])


@route(LOGS, "PUT", r"/v2/projects/(?P<project>[^/]+)/metrics/(?P<name>.+)")
def put_metric(request: Request) -> Json:
    request.cloud.things["metric"][request["name"]] = request.json
    return request.json


@route(LOGS, "DELETE", r"/v2/projects/(?P<project>[^/]+)/metrics/(?P<name>.+)")
def delete_metric(request: Request) -> Json:
    request.cloud.things["metric"].pop(request["name"], None)
    return {}


@route(LOGS, "POST", r"/v2/entries:list")
def read_logs(request: Request) -> Json:
    wanted = request.json["filter"]
    return {"entries": [entry for entry in request.cloud.logs if entry.get("for", "") in wanted]}


@route(EYES, "GET", r"/v3/projects/(?P<project>[^/]+)/alertPolicies")
def list_policies(request: Request) -> Json:
    return {"alertPolicies": list(request.cloud.things["policy"].values())}


@route(EYES, "POST", r"/v3/projects/(?P<project>[^/]+)/alertPolicies")
def create_policy(request: Request) -> Json:
    return _alert(request, f"projects/{PROJECT}/alertPolicies/{request.cloud.next()}")


@route(EYES, "PATCH", r"/v3/(?P<name>projects/[^/]+/alertPolicies/[^/]+)")
def patch_policy(request: Request) -> Json:
    request.cloud.get("policy", request["name"])
    return _alert(request, request["name"])


@route(EYES, "GET", r"/v3/(?P<name>projects/[^/]+/alertPolicies/[^/]+)")
def get_policy(request: Request) -> Json:
    return request.cloud.get("policy", request["name"])


@route(EYES, "DELETE", r"/v3/(?P<name>projects/[^/]+/alertPolicies/[^/]+)")
def delete_policy(request: Request) -> Json:
    request.cloud.get("policy", request["name"])
    del request.cloud.things["policy"][request["name"]]
    return {}


def _alert(request: Request, name: str) -> Json:
    wanted: Json = request.json
    for condition in wanted["conditions"]:
        text = condition["conditionThreshold"]["filter"]
        if "logging.googleapis.com/user/" in text:
            metric = text.partition("logging.googleapis.com/user/")[2].partition('"')[0]
            if metric not in request.cloud.things["metric"]:
                raise Refused(
                    404, "NOT_FOUND", f'Cannot find metric that matches type = "logging.googleapis.com/user/{metric}".'
                )
        condition["name"] = f"{name}/conditions/1"
    for channel in wanted.get("notificationChannels", []):
        request.cloud.get("channel", channel)
    kept: dict[str, Any] = {
        **wanted,
        "name": name,
        "enabled": True,
        "creationRecord": {"mutateTime": "2026-01-01T00:00:00Z"},
    }
    request.cloud.things["policy"][name] = kept
    return kept


@route(EYES, "GET", r"/v3/projects/(?P<project>[^/]+)/notificationChannels")
def list_channels(request: Request) -> Json:
    return {"notificationChannels": list(request.cloud.things["channel"].values())}


@route(EYES, "POST", r"/v3/projects/(?P<project>[^/]+)/notificationChannels")
def create_channel(request: Request) -> Json:
    name = f"projects/{PROJECT}/notificationChannels/{request.cloud.next()}"
    request.cloud.things["channel"][name] = {**request.json, "name": name}
    return request.cloud.things["channel"][name]


@route(EYES, "DELETE", r"/v3/(?P<name>projects/[^/]+/notificationChannels/[^/]+)")
def delete_channel(request: Request) -> Json:
    request.cloud.get("channel", request["name"])
    del request.cloud.things["channel"][request["name"]]
    return {}
