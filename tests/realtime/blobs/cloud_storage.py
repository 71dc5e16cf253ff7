"""Cloud Storage's JSON API on the loopback interface, as far as the library uses it for small and large files."""

from __future__ import annotations

import base64
import json
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

UPLOAD, DOWNLOAD, OBJECT = "/upload/storage/v1/b/", "/download/storage/v1/b/", "/storage/v1/b/"


class Bucket:
    """What lies in it: (bytes, content type) by name. `broken` answers everything with 503."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.broken = False
        self.resumable: dict[str, tuple[str, str, bytearray]] = {}
        self.url = ""


@contextmanager
def bucket() -> Iterator[Bucket]:
    here = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stored(self, name: str) -> None:
            data, kind = here.objects[name]
            crc = base64.b64encode(struct.pack(">I", google_crc32c.value(data))).decode()
            about = {"name": name, "bucket": "b", "size": str(len(data)), "contentType": kind, "crc32c": crc}
            self._answer(200, json.dumps(about).encode(), Content_Type="application/json")

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))

        def do_POST(self) -> None:
            body, asked = self._body(), parse_qs(urlsplit(self.path).query)
            if here.broken:
                return self._answer(503)
            if asked["uploadType"] == ["resumable"]:
                about, session = json.loads(body), str(len(here.resumable))
                kind = self.headers.get("X-Upload-Content-Type", "")
                here.resumable[session] = (about["name"], kind, bytearray())
                return self._answer(200, Location=f"{here.url}/resume/{session}")
            boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])[1].encode()  # type: ignore[index]
            _, first, second, _ = body.split(b"--" + boundary)
            about = json.loads(first.split(b"\r\n\r\n", 1)[1])
            head, data = second.split(b"\r\n\r\n", 1)
            kind = re.search(rb"content-type: (\S+)", head, re.IGNORECASE)[1].decode()  # type: ignore[index]
            here.objects[about["name"]] = (data.removesuffix(b"\r\n"), kind)
            return self._stored(about["name"])

        def do_PUT(self) -> None:
            name, kind, parts = here.resumable[self.path.rpartition("/")[2]]
            parts += self._body()
            _, _, total = self.headers["Content-Range"].rpartition("/")
            if total == "*" or len(parts) < int(total):
                return self._answer(308, Range=f"bytes=0-{len(parts) - 1}")
            here.objects[name] = (bytes(parts), kind)
            return self._stored(name)

        def do_GET(self) -> None:
            name = self._name()
            if here.broken:
                return self._answer(503)
            if name.endswith("/o"):  # no name: the list of them
                (prefix,) = parse_qs(urlsplit(self.path).query)["prefix"]
                found = [{"name": one, "bucket": "b"} for one in sorted(here.objects) if one.startswith(prefix)]
                return self._answer(200, json.dumps({"items": found}).encode(), Content_Type="application/json")
            if name not in here.objects:
                return self._answer(404)
            data, kind = here.objects[name]
            crc = base64.b64encode(struct.pack(">I", google_crc32c.value(data))).decode()
            return self._answer(200, data, Content_Type=kind, X_Goog_Hash=f"crc32c={crc}")

        def do_DELETE(self) -> None:
            name = self._name()
            if here.broken:
                return self._answer(503)
            return self._answer(204 if here.objects.pop(name, None) else 404)

        def _name(self) -> str:
            return unquote(urlsplit(self.path).path.rpartition("/o/")[2])

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with _serving(Handler) as here.url:
        yield here


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
