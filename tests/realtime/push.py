"""A local HTTP server in the applier's place: records what is pushed and answers what the test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from realtime.bus.envelope import open_push
from realtime.bus.port import BusMessage

Answer = Callable[[BusMessage, int], int]
"""(message, how often it has come, 1 = first) -> HTTP status."""


@dataclass
class Applier:
    """What came in, in order, with the status that was answered."""

    url: str
    answer: Answer = lambda _message, _times: 204
    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    got: list[tuple[BusMessage, int]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: dict[str, Any]) -> int:
        message = open_push(body)
        with self.changed:
            times = 1 + sum(1 for earlier, _ in self.got if earlier.id == message.id)
        status = self.answer(message, times)
        with self.changed:
            self.bodies.append(body)
            self.got.append((message, status))
            self.changed.notify_all()
        return status

    def acknowledged(self) -> list[str]:
        return [message.id for message, status in self.got if status < 300]

    def wait(self, until: Callable[[Applier], bool], seconds: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: until(self), seconds), [(m.id, s) for m, s in self.got]


@contextmanager
def applier() -> Iterator[Applier]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            here.authorizations.add(self.headers["Authorization"])
            self.send_response(here.take(body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A peer that went away is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    here = Applier(f"http://127.0.0.1:{server.server_port}/apply")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
