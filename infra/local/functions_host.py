"""The functions on one port: each a real functions-framework app, at `/{entry_point}`, the prefix stripped.

python -m infra.local.functions_host        listens on 127.0.0.1:$FUNCTIONS_PORT
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import functions_framework
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from infra.local.child import exit_with_parent

SOURCE = Path(__file__).resolve().parents[2] / "functions" / "main.py"
ENTRY_POINTS = (
    "elevenlabs_webhook",
    "elevenlabs_personalize",
    "apply_call_event",
    "schedule_reminders",
    "reconcile_conversations",
    "voice_fallback",
)


def root(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What is at no entry point: the readiness of this port."""
    found = environ["PATH_INFO"] == "/readyz"
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "text/plain")])
    return [b"ready\n" if found else b"There are: " + ", ".join(ENTRY_POINTS).encode()]


def rooted(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The bare entry point is the function's `/`: Flask would answer an empty path with a redirect."""

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["PATH_INFO"] = environ["PATH_INFO"] or "/"
        return app(environ, start_response)

    return call


def at_home(app: Callable[..., Iterable[bytes]], public: str = "") -> Callable[..., Iterable[bytes]]:
    """For our bus and our schedule only: they call this machine by a loopback name, or by the host of `public`. A page
    in a browser here that has pointed a name of its own at 127.0.0.1 says that name."""
    homes = {"127.0.0.1", "localhost", "::1", urlsplit(public).hostname} - {None}

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _host(environ.get("HTTP_HOST", "")) in homes:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This is not the name of this machine. Set PUBLIC_BASE_URL if it should be.\n"]

    return call


def _host(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def application() -> DispatcherMiddleware:
    """All entry points behind one WSGI application."""
    apps = {f"/{name}": rooted(functions_framework.create_app(name, str(SOURCE))) for name in ENTRY_POINTS}
    for name in ("/apply_call_event", "/reconcile_conversations"):
        apps[name] = at_home(apps[name], os.environ.get("PUBLIC_BASE_URL", ""))
    return DispatcherMiddleware(root, apps)


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    exit_with_parent()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request is noise between a call's events
    server = make_server("127.0.0.1", int(os.environ["FUNCTIONS_PORT"]), application(), threaded=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the serving loop, so it may not be called on the loop's own thread.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
