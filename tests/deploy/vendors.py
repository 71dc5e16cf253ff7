"""Twilio's numbers and ElevenLabs' webhooks on loopback, as far as `wire` and `doctor` ask about them.

Shapes: Twilio's "IncomingPhoneNumbers resource", and the models of the elevenlabs SDK (workspace webhooks, settings).
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SID, TOKEN, NUMBER = "AC" + "1" * 32, "f" * 32, "+15551230000"
PN = "PN" + "2" * 32
KEY = "an-elevenlabs-key"
SECRET = "wsec_that_nobody_may_see"


@dataclass
class Vendors:
    """`stubborn`: Twilio takes an update and keeps what it had. `good` are the bearer keys that are accepted."""

    number: dict[str, Any] = field(
        default_factory=lambda: {"sid": PN, "phone_number": NUMBER, "voice_url": "https://demo.twilio.com/welcome",
                                 "voice_method": "POST", "voice_fallback_url": None, "status_callback": ""}
    )  # fmt: skip
    webhooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    in_use: str | None = None
    stubborn: bool = False
    good: tuple[str, ...] = ("sk-good-key-0123456789", "deepgram-good-key-01234")
    writes: int = 0
    port: int = 0
    made: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, target: str, raw: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        path = urlsplit(target).path
        self.writes += method != "GET"
        if path.startswith("/2010-04-01/"):
            return self._twilio(method, target, raw, headers)
        if path in ("/v1/models", "/v1/projects"):
            return (200, {}) if headers.get("authorization", "").split()[-1:][0] in self.good else (401, {})
        return self._elevenlabs(method, path, raw, headers)

    def _twilio(self, method: str, target: str, raw: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        given = base64.b64decode(headers.get("authorization", "Basic ").partition(" ")[2]).decode()
        if given != f"{SID}:{TOKEN}":
            return 401, {"code": 20003, "message": "Authenticate", "status": 401}
        where = urlsplit(target)
        root = f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers"
        if method == "GET" and where.path == f"{root}.json":
            wanted = dict(parse_qsl(where.query)).get("PhoneNumber")
            return 200, {"incoming_phone_numbers": [self.number] if wanted == NUMBER else [], "page": 0}
        if method == "POST" and where.path == f"{root}/{PN}.json":
            form = dict(parse_qsl(raw.decode(), keep_blank_values=True))
            if not self.stubborn:
                self.number |= {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): text for name, text in form.items()}
            return 200, self.number
        return 404, {"code": 20404, "message": "not found", "status": 404}

    def _elevenlabs(self, method: str, path: str, raw: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        if headers.get("xi-api-key") != KEY:
            return 401, {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}
        body = json.loads(raw) if raw else {}
        root = "/v1/workspace/webhooks"
        if (method, path) == ("GET", root):
            return 200, {"webhooks": list(self.webhooks.values())}
        if (method, path) == ("POST", root):
            if body["settings"]["auth_type"] != "hmac" or not body["settings"]["webhook_url"].startswith("https://"):
                return 422, {"detail": "webhook_url must be https"}
            self.made += 1
            made = {"webhook_id": f"wh_{self.made}", "is_disabled": False, "is_auto_disabled": False,
                    "auth_type": "hmac", **body["settings"]}  # fmt: skip
            self.webhooks[made["webhook_id"]] = made
            return 200, {"webhook_id": made["webhook_id"], "webhook_secret": f"{SECRET}{self.made}"}
        one = path.removeprefix(f"{root}/")
        if path.startswith(f"{root}/") and one in self.webhooks:
            if method == "DELETE":
                del self.webhooks[one]
            else:
                self.webhooks[one] |= body
            return 200, {"status": "ok"}
        if path == "/v1/convai/settings":
            if method == "PATCH":
                self.in_use = body["webhooks"]["post_call_webhook_id"]
            return 200, {"webhooks": {"post_call_webhook_id": self.in_use, "events": ["transcript"]}}
        return 404, {"detail": {"status": "not_found"}}

    @contextmanager
    def serving(self) -> Iterator[Vendors]:
        vendors = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, body = vendors.answer(self.command, self.path, raw, headers)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = _any

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
