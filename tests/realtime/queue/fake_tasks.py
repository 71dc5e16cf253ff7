"""Cloud Tasks' REST on loopback: what it does not know it refuses, with Google's errors."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

QUEUE = "projects/p1/locations/us-central1/queues/outbound"
_TASKS = re.compile(rf"/v2/{QUEUE}/tasks(?:/([A-Za-z0-9_-]{{1,500}}))?")
_TASK = {"name", "scheduleTime", "dispatchDeadline", "httpRequest"}
_REQUEST = {"url", "httpMethod", "headers", "body"}


@dataclass
class FakeTasks:
    """`tasks` are those to come, `names` all that were ever taken; the next answers may be replaced by `faults`
    (a status; 0 takes the request and drops the connection)."""

    url: str
    tokens: int = 0
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    faults: list[int] = field(default_factory=list)
    token_status: int = 200

    def body(self, name: str) -> Any:
        return json.loads(base64.b64decode(self.tasks[name]["httpRequest"]["body"], validate=True))

    def create(self, body: Any) -> tuple[int, Any]:
        task = body.get("task") if isinstance(body, dict) and set(body) == {"task"} else None
        if not isinstance(task, dict) or set(task) != _TASK or set(task["httpRequest"]) != _REQUEST:
            return _error(400, "INVALID_ARGUMENT")
        prefix, _, name = task["name"].rpartition("/")
        if prefix != f"{QUEUE}/tasks" or not re.fullmatch(r"[A-Za-z0-9_-]{1,500}", name):
            return _error(400, "INVALID_ARGUMENT")
        if not task["scheduleTime"].endswith("Z") or not re.fullmatch(r"\d+s", task["dispatchDeadline"]):
            return _error(400, "INVALID_ARGUMENT")
        datetime.fromisoformat(task["scheduleTime"])
        base64.b64decode(task["httpRequest"]["body"], validate=True)
        if name in self.names:
            return _error(409, "ALREADY_EXISTS")
        self.names.add(name)
        self.tasks[name] = task
        return 200, task

    def delete(self, name: str) -> tuple[int, Any]:
        return (200, {}) if self.tasks.pop(name, None) else _error(404, "NOT_FOUND")


def _error(code: int, status: str) -> tuple[int, Any]:
    return code, {"error": {"code": code, "message": status.lower(), "status": status}}


@contextmanager
def cloud_tasks() -> Iterator[FakeTasks]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._handle(lambda match: here.create(json.loads(raw)) if not match.group(1) else _error(404, "NOT_FOUND"))

        def do_DELETE(self) -> None:
            self._handle(lambda match: here.delete(match.group(1) or ""))

        def do_GET(self) -> None:
            if self.path != "/computeMetadata/v1/instance/service-accounts/default/token":
                return self._answer(*_error(404, "NOT_FOUND"))
            if self.headers.get("Metadata-Flavor") != "Google":
                return self._answer(*_error(403, "PERMISSION_DENIED"))
            here.tokens += 1
            return self._answer(here.token_status, {"access_token": f"token-{here.tokens}", "expires_in": 3600})

        def _handle(self, work: Any) -> None:
            match = _TASKS.fullmatch(self.path)
            fault = here.faults.pop(0) if here.faults else None
            if match is None:
                return self._answer(*_error(404, "NOT_FOUND"))
            if self.headers.get("Authorization") != f"Bearer token-{here.tokens}":
                return self._answer(*_error(401, "UNAUTHENTICATED"))
            if fault:
                return self._answer(*_error(fault, "UNAVAILABLE"))
            answer = work(match)
            if fault == 0:
                self.close_connection = True
                return None
            return self._answer(*answer)

        def _answer(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = FakeTasks(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
