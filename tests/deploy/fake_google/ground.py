"""Service Usage, Resource Manager, IAM, Secret Manager, Artifact Registry, Billing, Cloud Build and Storage."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from tests.deploy.fake_google.cloud import NUMBER, PROJECT, Json, Refused, Request, done, exists, not_found, route

P = r"/v1/projects/(?P<project>[^/:]+)"
CRM = "cloudresourcemanager.googleapis.com"
USAGE = "serviceusage.googleapis.com"
IAM = "iam.googleapis.com"
SECRETS = "secretmanager.googleapis.com"
IMAGES = "artifactregistry.googleapis.com"
BUILD = "cloudbuild.googleapis.com"
STORAGE = "storage.googleapis.com"


@route(USAGE, "GET", rf"{P}/services", api="")
def list_services(request: Request) -> Json:
    names = sorted(request.cloud.enabled)
    return {
        "services": [
            {"name": f"projects/{NUMBER}/services/{n}", "config": {"name": n}, "state": "ENABLED"} for n in names
        ]
    }


@route(USAGE, "POST", rf"{P}/services:batchEnable", api="")
def enable(request: Request) -> Json:
    request.cloud.enabled |= set(request.json["serviceIds"])
    return done("operations/acf.1")


@route(USAGE, "POST", rf"{P}/services/(?P<name>[^/:]+):enable", api="")
def enable_one(request: Request) -> Json:
    request.cloud.enabled.add(request["name"])
    return done("operations/acf.2")


@route(USAGE, "GET", rf"{P}/services/(?P<name>[^/:]+)", api="")
def get_service(request: Request) -> Json:
    on = request["name"] in request.cloud.enabled
    return {"name": request.path[4:], "config": {"name": request["name"]}, "state": "ENABLED" if on else "DISABLED"}


@route(CRM, "GET", P, api="")
def project(request: Request) -> Json:
    if request["project"] != PROJECT:
        raise Refused(403, "PERMISSION_DENIED", "The caller does not have permission")
    return {"projectId": PROJECT, "projectNumber": NUMBER, "lifecycleState": "ACTIVE", "name": PROJECT}


@route(CRM, "POST", rf"{P}:getIamPolicy", api="")
def project_policy(request: Request) -> Json:
    return request.cloud.policy("project")


@route(CRM, "POST", rf"{P}:setIamPolicy", api="")
def set_project_policy(request: Request) -> Json:
    return request.cloud.set_policy("project", request.json["policy"])


@route("cloudbilling.googleapis.com", "GET", rf"{P}/billingInfo", api="")
def billing(request: Request) -> Json:
    return {"projectId": PROJECT, "billingAccountName": "billingAccounts/0X0X0X-0X0X0X-0X0X0X", "billingEnabled": True}


@route("billingbudgets.googleapis.com", "GET", r"/v1/billingAccounts/[^/]+/budgets")
def list_budgets(request: Request) -> Json:
    return {"budgets": list(request.cloud.things["budget"].values())}


@route("billingbudgets.googleapis.com", "POST", r"/v1/billingAccounts/[^/]+/budgets")
def create_budget(request: Request) -> Json:
    name = f"billingAccounts/0X0X0X-0X0X0X-0X0X0X/budgets/{request.cloud.next()}"
    made = {**request.json, "name": name}
    request.cloud.things["budget"][name] = made
    return made


# accounts


@route(IAM, "GET", rf"{P}/serviceAccounts")
def list_accounts(request: Request) -> Json:
    return {"accounts": list(request.cloud.things["account"].values())}


@route(IAM, "POST", rf"{P}/serviceAccounts")
def create_account(request: Request) -> Json:
    account = request.json["accountId"]
    email = f"{account}@{PROJECT}.iam.gserviceaccount.com"
    if not 6 <= len(account) <= 30:
        raise Refused(400, "INVALID_ARGUMENT", "Invalid service account id")
    if email in request.cloud.things["account"]:
        raise exists(f"Service account {account}")
    made = {
        "name": f"projects/{PROJECT}/serviceAccounts/{email}",
        "email": email,
        "uniqueId": str(request.cloud.next()),
    }
    request.cloud.things["account"][email] = made | request.json.get("serviceAccount", {})
    return request.cloud.things["account"][email]


@route(IAM, "DELETE", r"/v1/projects/[^/]+/serviceAccounts/(?P<email>[^/:]+)")
def delete_account(request: Request) -> Json:
    request.cloud.get("account", request["email"])
    del request.cloud.things["account"][request["email"]]
    return {}


@route(IAM, "POST", r"/v1/projects/[^/]+/serviceAccounts/(?P<email>[^/:]+):(?P<verb>get|set)IamPolicy")
def account_policy(request: Request) -> Json:
    request.cloud.get("account", request["email"])
    return _policy(request, f"account:{request['email'].partition('@')[0]}")


def _policy(request: Request, name: str) -> Json:
    return (
        request.cloud.set_policy(name, request.json["policy"])
        if request["verb"] == "set"
        else request.cloud.policy(name)
    )


# secrets


@route(SECRETS, "GET", rf"{P}/secrets")
def list_secrets(request: Request) -> Json:
    return {"secrets": list(request.cloud.things["secret"].values())}


@route(SECRETS, "POST", rf"{P}/secrets")
def create_secret(request: Request) -> Json:
    name = request.query["secretId"]
    if name in request.cloud.things["secret"]:
        raise exists(f"Secret [projects/{NUMBER}/secrets/{name}]")
    made = {**request.json, "name": f"projects/{NUMBER}/secrets/{name}"}
    request.cloud.things["secret"][name] = made
    return made


@route(SECRETS, "DELETE", rf"{P}/secrets/(?P<name>[^/:]+)")
def delete_secret(request: Request) -> Json:
    request.cloud.get("secret", request["name"])
    del request.cloud.things["secret"][request["name"]]
    request.cloud.things["version"].pop(request["name"], None)
    return {}


@route(SECRETS, "GET", rf"{P}/secrets/(?P<name>[^/:]+)")
def get_secret(request: Request) -> Json:
    return request.cloud.get("secret", request["name"])


@route(SECRETS, "POST", rf"{P}/secrets/(?P<name>[^/:]+):addVersion")
def add_version(request: Request) -> Json:
    request.cloud.get("secret", request["name"])
    versions = request.cloud.things["version"].setdefault(request["name"], {})
    number = str(len(versions) + 1)
    versions[number] = request.json["payload"]["data"]
    return {
        "name": f"projects/{NUMBER}/secrets/{request['name']}/versions/{number}",
        "state": "ENABLED",
        "clientSpecifiedPayloadChecksum": True,
    }


@route(SECRETS, "GET", rf"{P}/secrets/(?P<name>[^/:]+)/versions")
def list_versions(request: Request) -> Json:
    versions = request.cloud.things["version"].get(request["name"], {})
    where = f"projects/{NUMBER}/secrets/{request['name']}/versions/"
    return {
        "versions": [{"name": where + n, "state": "ENABLED", "createTime": "2026-01-01T00:00:00Z"} for n in versions]
    }


@route(SECRETS, "GET", rf"{P}/secrets/(?P<name>[^/:]+)/versions/(?P<version>[^/:]+):access")
def access(request: Request) -> Json:
    versions = request.cloud.things["version"].get(request["name"], {})
    number = max(versions, key=int, default="") if request["version"] == "latest" else request["version"]
    if number not in versions:
        raise not_found(f"Secret Version [{request['name']}/{number}]")
    return {
        "name": f"projects/{NUMBER}/secrets/{request['name']}/versions/{number}",
        "payload": {"data": versions[number]},
    }


@route(SECRETS, "GET", rf"{P}/secrets/(?P<name>[^/:]+):getIamPolicy")
def secret_policy(request: Request) -> Json:
    request.cloud.get("secret", request["name"])
    return request.cloud.policy(f"secret:{request['name']}")


@route(SECRETS, "POST", rf"{P}/secrets/(?P<name>[^/:]+):setIamPolicy")
def set_secret_policy(request: Request) -> Json:
    request.cloud.get("secret", request["name"])
    return request.cloud.set_policy(f"secret:{request['name']}", request.json["policy"])


# images

R = rf"{P}/locations/(?P<region>[^/]+)/repositories"


@route(IMAGES, "GET", R)
def list_repositories(request: Request) -> Json:
    return {"repositories": list(request.cloud.things["repository"].values())}


@route(IMAGES, "POST", R)
def create_repository(request: Request) -> Json:
    name = request.query["repositoryId"]
    if name in request.cloud.things["repository"]:
        raise exists(f"repository {name}")
    made = {**request.json, "name": f"{request.path[4:]}/{name}"}
    request.cloud.things["repository"][name] = made
    return done(f"projects/{PROJECT}/locations/{request['region']}/operations/1", made)


@route(IMAGES, "GET", rf"{R}/(?P<name>[^/:]+)")
def get_repository(request: Request) -> Json:
    return request.cloud.get("repository", request["name"])


@route(IMAGES, "PATCH", rf"{R}/(?P<name>[^/:]+)")
def patch_repository(request: Request) -> Json:
    thing = request.cloud.get("repository", request["name"])
    thing.update(request.json)
    return thing


@route(IMAGES, "DELETE", rf"{R}/(?P<name>[^/:]+)")
def delete_repository(request: Request) -> Json:
    request.cloud.get("repository", request["name"])
    del request.cloud.things["repository"][request["name"]]
    return done(f"projects/{PROJECT}/locations/{request['region']}/operations/2")


@route(IMAGES, "GET", rf"{R}/(?P<name>[^/:]+):getIamPolicy")
def repository_policy(request: Request) -> Json:
    request.cloud.get("repository", request["name"])
    return request.cloud.policy(f"repository:{request['name']}")


@route(IMAGES, "POST", rf"{R}/(?P<name>[^/:]+):setIamPolicy")
def set_repository_policy(request: Request) -> Json:
    return request.cloud.set_policy(f"repository:{request['name']}", request.json["policy"])


@route(IMAGES, "GET", rf"{R}/(?P<name>[^/:]+)/packages/(?P<image>[^/:]+)/tags/(?P<tag>[^/:]+)")
def get_tag(request: Request) -> Json:
    digest = request.cloud.get("image", f"{request['name']}/{request['image']}:{request['tag']}")["digest"]
    where = request.path[4:].partition("/tags/")[0]
    return {"name": request.path[4:], "version": f"{where}/versions/{digest}"}


@route(IMAGES, "GET", rf"{R}/(?P<name>[^/:]+)/packages/(?P<image>[^/:]+)/versions/(?P<digest>[^/]+)")
def get_version(request: Request) -> Json:
    digests = {thing["digest"] for thing in request.cloud.things["image"].values()}
    if request["digest"] not in digests:
        raise not_found(request["digest"])
    return {"name": request.path[4:], "metadata": {"imageSizeBytes": "1"}, "createTime": "2026-01-01T00:00:00Z"}


@route("containeranalysis.googleapis.com", "GET", rf"{P}/occurrences", api="")
def occurrences(_request: Request) -> Json:
    return {"occurrences": []}


# builds


@route(BUILD, "POST", rf"{P}/locations/(?P<region>[^/]+)/builds")
def build(request: Request) -> Json:
    return _build(request)


@route(BUILD, "POST", rf"{P}/builds")
def build_globally(request: Request) -> Json:
    return _build(request)


def _build(request: Request) -> Json:
    wanted = request.json
    given = wanted.get("substitutions", {})
    used = json.dumps({name: value for name, value in wanted.items() if name != "substitutions"})
    for name in given:
        if f"${{{name}}}" not in used and f"${name}" not in used:
            raise Refused(
                400, "INVALID_ARGUMENT", f"key {name} in the substitution data is not matched in the template"
            )
    text = used
    for name, value in {**given, "PROJECT_ID": PROJECT}.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    if "${_" in text:
        raise Refused(400, "INVALID_ARGUMENT", f"a key in the template is not a valid built-in substitution: {text}")
    filled = json.loads(text)
    account = filled.get("serviceAccount", "").rpartition("/")[2]
    member = f"serviceAccount:{account}"
    if account and account not in request.cloud.accounts():
        raise Refused(400, "INVALID_ARGUMENT", f"Service account {account} does not exist.")
    bucket = filled["source"]["storageSource"]["bucket"]
    if account and not request.cloud.may(f"bucket:{bucket}", "roles/storage.objectViewer", member):
        raise Refused(400, "FAILED_PRECONDITION", f"{account} may not read gs://{bucket}")
    for image in filled.get("images", []):
        repository, _, rest = image.partition(f"/{PROJECT}/")[2].partition("/")
        if repository not in request.cloud.things["repository"]:
            raise not_found(f"repository {repository}")
        if not request.cloud.may(f"repository:{repository}", "roles/artifactregistry.writer", member):
            raise Refused(403, "PERMISSION_DENIED", f"{account} may not write to {repository}")
        digest = "sha256:" + hashlib.sha256(rest.encode()).hexdigest()
        request.cloud.things["image"][f"{repository}/{rest}"] = {"digest": digest}
    made = {"id": f"b-{request.cloud.next()}", "status": "SUCCESS", "projectId": PROJECT, "steps": filled["steps"],
            "createTime": "2026-01-01T00:00:00Z", "startTime": "2026-01-01T00:00:00Z",
            "finishTime": "2026-01-01T00:00:00Z", "images": filled.get("images", []),
            "options": filled.get("options", {})}  # fmt: skip
    made["name"] = f"projects/{PROJECT}/locations/us-central1/builds/{made['id']}"
    request.cloud.things["build"][made["id"]] = made
    kind = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"
    name = f"operations/build/{PROJECT}/{made['id']}"
    return {"name": name, "done": True, "response": made, "metadata": {"@type": kind, "build": made}}


@route(BUILD, "GET", rf"{P}(/locations/[^/]+)?/builds/(?P<id>[^/]+)")
def get_build(request: Request) -> Json:
    return request.cloud.get("build", request["id"])


@route(BUILD, "GET", r"/v1/(?P<name>.*operations/.*)")
def get_build_operation(request: Request) -> Json:
    return {"name": request["name"], "done": True, "response": {}}


# storage


@route(STORAGE, "GET", r"/storage/v1/b")
def list_buckets(request: Request) -> Json:
    return {"kind": "storage#buckets", "items": list(request.cloud.things["bucket"].values())}


@route(STORAGE, "POST", r"/storage/v1/b")
def create_bucket(request: Request) -> Json:
    name = request.json["name"]
    if name in request.cloud.things["bucket"]:
        raise Refused(
            409, "ALREADY_EXISTS", "Your previous request to create the named bucket succeeded and you already own it."
        )
    made = {**request.json, "kind": "storage#bucket", "id": name, "projectNumber": NUMBER, "metageneration": "1"}
    request.cloud.things["bucket"][name] = made
    return made


@route(STORAGE, "GET", r"/storage/v1/b/(?P<name>[^/]+)")
def get_bucket(request: Request) -> Json:
    return request.cloud.get("bucket", request["name"])


@route(STORAGE, "PATCH", r"/storage/v1/b/(?P<name>[^/]+)")
def patch_bucket(request: Request) -> Json:
    request.cloud.get("bucket", request["name"]).update(request.json)
    return request.cloud.get("bucket", request["name"])


@route(STORAGE, "DELETE", r"/storage/v1/b/(?P<name>[^/]+)")
def delete_bucket(request: Request) -> Json:
    request.cloud.things["bucket"].pop(request["name"], None)
    return {}


@route(STORAGE, "GET", r"/storage/v1/b/(?P<name>[^/]+)/iam")
def bucket_policy(request: Request) -> Json:
    request.cloud.get("bucket", request["name"])
    return request.cloud.policy(f"bucket:{request['name']}")


@route(STORAGE, "PUT", r"/storage/v1/b/(?P<name>[^/]+)/iam")
def set_bucket_policy(request: Request) -> Json:
    return request.cloud.set_policy(f"bucket:{request['name']}", request.json)


@route(STORAGE, "GET", r"/storage/v1/b/(?P<name>[^/]+)/o")
def list_objects(request: Request) -> Json:
    found = [thing for thing in request.cloud.things["object"].values() if thing["bucket"] == request["name"]]
    return {"kind": "storage#objects", "items": found}


@route(STORAGE, "DELETE", r"/storage/v1/b/(?P<name>[^/]+)/o/(?P<object>.+)")
def delete_object(request: Request) -> Any:
    request.cloud.things["object"].pop(f"{request['name']}/{request['object']}", None)
    return 204, b""


@route(STORAGE, "POST", r"/(resumable/)?upload/storage/v1/b/(?P<name>[^/]+)/o")
def upload(request: Request) -> Any:
    request.cloud.get("bucket", request["name"])
    if request.query.get("uploadType") == "resumable":
        name = request.query.get("name") or request.json.get("name", "x")
        where = f"https://storage.googleapis.com/upload/storage/v1/b/{request['name']}/o?upload_id={name}"
        return 200, (b"{}", {"Location": where})
    boundary = b"--" + request.headers["content-type"].partition("boundary=")[2].strip("'\"").encode()
    _, described, content, *_ = request.raw.split(boundary)
    about = json.loads(described.partition(b"\r\n\r\n")[2] or described.partition(b"\n\n")[2] or b"{}")
    name = request.query.get("name") or str(about["name"])
    _, gap, data = content.partition(b"\r\n\r\n")
    data = data if gap else content.partition(b"\n\n")[2]
    return _kept(request, name, data.removesuffix(b"\r\n" if gap else b"\n"))


@route(STORAGE, "PUT", r"/(resumable/)?upload/storage/v1/b/(?P<name>[^/]+)/o")
def upload_rest(request: Request) -> Any:
    return _kept(request, request.query["upload_id"], request.raw)


def _kept(request: Request, name: str, raw: bytes) -> Json:
    kept = {"kind": "storage#object", "bucket": request["name"], "name": name, "generation": "1", "size": str(len(raw)),
            "metageneration": "1", "md5Hash": base64.b64encode(hashlib.md5(raw).digest()).decode()}  # fmt: skip
    request.cloud.things["object"][f"{request['name']}/{name}"] = kept
    return kept


@route("billingbudgets.googleapis.com", "DELETE", r"/v1/(?P<name>billingAccounts/[^/]+/budgets/[^/]+)")
def delete_budget(request: Request) -> Json:
    request.cloud.get("budget", request["name"])
    del request.cloud.things["budget"][request["name"]]
    return {}


@route(STORAGE, "GET", r"/storage/v1/b/(?P<name>[^/]+)/storageLayout")
def storage_layout(request: Request) -> Json:
    request.cloud.get("bucket", request["name"])
    return {"kind": "storage#storageLayout", "bucket": request["name"], "location": "US-CENTRAL1"}


@route(STORAGE, "GET", r"/storage/v1/b/(?P<name>[^/]+)/managedFolders")
def managed_folders(_request: Request) -> Json:
    return {"kind": "storage#managedFolders", "items": []}
