"""The state, the routes, and what goes wrong on purpose."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PROJECT = "demo-voice"
NUMBER = "123456789012"
Json = dict[str, Any]


class Refused(Exception):
    """An error answer in Google's shape."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def body(self) -> Json:
        return {"error": {"code": self.status, "message": self.message, "status": self.reason}}


def not_found(what: str) -> Refused:
    return Refused(404, "NOT_FOUND", f"{what} was not found")


def exists(what: str) -> Refused:
    return Refused(409, "ALREADY_EXISTS", f"{what} already exists")


@dataclass(slots=True)
class Request:
    """One call. `params` are what the route's pattern caught."""

    cloud: Cloud
    host: str
    method: str
    path: str
    query: Mapping[str, str]
    raw: bytes
    headers: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Json:
        return json.loads(self.raw) if self.raw.strip() else {}

    def __getitem__(self, name: str) -> str:
        return unquote(self.params[name])


Answer = Json | bytes
Handler = Callable[[Request], Any]


@dataclass(frozen=True, slots=True)
class Route:
    host: str
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    api: str


ROUTES: list[Route] = []


def route(host: str, method: str, pattern: str, *, api: str | None = None) -> Callable[[Handler], Handler]:
    """`host` is matched at the end of the host's name; `api` must be enabled (host unless said, "" for none)."""

    def keep(handler: Handler) -> Handler:
        ROUTES.append(Route(host, method, re.compile(pattern), handler, host if api is None else api))
        return handler

    return keep


@dataclass(slots=True)
class Fault:
    """The next `times` requests that match are answered so."""

    host: str
    method: str
    path: str
    status: int
    reason: str
    times: int
    done_first: bool = False
    """The request is carried out, and then the answer is lost in an error."""


@dataclass(slots=True)
class Cloud:
    """`things` by kind and full name; `policies` by full name of the resource."""

    things: dict[str, dict[str, Json]] = field(default_factory=lambda: defaultdict(dict))
    policies: dict[str, Json] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=lambda: {"serviceusage.googleapis.com"})
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    logs: list[Json] = field(default_factory=list)
    """What `logging read` finds."""
    broken_images: set[str] = field(default_factory=set)
    """Images whose container does not start, by a part of their name."""
    after: Callable[[Request], None] | None = None
    """Called after each request that changed something."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    counter: int = 0

    @property
    def writes(self) -> list[tuple[str, str, str]]:
        """Requests that change something."""
        return [one for one in self.seen if _writes(*one)]

    def next(self) -> int:
        self.counter += 1
        return self.counter

    def answer(self, host: str, method: str, target: str, raw: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        """(status, JSON or bytes) for a request."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Request(self, host, method, parts.path, query, raw, headers)
        with self.lock:
            self.seen.append((host, method, parts.path))
            self.bodies.append(raw)
            try:
                fault = self._fault(request)
                if fault and not fault.done_first:
                    raise Refused(fault.status, fault.reason, f"injected {fault.reason}")
                status, body = self._dispatch(request)
                if self.after and _writes(host, method, parts.path):
                    self.after(request)
                if fault:
                    raise Refused(fault.status, fault.reason, f"injected {fault.reason}")
                return status, body
            except Refused as refusal:
                return refusal.status, refusal.body()

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            fits = fault.host in request.host and fault.method == request.method
            if fits and fault.times > 0 and re.search(fault.path, request.path):
                fault.times -= 1
                return fault
        return None

    def _dispatch(self, request: Request) -> tuple[int, Any]:
        for one in ROUTES:
            if request.method != one.method or not request.host.endswith(one.host):
                continue
            match = one.pattern.fullmatch(request.path)
            if match is None:
                continue
            if one.api and one.api not in self.enabled:
                raise Refused(
                    403,
                    "PERMISSION_DENIED",
                    f"{one.api} has not been used in project {PROJECT} before or it is disabled.",
                )
            request.params = match.groupdict()
            answer = one.handler(request)
            return answer if isinstance(answer, tuple) else (200, answer)
        self.unknown.append(f"{request.method} {request.host}{request.path}")
        raise Refused(501, "UNIMPLEMENTED", f"not known here: {request.method} {request.host}{request.path}")

    # what several APIs share

    def get(self, kind: str, name: str) -> Json:
        try:
            return self.things[kind][name]
        except KeyError:
            raise not_found(f"{kind} {name}") from None

    def accounts(self) -> set[str]:
        return {thing["email"] for thing in self.things["account"].values()}

    def known(self, member: str) -> bool:
        """Google refuses bindings for service accounts of the project that are not there."""
        kind, _, name = member.partition(":")
        ours = name.endswith(f"@{PROJECT}.iam.gserviceaccount.com")
        return kind != "serviceAccount" or not ours or name in self.accounts()

    def policy(self, name: str) -> Json:
        return self.policies.setdefault(name, {"version": 1, "etag": _etag([]), "bindings": []})

    def set_policy(self, name: str, policy: Json) -> Json:
        now = self.policy(name)
        said = policy.get("etag", "").replace("-", "+").replace("_", "/")  # gcloud says it in the other alphabet
        if said and said != now["etag"]:
            raise Refused(
                409, "ABORTED", "There were concurrent policy changes. Please retry the whole read-modify-write."
            )
        for binding in policy.get("bindings", []):
            for member in binding["members"]:
                if not self.known(member):
                    raise Refused(
                        400, "INVALID_ARGUMENT", f"Service account {member.partition(':')[2]} does not exist."
                    )
        bindings = [binding for binding in policy.get("bindings", []) if binding["members"]]
        self.policies[name] = {"version": 3, "bindings": bindings, "etag": _etag(bindings)}
        return self.policies[name]

    def may(self, resource: str, role: str, member: str) -> bool:
        """True if the policy of the resource itself has this binding."""
        bindings = self.policies.get(resource, {}).get("bindings", [])
        return any(binding["role"] == role and member in binding["members"] for binding in bindings)


def _writes(host: str, method: str, path: str) -> bool:
    reads = (":getIamPolicy", "/entries:list", ":access", ":testIamPermissions", "/upload/")
    return method != "GET" and not path.endswith(reads) and "/upload/" not in path


def _etag(bindings: Any) -> str:
    return base64.b64encode(hashlib.sha256(json.dumps(bindings, sort_keys=True).encode()).digest()[:9]).decode()


def done(name: str, response: Json | None = None) -> Json:
    """A long-running operation that is over."""
    return {"name": name, "done": True, "metadata": {}, "response": response or {}}
