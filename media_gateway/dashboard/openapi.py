"""`/openapi.json`, made from the routes that this instance really serves: what is documented is what is there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.routing import BaseRoute, Route

_OPEN = ("/auth/login", "/auth/demo", "/api/v1/voice/", "/livez", "/readyz", "/openapi.json")
_VENDOR = "/api/v1/voice/"
_PARAMETER = re.compile(r"{(\w+)}")
_QUERY: Mapping[str, tuple[str, ...]] = {
    "/api/v1/calls": ("status", "flow", "q", "outcome", "from", "to", "cursor", "limit"),
    "/api/v1/calls/{call_id}/events": ("after", "limit"),
    "/api/v1/calls/{call_id}/export": ("format",),
    "/api/v1/metrics": ("from", "to", "days", "flow"),
    "/api/v1/messages": ("cursor", "limit"),
    "/api/v1/audit": ("cursor", "limit"),
}
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "/api/v1/calls": ("Idempotency-Key",),
    "/driver_data/call-elevenlabs": ("Idempotency-Key",),
    **{
        f"/api/v1/calls/{{call_id}}/{name}": ("Idempotency-Key",)
        for name in ("hangup", "transfer", "say", "whisper", "takeover", "release", "approve", "refuse")
    },
}
_ITEM = {
    "type": "object",
    "required": ["type", "description"],
    "properties": {"type": {"enum": ["violation", "reminder"]}, "description": {"type": "string"}},
}
_ROLE = {"enum": ["viewer", "operator", "admin"], "default": "viewer"}
_BODIES: Mapping[str, Mapping[str, str | Mapping[str, Any]]] = {
    "/auth/password": {"current": "string", "new": {"type": "string", "minLength": 12, "maxLength": 1024}},
    "/api/v1/users": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$"},
        "password": {"type": "string", "minLength": 12, "maxLength": 1024},
        "role": _ROLE,
    },
    "/api/v1/erase": {"phone": {"type": "string", "description": "E.164, like +14155550123"}},
    "/api/v1/keys": {"label": {"type": "string", "minLength": 1, "maxLength": 64}, "role": _ROLE},
    "/api/v1/do-not-call": {"phone": "string"},
    "/auth/login": {"username": "string", "password": "string"},
    "/auth/demo": {"code": "string"},
    "/api/v1/demo/say": {"call_id": "string", "text": "string"},
    "/api/v1/calls": {
        "to": {"type": "string", "description": "E.164, like +14155550123"},
        "flow": "string",
        "variables": {"type": "object", "default": {}, "description": "What the flow is told of this call"},
    },
    **{
        f"/api/v1/calls/{{call_id}}/{name}": {"text": {"type": "string", "maxLength": most}}
        for name, most in (("say", 500), ("whisper", 1_000))
    },
    "/api/v1/calls/{call_id}/transfer": {"to": {"type": "string", "default": None, "description": "Whom to ring"}},
    "/api/v1/calls/{call_id}/takeover": {"by": {"enum": ["phone", "browser"]}},
    **{
        f"/api/v1/calls/{{call_id}}/{name}": {"request_id": {"type": "string", "default": None}}
        for name in ("approve", "refuse")
    },
    "/driver_data/call-elevenlabs": {
        "driverId": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "driverName": "string",
        "phoneNumber": {"type": "string", "description": "E.164, like +14155550123"},
        "violations": {"type": "array", "minItems": 1, "items": _ITEM},
    },
}
_CHANGES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "/api/v1/users/{name}": {
        "role": {"enum": ["viewer", "operator", "admin"]},
        "disabled": {"type": "boolean"},
        "password": {"type": "string", "minLength": 12, "maxLength": 1024},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "fix"],
            "properties": {name: {"type": "string"} for name in ("code", "message", "fix")},
        }
    },
}


def document(routes: Iterable[BaseRoute], *, base_url: str, version: str) -> dict[str, Any]:
    """OpenAPI 3.1 of the HTTP routes (sockets and static files have no place in it)."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if not isinstance(route, Route) or route.path == "/" or not route.include_in_schema:
            continue
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(route.path, {})[method.lower()] = _operation(method, route.path, route.endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Callboard media gateway", "version": version},
        "servers": [{"url": base_url}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "twilio": {"type": "apiKey", "in": "header", "name": "X-Twilio-Signature"},
            },
        },
    }


def _operation(method: str, path: str, endpoint: Callable[..., Any]) -> dict[str, Any]:
    names = _PARAMETER.findall(path)
    text = {"type": "string"}
    parameters = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
    parameters += [{"name": name, "in": "query", "schema": text} for name in _QUERY.get(path, ()) if method == "GET"]
    parameters += [
        {"name": name, "in": "header", "schema": text} for name in _HEADERS.get(path, ()) if method == "POST"
    ]
    operation: dict[str, Any] = {
        "summary": (inspect.getdoc(endpoint) or "").split("\n")[0],
        "responses": {
            "2XX": {"description": "Done."},
            "default": {
                "description": "Refused.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if parameters:
        operation["parameters"] = parameters
    fields = _BODIES.get(path) if method == "POST" else _CHANGES.get(path) if method == "PATCH" else None
    if fields is not None:
        schema = {
            "type": "object",
            "required": [
                n for n, kind in fields.items() if method == "POST" and (isinstance(kind, str) or "default" not in kind)
            ],
            "properties": {n: {"type": kind} if isinstance(kind, str) else kind for n, kind in fields.items()},
        }
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if path.startswith(_VENDOR):
        operation["security"] = [{"twilio": []}]
    elif not path.startswith(_OPEN):
        operation["security"] = [{"bearer": []}, {"key": []}]
    return operation
