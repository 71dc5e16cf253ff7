"""The light publisher against an HTTP server that plays Pub/Sub and the metadata server, and against the emulator."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from realtime.bus.envelope import decode
from realtime.bus.port import MAX_DATA_BYTES, TOPIC, BusMessage, PublishFailed, TooLarge
from realtime.bus.rest import RestPublisher
from tests.realtime.buses import wire_pubsub
from tests.realtime.push import applier

NEWS = BusMessage("1", "test", "tick", {"call_sid": "CA1"}, "2026-11-20T10:00:00.000Z", {"said": "ü"})


class Google:
    """Answers with the statuses of its script, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.grant: Any = {"access_token": "token-1", "expires_in": 3600}
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.url = ""


@pytest.fixture
def google() -> Iterator[Google]:
    here = Google()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, body: Any) -> None:
            here.seen.append((self.command, self.path, dict(self.headers), body))
            status = here.statuses.pop(0) if here.statuses else 200
            text = json.dumps(here.grant if self.command == "GET" else {"messageIds": ["1"]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.answer(None)

        def do_POST(self) -> None:
            self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield here
    server.shutdown()
    server.server_close()
    thread.join()


def publisher(google: Google, **options: Any) -> RestPublisher:
    return RestPublisher("p", endpoint=google.url, metadata=google.url, **options)


def test_it_publishes_with_the_token_of_the_metadata_server(google: Google) -> None:
    now = [0.0]
    bus = publisher(google, monotonic=lambda: now[0])
    bus.publish(NEWS)
    bus.publish(NEWS)
    now[0] = 3541.0  # a minute before the token ends
    google.grant = {"access_token": "token-2", "expires_in": 3600}
    bus.publish(NEWS)
    bus.close()
    bus.close()
    asked, first, _second, again, last = google.seen
    assert asked[:2] == ("GET", "/computeMetadata/v1/instance/service-accounts/default/token")
    assert asked[2]["Metadata-Flavor"] == "Google"
    assert first[:2] == ("POST", f"/v1/projects/p/topics/{TOPIC}:publish")
    assert first[2]["Authorization"] == "Bearer token-1"
    (message,) = first[3]["messages"]
    assert decode(base64.b64decode(message["data"])) == NEWS
    assert (message["orderingKey"], message["attributes"]["id"]) == ("CA1", "1")
    assert (again[0], last[2]["Authorization"]) == ("GET", "Bearer token-2")


def test_a_hiccup_is_tried_again(google: Google) -> None:
    bus = publisher(google)
    google.statuses = [200, 503, 429]
    bus.publish(NEWS)
    assert [method for method, *_ in google.seen] == ["GET", "POST", "POST", "POST"]
    bus.close()


@pytest.mark.parametrize(
    ("statuses", "grant"),
    [([200, 403], None), ([200, 503, 503, 503], None), ([404], None), ([200], {"no": "token"}), ([200], [])],
)
def test_what_is_not_confirmed_has_failed(google: Google, statuses: list[int], grant: Any) -> None:
    google.statuses = statuses
    google.grant = google.grant if grant is None else grant
    bus = publisher(google)
    with pytest.raises(PublishFailed):
        bus.publish(NEWS)
    bus.close()


def test_nobody_there_has_failed_too() -> None:
    bus = RestPublisher("p", emulator_host="127.0.0.1:9", retries=0)
    with pytest.raises(PublishFailed):
        bus.publish(NEWS)
    bus.close()


def test_what_is_too_large_is_not_even_sent(google: Google) -> None:
    bus = publisher(google)
    with pytest.raises(TooLarge):
        bus.publish(BusMessage("1", "t", "t", {}, "x", {"a": "x" * MAX_DATA_BYTES}))
    assert google.seen == []
    bus.close()


@pytest.mark.emulator
def test_the_emulator_takes_it_and_pushes_it(pubsub_emulator: str) -> None:
    project = f"demo-{uuid.uuid4().hex[:8]}"
    bus = RestPublisher(project, emulator_host=pubsub_emulator)
    with applier() as there:
        close = wire_pubsub(pubsub_emulator, project, there.url)
        bus.publish(NEWS)
        there.wait(lambda a: bool(a.got))
        close()
    bus.close()
    assert there.got[0][0] == NEWS
