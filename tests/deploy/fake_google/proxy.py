"""The proxy: CONNECT, a certificate for whatever host is asked for, and HTTP behind it."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import trustme

from tests.deploy.fake_google.cloud import Cloud


@dataclass
class Proxy:
    """`env` is what gcloud and others are told so that they go through it. `tunnels` are hosts that are really another
    server on loopback, by the end of their name."""

    cloud: Cloud
    folder: Path
    port: int = 0
    tunnels: dict[str, int] = field(default_factory=dict)
    authority: trustme.CA = field(default_factory=trustme.CA)
    _contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ca(self) -> Path:
        path = self.folder / "ca.pem"
        if not path.exists():
            self.authority.cert_pem.write_to_path(str(path))
        return path

    def env(self) -> dict[str, str]:
        token = self.folder / "token"
        token.write_text("a-token")
        return {
            "CLOUDSDK_CONFIG": str(self.folder / "config"),
            "CLOUDSDK_CORE_PROJECT": "another-project",
            "CLOUDSDK_PROXY_TYPE": "http",
            "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
            "CLOUDSDK_PROXY_PORT": str(self.port),
            "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": str(self.ca),
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
            "CLOUDSDK_CORE_ACCOUNT": "deployer@example.com",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "true",
            "CLOUDSDK_STORAGE_PROCESS_COUNT": "1",
            "CLOUDSDK_STORAGE_THREAD_COUNT": "1",
        }

    def context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.authority.issue_cert(host).configure_cert(context)
                self._contexts[host] = context
            return self._contexts[host]

    @contextmanager
    def serving(self) -> Iterator[Proxy]:
        proxy = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, ssl.SSLError):
                    proxy._connection(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        with Server(("127.0.0.1", 0), Connection) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def _connection(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return
            head += more
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        if method != "CONNECT":
            client.sendall(b"HTTP/1.1 501 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
            return
        host = target.rpartition(":")[0]
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with self.context(host).wrap_socket(client, server_side=True) as secure:
            for end, port in self.tunnels.items():
                if host.endswith(end):
                    _splice(secure, port)
                    return
            _Http(secure, host, self.cloud)


def _splice(secure: ssl.SSLSocket, port: int) -> None:
    """Bytes both ways, to a plain server on loopback."""
    with socket.create_connection(("127.0.0.1", port)) as inner:

        def copy(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=copy, args=(inner, secure), daemon=True)
        back.start()
        copy(secure, inner)
        back.join()


class _Http(BaseHTTPRequestHandler):
    """HTTP/1.1 over a connection that is there already."""

    protocol_version = "HTTP/1.1"

    def __init__(self, connection: Any, host: str, cloud: Cloud) -> None:
        self._host, self._cloud = host, cloud
        super().__init__(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]

    def _any(self) -> None:
        length = self.headers.get("Content-Length")
        if length is not None:
            raw = self.rfile.read(int(length))
        elif self.headers.get("Transfer-Encoding") == "chunked":
            raw = self._chunks()
        else:
            raw = b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, body = self._cloud.answer(self._host, self.command, self.path, raw, headers)
        extra: dict[str, str] = {}
        if isinstance(body, tuple):
            body, extra = body
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def log_message(self, *_: object) -> None:
        """Quiet."""
